//! Frames that no worker has yet, in the order in which they were submitted.
//!
//! Keeps true: a frame that came back (from a dead worker, or recalled) goes before those that never left; the manager
//! hands out no more than there are. It has no bound, as CPython's has none: a bound would make `submit` block or fail,
//! and what waits here is what the caller decided to queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::SegQueue;
use parking_lot::Mutex;
use pool_ipc::Frame;

/// The frames that wait for a worker.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Those that never left, pushed by any thread.
    fresh: SegQueue<Frame>,
    /// Those that came back.
    returned: Mutex<VecDeque<Frame>>,
    /// How many are not reserved for a link.
    waiting: AtomicUsize,
    /// How many are not posted, those in the feeder's hands included.
    unposted: AtomicUsize,
}

impl Backlog {
    /// Whether a frame that is posted now, past the backlog, overtakes nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.unposted.load(Ordering::SeqCst) == 0
    }

    /// How many frames nobody has reserved.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Adds a frame at the end.
    pub(crate) fn push(&self, frame: Frame) {
        self.unposted.fetch_add(1, Ordering::SeqCst);
        self.fresh.push(frame);
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Puts frames that were posted before to the front, keeping their order.
    pub(crate) fn give_back(&self, frames: Vec<Frame>) {
        let count = frames.len();
        self.unposted.fetch_add(count, Ordering::SeqCst);
        self.put_front(frames);
    }

    /// Puts a frame that was popped and not posted to the front.
    pub(crate) fn unpop(&self, frame: Frame) {
        self.put_front(vec![frame]);
    }

    /// Sets frames aside for the feeder to pop. Returns how many, at most `wanted`. Only the manager reserves.
    #[must_use]
    pub(crate) fn reserve(&self, wanted: usize) -> usize {
        let take = |waiting: usize| Some(waiting - waiting.min(wanted));
        let before = self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        before.unwrap_or_default().min(wanted)
    }

    /// Gives up what was reserved and not popped.
    pub(crate) fn unreserve(&self, count: usize) {
        self.waiting.fetch_add(count, Ordering::SeqCst);
    }

    /// Takes a frame that was reserved. Once it is posted or resolved, [`settle`](Self::settle) says so.
    pub(crate) fn pop(&self) -> Option<Frame> {
        let returned = self.returned.lock().pop_front();
        returned.or_else(|| self.fresh.pop())
    }

    /// A popped frame is posted or resolved.
    pub(crate) fn settle(&self) {
        self.unposted.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes everything that is not reserved.
    pub(crate) fn take_all(&self) -> Vec<Frame> {
        let count = self.reserve(usize::MAX);
        (0..count).filter_map(|_| self.pop()).inspect(|_| self.settle()).collect()
    }

    /// Takes everything, also what is reserved: by a feeder that is no more.
    pub(crate) fn drain(&self) -> Vec<Frame> {
        let _all = self.reserve(usize::MAX);
        std::iter::from_fn(|| self.pop()).inspect(|_| self.settle()).collect()
    }

    fn put_front(&self, frames: Vec<Frame>) {
        let count = frames.len();
        let mut returned = self.returned.lock();
        frames.into_iter().rev().for_each(|frame| returned.push_front(frame));
        drop(returned);
        self.waiting.fetch_add(count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(number: u32) -> Frame {
        let mut frame = Frame::new(Arc::new(()), Vec::new(), 1);
        frame.window = number..number + 1;
        frame
    }

    fn drain(backlog: &Backlog) -> Vec<u32> {
        backlog.take_all().into_iter().map(|frame| frame.window.start).collect()
    }

    #[test]
    fn frames_that_came_back_go_first_and_in_order() {
        let backlog = Backlog::default();
        backlog.push(frame(3));
        backlog.give_back(vec![frame(1), frame(2)]);
        assert_eq!(drain(&backlog), [1, 2, 3]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn no_more_is_reserved_than_waits_and_a_popped_frame_still_counts_as_unposted() {
        let backlog = Backlog::default();
        backlog.push(frame(0));
        backlog.push(frame(1));
        assert_eq!((backlog.reserve(5), backlog.reserve(5), backlog.waiting()), (2, 0, 0));
        let popped = backlog.pop().expect("two were reserved");
        assert!(!backlog.is_empty());
        backlog.unpop(popped);
        assert_eq!(backlog.waiting(), 1);
        assert_eq!(drain(&backlog), [0]);
    }
}
