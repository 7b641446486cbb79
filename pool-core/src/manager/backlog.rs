//! Frames that no worker has yet, in the order in which they were submitted.
//!
//! Keeps true: a frame that came back (from a dead worker, or recalled) goes before those that never left, and those that
//! came back go by their ranks; none of them is handed out to stand behind a later one, which might wait for it; the manager
//! hands out no more than there are. It has no bound, as CPython's has none: a bound would make `submit` block or fail,
//! and what waits here is what the caller decided to queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_queue::SegQueue;
use parking_lot::Mutex;
use pool_ipc::Frame;

/// The frames that wait for a worker.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Those that never left, pushed by any thread.
    fresh: SegQueue<Frame>,
    /// Those that came back, by rank.
    returned: Mutex<VecDeque<Frame>>,
    /// How many came back and are still here.
    overdue: AtomicUsize,
    /// How many are not reserved for a link.
    waiting: AtomicUsize,
    /// How many ranks were given.
    ranks: AtomicU64,
    /// How many are not posted, those in the feeder's hands included.
    unposted: AtomicUsize,
}

impl Backlog {
    /// Whether a frame that is posted now, past the backlog, overtakes nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.unposted.load(Ordering::SeqCst) == 0
    }

    /// Whether frames that came back are here, which only a worker that has nothing may be given.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::SeqCst) > 0
    }

    /// How many frames nobody has reserved.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The rank of a frame that is submitted now.
    pub(crate) fn next_rank(&self) -> u64 {
        self.ranks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a frame at the end.
    pub(crate) fn push(&self, frame: Frame) {
        self.unposted.fetch_add(1, Ordering::SeqCst);
        self.fresh.push(frame);
        self.waiting.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes frames back that were posted before.
    pub(crate) fn give_back(&self, frames: Vec<Frame>) {
        self.unposted.fetch_add(frames.len(), Ordering::SeqCst);
        self.file(frames);
    }

    /// Takes frames back that were popped and not posted.
    pub(crate) fn unpop(&self, frames: Vec<Frame>) {
        self.file(frames);
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

    /// Takes a frame that was reserved, to stand behind one of this rank. Once it is posted or resolved,
    /// [`settle`](Self::settle) says so.
    ///
    /// A task may wait for what was submitted before it, as long as workers begin in that order. What came back was overtaken,
    /// perhaps by tasks on all other workers that wait for it now: behind one of those it would never begin.
    pub(crate) fn pop_behind(&self, rank: u64) -> Popped {
        let mut returned = self.returned.lock();
        match returned.front() {
            Some(first) if first.rank < rank => Popped::Overdue,
            Some(_) => {
                self.overdue.fetch_sub(1, Ordering::SeqCst);
                returned.pop_front().map_or(Popped::Nothing, Popped::Frame)
            }
            None => self.fresh.pop().map_or(Popped::Nothing, Popped::Frame),
        }
    }

    fn pop(&self) -> Option<Frame> {
        match self.pop_behind(0) {
            Popped::Frame(frame) => Some(frame),
            Popped::Overdue | Popped::Nothing => None,
        }
    }

    /// A popped frame is posted or resolved.
    pub(crate) fn settle(&self) {
        self.settle_all(1);
    }

    /// So many are.
    pub(crate) fn settle_all(&self, count: usize) {
        self.unposted.fetch_sub(count, Ordering::SeqCst);
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

    /// Each to its place among those that came back.
    fn file(&self, frames: Vec<Frame>) {
        let count = frames.len();
        let mut returned = self.returned.lock();
        for frame in frames {
            let key = |frame: &Frame| (frame.rank, frame.window.start);
            let at = returned.partition_point(|other| key(other) < key(&frame));
            returned.insert(at, frame);
        }
        self.overdue.fetch_add(count, Ordering::SeqCst);
        drop(returned);
        self.waiting.fetch_add(count, Ordering::SeqCst);
    }
}

/// What there is for a link.
#[derive(Debug)]
pub(crate) enum Popped {
    Frame(Frame),
    /// Nothing, as what is first here must not stand behind what the link has.
    Overdue,
    Nothing,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn frame(number: u32) -> Frame {
        let mut frame = Frame::new(Arc::new(()), Vec::new(), 1);
        frame.window = number..number + 1;
        frame.rank = number.into();
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
    fn frames_that_came_back_at_different_times_go_by_rank() {
        let backlog = Backlog::default();
        backlog.give_back(vec![frame(4), frame(5), frame(9)]);
        backlog.give_back(vec![frame(1), frame(6)]);
        backlog.unpop(vec![frame(3)]);
        assert_eq!(drain(&backlog), [1, 3, 4, 5, 6, 9]);
        assert!(!backlog.is_overdue());
    }

    #[test]
    fn a_frame_that_came_back_stands_behind_no_later_one_and_a_fresh_one_behind_any() {
        let backlog = Backlog::default();
        backlog.push(frame(8));
        backlog.give_back(vec![frame(5)]);
        assert_eq!((backlog.reserve(9), backlog.is_overdue()), (2, true));
        assert!(matches!(backlog.pop_behind(6), Popped::Overdue));
        assert!(matches!(backlog.pop_behind(5), Popped::Frame(frame) if frame.rank == 5));
        assert!(matches!(backlog.pop_behind(u64::MAX), Popped::Frame(frame) if frame.rank == 8));
        assert!(matches!(backlog.pop_behind(0), Popped::Nothing));
    }

    #[test]
    fn no_more_is_reserved_than_waits_and_a_popped_frame_still_counts_as_unposted() {
        let backlog = Backlog::default();
        backlog.push(frame(0));
        backlog.push(frame(1));
        assert_eq!((backlog.reserve(5), backlog.reserve(5), backlog.waiting()), (2, 0, 0));
        let popped = backlog.pop().expect("two were reserved");
        assert!(!backlog.is_empty());
        backlog.unpop(vec![popped]);
        assert_eq!(backlog.waiting(), 1);
        assert_eq!(drain(&backlog), [0]);
    }
}
