//! What a frame's items took here: for how long the worker had the frame, not for how long it waited for it.
//!
//! A hint, which the parent believes no more than anything else that it reads here: how much to post ahead depends on it.

use std::ops::DerefMut;
use std::sync::atomic::Ordering;

use super::{SlotJob, WorkerEnd, WorkerSide};
use crate::slot::layout::outcome;
use crate::slot::word::Word;

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Says it before the frame is left, for the look that follows the ring.
    pub(super) fn tell_pace(&self) {
        // Another lap's word, by now, has other counts; then this is not said.
        let word = Word::load(self.word());
        let Some(opened) = self.opened.filter(|_| word.lap() == self.lap && word.done() > 0) else { return };
        let each = opened.elapsed().as_nanos() / u128::from(word.done());
        let nanos = u64::try_from(each).unwrap_or(u64::MAX).max(1);
        self.memory.outcome.word(self.area + outcome::TOOK).store(nanos, Ordering::Relaxed);
    }
}
