//! The feeder thread (`QueueFeederThread`): carries frames from the backlog to links, and starts workers.
//!
//! It does what may take a while (starting a process, copying a large payload), so that outcomes never wait for it. Keeps
//! true: every order is reported back; a frame that it cannot post is given back or failed, never dropped. Decides nothing.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pool_ipc::{Frame, Link, LinkId, Owner, RefusedWhy, StartError};

use crate::error::{Broken, StartFailure, TaskError, refused};
use crate::future::{Pack, Posting, Sending, addressee, last_rank, panic_text, unpacked};
use crate::manager::backlog::{Cut, Popped, tasks_of};
use crate::manager::event::Event;
use crate::manager::orders::Order;
use crate::manager::pool::{Pool, has_timeout};
use crate::manager::work::Work;

/// Does what the manager ordered.
pub(crate) fn obey(pool: &Pool, order: Order) {
    match order {
        Order::Start(id) => start(pool, id),
        Order::Feed { link, frames, items } => feed(pool, &link, frames, items),
    }
}

fn start(pool: &Pool, id: LinkId) {
    // A backend is a value that anybody may have written; what it throws is its answer.
    let started = catch_unwind(AssertUnwindSafe(|| pool.recruit(id))).unwrap_or_else(|payload| {
        let source = std::io::Error::other(format!("the backend panicked: {}", panic_text(&*payload)));
        Err(StartError { doing: "starting a worker", path: None, source })
    });
    let event = match started {
        Ok(link) => {
            pool_ipc::tell!(Debug, "worker {} was started", link.pid());
            pool.enlist(link);
            Event::Started(id)
        }
        Err(error) => Event::StartFailed(id, StartFailure::System(error)),
    };
    pool.tell(event);
}

fn feed(pool: &Pool, link: &Arc<dyn Link>, frames: usize, items: usize) {
    let together = pool.packing().together(frames);
    let mut feeding = Feeding { pool, link, together, pile: Vec::new(), limited: false, several: false };
    // What the link has already may be later than anything that came back.
    let mut last = if link.outstanding() == 0 { 0 } else { u64::MAX };
    // The first frame is posted whatever it has.
    let (mut left, mut items) = (frames, items);
    let (mut cut, mut refused) = (Cut::Yes, false);
    while left > 0 && items > 0 {
        let (frames, tasks) = match pool.backlog.pop_behind(last, left, cut) {
            Popped::Frame(frame) => {
                // What is too large for the rest of this feed is somebody else's first.
                cut = if Pack::members_of(&frame).is_some() { Cut::No } else { cut };
                let tasks = tasks_of(&frame);
                (vec![frame], tasks)
            }
            Popped::Tasks(frames, tasks) => (frames, tasks),
            Popped::TooMany | Popped::Overdue => break,
            Popped::Nothing => {
                left = 0;
                break;
            }
        };
        left -= tasks;
        items = items.saturating_sub(frames.iter().map(|frame| frame.items() as usize).sum());
        last = frames.iter().map(last_rank).fold(last, u64::max);
        refused = feeding.take_all(frames).is_err();
        if refused {
            break;
        }
    }
    refused |= feeding.post_pile().is_err();
    // What was reserved goes back, too: it is somebody else's now.
    pool.backlog.unreserve(left);
    let Feeding { limited, several, .. } = feeding;
    if refused {
        pool.tell(Event::Refused(link.id()));
    }
    pool.tell(Event::Fed(link.id()));
    if several {
        pool.tell(Event::Burdened(link.id()));
    }
    if limited {
        pool.tell(Event::Limited(link.id()));
    }
}

/// How many small tasks go into one frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packing {
    /// At most so many.
    pub(crate) most: usize,
    /// A feed is to be at least so many frames: fewer could not be stolen in parts.
    pub(crate) frames_a_feed: usize,
}

impl Packing {
    /// For links that give back what was posted, or do not: one task of a frame is had back by taking back all.
    pub(crate) fn of(recall: bool) -> Self {
        Self { most: if recall { 64 } else { 1 }, frames_a_feed: 8 }
    }

    fn together(self, tasks: usize) -> usize {
        (tasks / self.frames_a_feed).clamp(1, self.most)
    }

    /// How many items may lie at a link of so many frames.
    pub(crate) fn items_ahead(self, frames_a_link: usize) -> usize {
        frames_a_link * self.most
    }
}

/// One link being fed.
struct Feeding<'a> {
    pool: &'a Pool,
    link: &'a Arc<dyn Link>,
    /// How many small tasks may go into one frame.
    together: usize,
    /// Those that are to.
    pile: Vec<Frame>,
    /// Whether something was posted that has a time limit, or several items.
    limited: bool,
    several: bool,
}

/// The link takes no more. What it was to have is in the backlog.
#[derive(Debug)]
struct TakesNoMore;

