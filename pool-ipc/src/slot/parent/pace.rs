//! What a link has to do, how long items take, in their worker's words, and how long they may.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Entry, Ledger, ParentEnd, ParentSide};
use crate::backend::Load;
use crate::slot::layout::outcome;

impl<S: ParentSide> ParentEnd<S> {
    /// The shortest time limit of items that nobody has begun.
    pub(crate) fn shortest_timeout(&self) -> Option<Duration> {
        let ledger = self.ledger.lock();
        let unclaimed = ledger.entries.iter().filter(|entry| self.look(entry).next() < entry.end);
        unclaimed.filter_map(|entry| entry.terms.as_ref()?.timeout).min()
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.ledger.lock().live
    }

    /// How many items nobody has begun.
    pub(crate) fn unclaimed(&self) -> usize {
        self.unclaimed_of(&self.ledger.lock())
    }

    /// The one and the other, and how long an item takes the worker, once it has said so.
    pub(crate) fn load(&self) -> Load {
        let ledger = self.ledger.lock();
        let unclaimed = if ledger.live == 0 { 0 } else { self.unclaimed_of(&ledger) };
        Load { outstanding: ledger.live, unclaimed, pace: ledger.pace, ..Load::NONE }
    }

    fn unclaimed_of(&self, ledger: &Ledger) -> usize {
        ledger.entries.iter().map(|entry| entry.end.saturating_sub(self.look(entry).next()) as usize).sum()
    }

    /// How long an item of a frame took that is over, in nanoseconds and in its worker's words. What is read may be of an
    /// earlier one in its slot, if the worker has not left this one yet.
    pub(super) fn took(&self, entry: &Entry) -> Option<u64> {
        let told = self.outcome(outcome::area(entry.slot()) + outcome::TOOK);
        (entry.delivered > 0).then(|| told.load(Ordering::Relaxed))
    }
}
