//! Frames that no worker has yet, in the order in which they were submitted.
//!
//! Keeps true: a frame that came back (from a dead worker, or recalled) goes before those that never left, and those that
//! came back go by their ranks; none of them is handed out to stand behind a later one, which might wait for it; the manager
//! hands out no more than there are. It has no bound, as CPython's has none: a bound would make `submit` block or fail,
//! and what waits here is what the caller decided to queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pool_ipc::Frame;

use crate::future::{Filling, Pack, Shared, unpacked, unpacked_first};

/// The frames that wait for a worker. What is counted of them are tasks, of which a pack has several; a map's frame is one.
#[derive(Default)]
pub(crate) struct Backlog {
    queue: Mutex<Queue>,
    /// How many frames came back and are still here. Changed under the lock, and looked at without.
    overdue: AtomicUsize,
    /// How many tasks are not reserved for a link. As above.
    waiting: AtomicUsize,
    /// How many ranks were given.
    ranks: AtomicU64,
    /// How many tasks are not posted, those in the feeder's hands included. As above.
    unposted: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    /// Frames that never left.
    fresh: VecDeque<Frame>,
    /// The pack behind them, to which small tasks are added.
    filling: Option<Filling>,
    /// Those that came back, by rank.
    returned: VecDeque<Frame>,
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

    /// How many tasks nobody has reserved.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// The rank of a frame that is submitted now.
    pub(crate) fn next_rank(&self) -> u64 {
        self.ranks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Adds a frame at the end.
    pub(crate) fn push(&self, frame: Frame) {
        let mut queue = self.queue.lock();
        queue.end_pack();
        self.count_in(tasks_of(&frame));
        queue.fresh.push_back(frame);
    }

    /// Adds a small task at the end, to those before it that have the same way: at most so many go together.
    pub(crate) fn push_small(&self, shared: &mut Arc<Shared>, request: &[u8], together: usize) {
        let mut queue = self.queue.lock();
        let rank = self.next_rank();
        if queue.filling.as_ref().is_some_and(|filling| filling.next_rank() != rank) {
            // Somebody has found an idle worker meanwhile.
            queue.end_pack();
        }
        let filling = queue.filling.get_or_insert_with(|| Filling::new(together, rank));
        filling.add(shared, request);
        if filling.len() >= together {
            queue.end_pack();
        }
        self.count_in(1);
    }

    /// Takes frames back that were posted before.
    pub(crate) fn give_back(&self, frames: Vec<Frame>) {
        self.file(frames, Coming::Back);
    }

    /// Takes frames back that were popped and not posted.
    pub(crate) fn unpop(&self, frames: Vec<Frame>) {
        self.file(frames, Coming::Unposted);
    }

    /// Sets tasks aside for the feeder to pop. Returns how many, at most `wanted`. Only the manager reserves.
    #[must_use]
    pub(crate) fn reserve(&self, wanted: usize) -> usize {
        let _queue = self.queue.lock();
        let waiting = self.waiting.load(Ordering::Relaxed);
        let reserved = waiting.min(wanted);
        self.waiting.store(waiting - reserved, Ordering::SeqCst);
        reserved
    }

    /// Gives up what was reserved and not popped.
    pub(crate) fn unreserve(&self, count: usize) {
        let _queue = self.queue.lock();
        self.wait_for(count);
    }

    /// Takes what was reserved, at most `most` tasks of it, to stand behind a frame of this rank. Once they are posted or
    /// resolved, [`settle_all`](Self::settle_all) says so.
    ///
    /// A task may wait for what was submitted before it, as long as workers begin in that order. What came back was overtaken,
    /// perhaps by tasks on all other workers that wait for it now: behind one of those it would never begin.
    pub(crate) fn pop_behind(&self, rank: u64, most: usize, cut: Cut) -> Popped {
        let mut queue = self.queue.lock();
        let is_back = match queue.returned.front() {
            Some(first) if first.rank < rank => return Popped::Overdue,
            first => first.is_some(),
        };
        if !is_back && queue.fresh.is_empty() {
            queue.end_pack();
        }
        let source = if is_back { &mut queue.returned } else { &mut queue.fresh };
        let Some(first) = source.front_mut() else { return Popped::Nothing };
        if tasks_of(first) > most {
            if cut == Cut::No {
                return Popped::TooMany;
            }
            let frames = unpacked_first(first, most);
            self.settle_locked(most - frames.len());
            return Popped::Tasks(frames, most);
        }
        let frame = source.pop_front();
        if is_back {
            self.overdue.store(self.overdue.load(Ordering::Relaxed) - 1, Ordering::SeqCst);
        }
        frame.map_or(Popped::Nothing, Popped::Frame)
    }

    /// So many popped tasks are posted or resolved.
    pub(crate) fn settle_all(&self, count: usize) {
        let _queue = self.queue.lock();
        self.settle_locked(count);
    }

    fn settle_locked(&self, count: usize) {
        self.unposted.store(self.unposted.load(Ordering::Relaxed) - count, Ordering::SeqCst);
    }

    /// Takes everything that is not reserved, each task by itself.
    pub(crate) fn take_all(&self) -> Vec<Frame> {
        let mut left = self.reserve(usize::MAX);
        let mut frames = Vec::new();
        while left > 0 {
            let (popped, tasks) = match self.pop_behind(0, left, Cut::Yes) {
                Popped::Frame(frame) => (vec![frame], None),
                Popped::Tasks(frames, tasks) => (frames, Some(tasks)),
                Popped::TooMany | Popped::Overdue | Popped::Nothing => break,
            };
            let tasks = tasks.unwrap_or_else(|| popped.iter().map(tasks_of).sum());
            // Those of a frame that was cut are settled by themselves.
            self.settle_all(popped.iter().map(tasks_of).sum());
            left -= tasks;
            frames.extend(popped.into_iter().flat_map(unpacked));
        }
        frames
    }

    /// Takes everything, also what is reserved: by a feeder that is no more.
    pub(crate) fn drain(&self) -> Vec<Frame> {
        let _all = self.reserve(usize::MAX);
        let pop = || match self.pop_behind(0, usize::MAX, Cut::No) {
            Popped::Frame(frame) => Some(frame),
            Popped::Tasks(..) | Popped::TooMany | Popped::Overdue | Popped::Nothing => None,
        };
        std::iter::from_fn(pop).inspect(|frame| self.settle_all(tasks_of(frame))).flat_map(unpacked).collect()
    }

    /// Counts what was just added, under the lock.
    fn count_in(&self, tasks: usize) {
        // Before the other, which puts both in order with what the caller looks at next.
        self.unposted.store(self.unposted.load(Ordering::Relaxed) + tasks, Ordering::Release);
        self.wait_for(tasks);
    }

    /// So many more wait. Under the lock.
    fn wait_for(&self, tasks: usize) {
        self.waiting.store(self.waiting.load(Ordering::Relaxed) + tasks, Ordering::SeqCst);
    }

    /// Each to its place among those that came back.
    fn file(&self, frames: Vec<Frame>, from: Coming) {
        let (count, tasks) = (frames.len(), frames.iter().map(tasks_of).sum());
        let mut queue = self.queue.lock();
        for frame in frames {
            let key = |frame: &Frame| (frame.rank, frame.window.start);
            let at = queue.returned.partition_point(|other| key(other) < key(&frame));
            queue.returned.insert(at, frame);
        }
        self.overdue.store(self.overdue.load(Ordering::Relaxed) + count, Ordering::SeqCst);
        match from {
            Coming::Back => self.count_in(tasks),
            Coming::Unposted => self.wait_for(tasks),
        }
    }
}

/// From where frames come that were here before.
enum Coming {
    /// They were posted.
    Back,
    /// From the feeder.
    Unposted,
}

impl Queue {
    /// Nothing is added any more to the pack that is being filled.
    fn end_pack(&mut self) {
        self.fresh.extend(self.filling.take().map(Filling::finish));
    }
}

/// How many tasks a frame counts for.
pub(crate) fn tasks_of(frame: &Frame) -> usize {
    Pack::members_of(frame).unwrap_or(1)
}

/// Whether a pack of more tasks than are wanted is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Yes,
    No,
}