impl Feeding<'_> {
    fn take_all(&mut self, frames: Vec<Frame>) -> Result<(), TakesNoMore> {
        let mut frames = frames.into_iter();
        while let Some(frame) = frames.next() {
            if self.take(frame).is_err() {
                self.pool.backlog.unpop(frames.collect());
                return Err(TakesNoMore);
            }
        }
        Ok(())
    }

    /// Posts a frame, now or with others.
    fn take(&mut self, mut frame: Frame) -> Result<(), TakesNoMore> {
        let room = u32::try_from(self.link.room()).unwrap_or(u32::MAX);
        if self.together > 1 && Pack::may_have(&frame) {
            self.pile.push(frame);
            let is_full = self.pile.len() >= self.together.min(room.max(1) as usize);
            return if is_full { self.post_pile() } else { Ok(()) };
        }
        if self.post_pile().is_err() {
            self.pool.backlog.unpop(vec![frame]);
            return Err(TakesNoMore);
        }
        if Pack::members_of(&frame).is_some() {
            return if frame.items() <= room { self.post_pack(frame) } else { self.post_unpacked(frame) };
        }
        if 0 < room && room < frame.items() {
            // It may not run them all. The rest is for another one.
            self.pool.backlog.give_back(vec![frame.split_off(room)]);
        }
        self.post(frame)
    }

    /// Posts in one frame what was put aside for that, or by itself what cannot be.
    fn post_pile(&mut self) -> Result<(), TakesNoMore> {
        let pile = std::mem::take(&mut self.pile);
        let pack = if pile.len() > 1 { Pack::of(&pile) } else { None };
        match pack {
            Some(frame) => self.post_pack(frame),
            None => self.post_each(pile),
        }
    }

    fn post_pack(&mut self, frame: Frame) -> Result<(), TakesNoMore> {
        let (owner, window, tasks) = (Owner::clone(&frame.owner), frame.window.clone(), tasks_of(&frame));
        match catch_unwind(AssertUnwindSafe(|| Pack::post(frame, self.link))) {
            Ok(Sending::Posted) => {
                self.several = true;
                self.pool.backlog.settle_all(tasks);
                Ok(())
            }
            Ok(Sending::Full(frame)) => {
                self.pool.backlog.unpop(vec![frame]);
                Err(TakesNoMore)
            }
            // Somebody left, or it has no room for so much at once.
            Ok(Sending::Broken(frame) | Sending::Refused(frame)) => self.post_unpacked(frame),
            Err(payload) => {
                for (owner, item) in window.map(|item| addressee(Owner::clone(&owner), item)) {
                    self.fail_by_panic(&owner, item..item + 1, &*payload);
                }
                Ok(())
            }
        }
    }

    /// Posts the tasks of a pack by themselves.
    fn post_unpacked(&mut self, frame: Frame) -> Result<(), TakesNoMore> {
        let tasks = tasks_of(&frame);
        let frames = unpacked(frame);
        self.pool.backlog.settle_all(tasks - frames.len());
        self.post_each(frames)
    }

    fn post_each(&mut self, pile: Vec<Frame>) -> Result<(), TakesNoMore> {
        let mut frames = pile.into_iter();
        while let Some(frame) = frames.next() {
            if self.post(frame).is_err() {
                self.pool.backlog.unpop(frames.collect());
                return Err(TakesNoMore);
            }
        }
        Ok(())
    }

    fn post(&mut self, frame: Frame) -> Result<(), TakesNoMore> {
        self.limited |= has_timeout(&frame);
        self.several |= frame.items() > 1;
        let (owner, window) = (Owner::clone(&frame.owner), frame.window.clone());
        let work = Work::of(&owner);
        match catch_unwind(AssertUnwindSafe(|| work.post(frame, self.link))) {
            Ok(Posting::Posted | Posting::Cancelled) => self.pool.backlog.settle_all(1),
            Ok(Posting::Refused(refusal)) if matches!(refusal.why, RefusedWhy::Full | RefusedWhy::Closed) => {
                self.pool.backlog.unpop(vec![refusal.frame]);
                return Err(TakesNoMore);
            }
            Ok(Posting::Refused(refusal)) => {
                let error = refused(work.task(), &refusal.why);
                fail(self.pool, &work, window, &error);
            }
            Err(payload) => self.fail_by_panic(&owner, window, &*payload),
        }
        Ok(())
    }

    fn fail_by_panic(&self, owner: &Owner, window: Range<u32>, payload: &(dyn Any + Send)) {
        let (thread, message) = ("QueueFeederThread".to_owned(), panic_text(payload).to_owned());
        let error = TaskError::Broken(Arc::new(Broken::Internal { thread, message }));
        pool_ipc::tell!(Error, "posting a frame: {error}");
        fail(self.pool, &Work::of(owner), window, &error);
    }
}

fn fail(pool: &Pool, work: &Work<'_>, window: Range<u32>, error: &TaskError) {
    pool.run_callbacks(work.fail(window, error));
    pool.backlog.settle_all(1);
}

#[cfg(test)]
mod tests {
    use pool_ipc::{Backend, InProcess};

    use super::*;
    use crate::future::fake_link::FakeLink;
    use crate::manager::{Batch, Strength, TimeLimits};

    #[test]
    fn a_feed_ends_with_the_frame_that_has_the_last_of_the_items_asked_for() {
        let hub = InProcess::new().open().expect("threads need nothing");
        let strength = Strength { max_workers: 1, max_tasks: None, packing: Packing::of(true) };
        let pool = Pool::new(hub, Box::new(|| unreachable!("nobody is started")), TimeLimits::default(), strength);
        for _ in 0..10 {
            let batch = Batch::new("work", std::sync::Weak::<Pool>::new(), None, 100);
            pool.backlog.push(Frame::new(batch, Vec::new(), 100));
        }
        let posted = |items: usize| {
            let link = Arc::new(FakeLink::default());
            let frames = pool.backlog.reserve(items);
            feed(&pool, &(Arc::clone(&link) as _), frames, items);
            let posted = link.frames.lock().len();
            pool.take_back(std::mem::take(&mut *link.frames.lock()));
            assert_eq!(pool.backlog.waiting(), 10, "what was not posted is not reserved any more");
            posted
        };
        assert_eq!([1, 100, 101, 999, 4096].map(posted), [1, 1, 2, 10, 10]);
    }
}
