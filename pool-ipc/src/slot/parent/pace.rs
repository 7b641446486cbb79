//! How long items take, in their worker's words, and how long they may.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Entry, Ledger, ParentEnd, ParentSide};
use crate::slot::layout::outcome;

impl<S: ParentSide> ParentEnd<S> {
    /// The shortest time limit of items that nobody has begun.
    pub(crate) fn shortest_timeout(&self) -> Option<Duration> {
        let ledger = self.ledger.lock();
        let unclaimed = ledger.entries.iter().filter(|entry| self.look(entry).next() < entry.end);
        unclaimed.filter_map(|entry| entry.terms.as_ref()?.timeout).min()
    }

    /// How long an item takes the worker, averaged, once it has said so.
    pub(crate) fn pace(&self) -> Option<Duration> {
        self.ledger.lock().pace
    }

    /// A frame is over. What is read may be of an earlier one in its slot, if the worker has not left this one yet.
    pub(super) fn hear_pace(&self, entry: &Entry, ledger: &mut Ledger) {
        if entry.delivered > 0 {
            ledger.note_pace(self.outcome(outcome::area(entry.slot()) + outcome::TOOK).load(Ordering::Relaxed));
        }
    }
}