/// What there is for a link.
#[derive(Debug)]
pub(crate) enum Popped {
    /// One that is to be posted as it is.
    Frame(Frame),
    /// The first of those that waited in a pack of more, each in a frame of its own, but for those that are done: so many
    /// tasks in all.
    Tasks(Vec<Frame>, usize),
    /// Nothing, as what is first here is a pack of more tasks, and was not to be cut.
    TooMany,
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

    fn pop(backlog: &Backlog, rank: u64) -> Popped {
        backlog.pop_behind(rank, 1, Cut::Yes)
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
        backlog.give_back(vec![frame(1), frame(3), frame(6)]);
        assert_eq!(backlog.reserve(2), 2);
        let popped = [pop(&backlog, 0), pop(&backlog, 0)].map(|popped| match popped {
            Popped::Frame(frame) => frame,
            other => panic!("{other:?}"),
        });
        backlog.unpop(popped.into());
        assert_eq!(drain(&backlog), [1, 3, 4, 5, 6, 9]);
        assert!(!backlog.is_overdue());
    }

    #[test]
    fn a_frame_that_came_back_stands_behind_no_later_one_and_a_fresh_one_behind_any() {
        let backlog = Backlog::default();
        backlog.push(frame(8));
        backlog.give_back(vec![frame(5)]);
        assert_eq!((backlog.reserve(9), backlog.is_overdue()), (2, true));
        assert!(matches!(pop(&backlog, 6), Popped::Overdue));
        assert!(matches!(pop(&backlog, 5), Popped::Frame(frame) if frame.rank == 5));
        assert!(matches!(pop(&backlog, u64::MAX), Popped::Frame(frame) if frame.rank == 8));
        assert!(matches!(pop(&backlog, 0), Popped::Nothing));
    }

    #[test]
    fn no_more_is_reserved_than_waits_and_a_popped_frame_still_counts_as_unposted() {
        let backlog = Backlog::default();
        backlog.push(frame(0));
        backlog.push(frame(1));
        assert_eq!((backlog.reserve(5), backlog.reserve(5), backlog.waiting()), (2, 0, 0));
        let Popped::Frame(popped) = pop(&backlog, 0) else { panic!("two were reserved") };
        assert!(!backlog.is_empty());
        backlog.unpop(vec![popped]);
        assert_eq!(backlog.waiting(), 1);
        assert_eq!(drain(&backlog), [0]);
    }
}
