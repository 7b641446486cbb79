//! Items that are answered several at a time, as their arguments and outcomes are all of the same length.
//!
//! Keeps true: an item is begun when its arguments are asked for, and not before; its outcome can be found from the moment on in
//! which the next one is. Never: knows what the bytes mean.

use std::ops::Range;

use crate::slot::worker::SlotRun;

/// Items that lie one behind the other in a payload, all of the same width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedItems {
    /// Where the first one begins.
    pub start: usize,
    /// How many bytes each has.
    pub width: usize,
}

impl FixedItems {
    /// Where an item's bytes are in a payload, or `None` if that has no such item.
    #[inline]
    pub fn find(self, payload: &[u8], item: u32) -> Option<Range<usize>> {
        let start = self.start.checked_add(usize::try_from(item).ok()?.checked_mul(self.width)?)?;
        let end = start.checked_add(self.width)?;
        (end <= payload.len()).then_some(start..end)
    }
}

/// Room for an outcome but for its first byte, which all of them have in common: it is the beginning of this.
pub type FixedOutcome = [u8; 32];

/// The most bytes of such an outcome, all in all.
pub(crate) const LONGEST: usize = 1 + size_of::<FixedOutcome>();

/// Some items in a row that a worker has claimed, one of which runs.
///
/// Whoever has it answers that item, says so by [`go_on`](Self::go_on), and does the same with the next one. An item that
/// cannot be answered in this way is told apart from the others by whoever gave this: it is claimed and not published.
#[derive(Debug)]
pub struct FixedRun<'r> {
    place: Place<'r>,
    /// The outcome of the last item, where nobody else has it.
    last: FixedOutcome,
}

#[derive(Debug)]
enum Place<'r> {
    /// There is only one.
    Single(&'r [u8]),
    Slot(SlotRun<'r>),
}

impl<'r> FixedRun<'r> {
    /// Of one item.
    pub(crate) fn single(arguments: &'r [u8]) -> Self {
        Self { place: Place::Single(arguments), last: [0; _] }
    }

    pub(crate) fn in_slot(run: SlotRun<'r>) -> Self {
        Self { place: Place::Slot(run), last: [0; _] }
    }

    /// The bytes of the item that runs. They are of its width; none, if the payload ends before.
    #[inline]
    pub fn arguments(&self) -> &[u8] {
        match &self.place {
            Place::Slot(run) => run.arguments(),
            Place::Single(arguments) => arguments,
        }
    }

    /// The item that runs is answered: the next one runs. False: there is none, for now.
    #[inline]
    pub fn go_on(&mut self, outcome: &FixedOutcome) -> bool {
        if let Place::Slot(run) = &mut self.place
            && run.has_next()
        {
            return run.go_on(outcome);
        }
        self.last = *outcome;
        false
    }

    /// The outcome of the item that ran last, if that is still to be published.
    pub(crate) fn pending(&self) -> Option<FixedOutcome> {
        match &self.place {
            Place::Slot(run) if run.is_laid() => None,
            _ => Some(self.last),
        }
    }
}

/// How [`Job::publish_fixed`](crate::Job::publish_fixed) ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedEnd {
    /// All is published, and there is nothing left to claim.
    Over,
    /// This item is claimed, and the payload has no bytes for it.
    Claimed(u32),
    /// The item claimed last is not published: it was not answered, or the first outcome is longer than there is room, or nothing.
    Answered,
}

/// An outcome in one piece, and more.
pub(crate) fn whole(head: u8, rest: &FixedOutcome) -> [u8; LONGEST] {
    let mut whole = [head; _];
    whole[1..].copy_from_slice(rest);
    whole
}
