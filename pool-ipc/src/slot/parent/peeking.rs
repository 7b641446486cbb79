//! Looking at a link whose worker need not ring, for a hub that looks for a moment before it sleeps.

use super::{ParentEnd, ParentSide};
use crate::backend::{Corrupt, LinkEvent};
use crate::slot::layout::outcome;
use crate::slot::word::{self, Word};

impl<S: ParentSide> ParentEnd<S> {
    /// Has the worker ring for nothing, until the next collection.
    pub(crate) fn disarm(&self) {
        let _was_armed = word::take_armed(self.memory.outcome.word(outcome::ARMED));
    }

    /// Takes the outcomes that are ready, and does not ask to be rung for the next.
    ///
    /// # Errors
    /// As those of [`collect`](Self::collect).
    pub(crate) fn peek(&self, events: &mut Vec<LinkEvent>) -> Result<(), Corrupt> {
        let mut ledger = self.ledger.lock();
        if let Some(corrupt) = &ledger.corrupt {
            return Err(corrupt.clone());
        }
        let moved = |entry: &super::Entry| {
            let word = Word::load(self.word(entry));
            self.look(entry).done() != entry.delivered || word.is_over() || word.end() != entry.end
        };
        if !ledger.entries.front().is_some_and(moved) {
            return Ok(());
        }
        let swept = self.sweep(&mut ledger, events);
        ledger.mark();
        ledger.corrupt = swept.as_ref().err().cloned();
        swept
    }
}
