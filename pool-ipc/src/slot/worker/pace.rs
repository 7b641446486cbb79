//! What a frame's items took here: for how long the worker had the frame, not for how long it waited for it.
//!
//! A hint, which the parent believes no more than anything else that it reads here: how much to post ahead depends on it.

use std::ops::DerefMut;
use std::sync::atomic::Ordering;

use super::{SlotJob, WorkerEnd, WorkerSide};
use crate::slot::layout::outcome;
use crate::slot::word::Word;

/// One frame of so many is timed: to ask the clock costs as much as a tenth of a task that does nothing.
const ONE_OF: u64 = 4;

impl<S: WorkerSide> WorkerEnd<S> {
    pub(super) fn times_this_frame(&self) -> bool {
        self.tells_pace && self.sequence.is_multiple_of(ONE_OF)
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Says it before the frame is left, for the look that follows the ring.
    pub(super) fn tell_pace(&self) {
        let Some(opened) = self.opened else { return };
        // Another lap's word, by now, has other counts; then this is not said.
        let word = Word::load(self.word());
        if word.lap() != self.lap || word.done() == 0 {
            return;
        }
        let each = opened.elapsed().as_nanos() / u128::from(word.done());
        let nanos = u64::try_from(each).unwrap_or(u64::MAX).max(1);
        self.memory.outcome.word(self.area + outcome::TOOK).store(nanos, Ordering::Relaxed);
    }
}
