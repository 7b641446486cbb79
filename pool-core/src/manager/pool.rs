//! What the callers, the feeder and the manager share. No thread owns it, and no lock covers more than one named thing.
//!
//! Keeps true: a frame that `submit` accepted is resolved, whatever happens to the pool; only the manager decides; who is
//! told something wakes the manager.

mod desk;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pool_ipc::{Body, Frame, Hub, Link, LinkId, Owner, RefusedWhy, StartError, StartOrder};

use crate::error::{Broken, NoMemory, SubmitError, TaskError};
use crate::future::{Callback, Desk, Posting, Shared, panic_text, run_callback, unpacked};
use crate::manager::Manager;
use crate::manager::backlog::Backlog;
use crate::manager::ending::{Account, Force};
use crate::manager::event::Event;
use crate::manager::feeder::Packing;
use crate::manager::idle::Idle;
use crate::manager::orders::Orders;
use crate::manager::quota::Quota;
use crate::manager::state::allowance;
use crate::manager::stopping::Stop;
use crate::manager::time_limits::TimeLimits;
use crate::manager::work::Work;
use crate::sync::{Flag, Wakeup, plain};

/// Makes the order for the next worker.
pub(crate) type Recruiter = Box<dyn Fn() -> StartOrder + Send + Sync>;

/// How many workers there may be, how many items each of them runs, and how these travel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strength {
    pub(crate) max_workers: usize,
    pub(crate) max_tasks: Option<u32>,
    pub(crate) packing: Packing,
}

/// A pool, but for its threads.
pub(crate) struct Pool {
    pub(crate) hub: Arc<dyn Hub>,
    pub(crate) backlog: Backlog,
    pub(crate) orders: Orders<Manager>,
    recruiter: Recruiter,
    /// How many items a worker runs in its life.
    max_tasks: Option<u32>,
    packing: Packing,
    /// How many may run at a time.
    max_workers: AtomicUsize,
    /// What a submit does not say itself.
    time_limits: TimeLimits,
    pub(crate) idle: Idle,
    /// All links that have not ended, for whoever needs one by name.
    links: Mutex<BTreeMap<LinkId, Arc<dyn Link>>>,
    inbox: Mutex<Inbox>,
    /// Whether the manager was woken and has not looked into its inbox since.
    woken: Flag,
    /// See [`set_sated`](Self::set_sated).
    sated: AtomicBool,
    /// Somebody has come to wait for a result, and left the turns to the manager.
    waited: AtomicBool,
    gate: AtomicU8,
    broken: OnceLock<Arc<Broken>>,
    /// All workers were to be killed; who cannot be killed is not waited for.
    given_up: AtomicBool,
    ended: plain::Mutex<End>,
    has_ended: plain::Condvar,
    /// What became of tasks since the shutdown.
    pub(crate) account: Account,
    /// How many callers are taking something back from a link, which nobody else sees meanwhile.
    recalling: AtomicUsize,
    /// The process that made it. In a fork of that it is a shell.
    home: u64,
}

/// What the manager was told since it last looked. Bounded by the feeder's orders, and by the callers that cancel and add
/// callbacks, whose own doing it is.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) events: Vec<Event>,
    pub(crate) callbacks: Vec<Callback>,
    pub(crate) demands: Vec<Demand>,
    pub(crate) stops: Vec<Stop>,
    /// What waits for its next attempt may have been cancelled.
    pub(crate) withdrawn: bool,
    /// A cancel is over that a pool which ends had to wait for.
    pub(crate) recalled: bool,
}

/// What the owner of a pool asks for, beyond [`Event::ShutDown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Cancel what has not begun.
    CancelPending,
    /// End all workers, now or later.
    Force(Force),
    /// The feeder is gone, which is a bug of ours: resolve everything.
    Abandon,
}

/// How far the end of a pool has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    /// Workers that are threads go on, though they were to be ended.
    Hangs,
    Over,
}

const OPEN: u8 = 0;
const SHUT: u8 = 1;
const BROKEN: u8 = 2;
/// There are no further turns: nothing that is pushed now would be taken.
const FINISHED: u8 = 3;
/// The manager is gone, and runs no callbacks either.
const GONE: u8 = 4;

impl Pool {
    pub(crate) fn new(hub: Arc<dyn Hub>, recruiter: Recruiter, time_limits: TimeLimits, strength: Strength) -> Self {
        let Strength { max_workers, max_tasks, packing } = strength;
        Self {
            hub,
            backlog: Backlog::default(),
            orders: Orders::default(),
            recruiter,
            max_tasks,
            packing,
            max_workers: AtomicUsize::new(max_workers),
            time_limits,
            idle: Idle::default(),
            links: Mutex::default(),
            inbox: Mutex::default(),
            woken: Flag::new(),
            sated: AtomicBool::new(false),
            waited: AtomicBool::new(false),
            gate: AtomicU8::new(OPEN),
            broken: OnceLock::new(),
            given_up: AtomicBool::new(false),
            ended: plain::Mutex::new(End::NotYet),
            has_ended: plain::Condvar::new(),
            account: Account::default(),
            recalling: AtomicUsize::new(0),
            home: pool_ipc::fork_generation(),
        }
    }

    /// The limits of tasks whose submit says nothing.
    pub(crate) fn time_limits(&self) -> TimeLimits {
        self.time_limits
    }

    /// Whether tasks are taken.
    ///
    /// # Errors
    /// They are not, and why.
    pub(crate) fn admit(&self) -> Result<(), SubmitError> {
        if self.is_foreign() {
            return Err(SubmitError::Forked);
        }
        match self.gate.load(Ordering::SeqCst) {
            OPEN => Ok(()),
            SHUT => Err(SubmitError::ShutDown),
            _ => Err(self.broken.get().map_or(SubmitError::ShutDown, |broken| SubmitError::Broken(Arc::clone(broken)))),
        }
    }

    /// Takes a frame on: straight into the slot of an idle worker while nothing waits, else into the backlog.
    ///
    /// # Errors
    /// There is no room for its payload. Nothing was queued.
    pub(crate) fn submit(&self, frame: Frame) -> Result<(), SubmitError> {
        let owner = Owner::clone(&frame.owner);
        self.submit_for(&Work::of(&owner), frame)
    }

    /// The same, for who knows whose the frame is.
    fn submit_for(&self, work: &Work<'_>, mut frame: Frame) -> Result<(), SubmitError> {
        frame.rank = self.backlog.next_rank();
        match self.try_direct(work, frame)? {
            None => Ok(()),
            Some(frame) => {
                self.backlog.push(frame);
                self.nudge();
                self.fail_if_finished();
                Ok(())
            }
        }
    }

    /// Takes on a small task without limits or policies.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub(crate) fn submit_small(&self, shared: &mut Arc<Shared>, request: &[u8]) -> Result<(), SubmitError> {
        let together = self.packing.most;
        if together < 2 || self.backlog.is_empty() {
            let frame = Frame::new(Arc::<Shared>::clone(shared), Body::copied(request), 1);
            return self.submit_for(&Work::Single(shared), frame);
        }
        self.backlog.push_small(shared, request, together);
        self.nudge();
        self.fail_if_finished();
        Ok(())
    }

    /// Has the manager look at what waits, unless it does anyway when a worker has got on.
    fn nudge(&self) {
        if !self.sated.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Whether the manager needs not hear of what comes to wait: there is nobody to have it, and somebody whose progress
    /// is heard.
    pub(crate) fn set_sated(&self, sated: bool) {
        // Nobody but who takes the turns changes it.
        if self.sated.load(Ordering::Relaxed) != sated {
            self.sated.store(sated, Ordering::SeqCst);
        }
    }

    /// Gives the frame back where no idle worker took it.
    fn try_direct(&self, work: &Work<'_>, frame: Frame) -> Result<Option<Frame>, SubmitError> {
        if !self.backlog.is_empty() {
            return Ok(Some(frame));
        }
        let Some((link, take)) = self.idle.take() else { return Ok(Some(frame)) };
        let (limited, several) = (has_timeout(&frame), frame.items() > 1);
        let posting = catch_unwind(AssertUnwindSafe(|| work.post(frame, &link)));
        self.idle.taken(link.id(), take);
        let posting = posting.map_err(|payload| {
            self.tell(Event::Withdrawn(link.id()));
            let (thread, message) = (crate::thread::current().name().to_owned(), panic_text(&*payload).to_owned());
            SubmitError::Broken(Arc::new(Broken::Internal { thread, message }))
        })?;
        match posting {
            Posting::Posted => {
                if several {
                    self.tell(Event::Burdened(link.id()));
                }
                if limited {
                    self.tell(Event::Limited(link.id()));
                }
                Ok(None)
            }
            Posting::Cancelled => {
                self.tell(Event::Withdrawn(link.id()));
                Ok(None)
            }
            Posting::Refused(refusal) => {
                // Whatever is wrong with it, the manager has it again.
                self.tell(Event::Withdrawn(link.id()));
                match refusal.why {
                    RefusedWhy::NoMemory { size, errno } => {
                        Err(SubmitError::NoMemory(NoMemory::new(work.task(), size, errno)))
                    }
                    _ => Ok(Some(refusal.frame)),
                }
            }
        }
    }

    /// Takes frames back that were posted.
    pub(crate) fn take_back(&self, frames: impl IntoIterator<Item = Frame>) {
        let frames: Vec<Frame> = frames.into_iter().flat_map(unpacked).collect();
        frames.iter().for_each(|frame| Work::of(&frame.owner).unpost(&frame.window));
        self.backlog.give_back(frames);
    }

    /// How many callers may hold frames that they took back and that are on their way to the backlog.
    pub(crate) fn recalling(&self) -> usize {
        self.recalling.load(Ordering::SeqCst)
    }

    /// How many small tasks may share a frame.
    pub(crate) fn packing(&self) -> Packing {
        self.packing
    }

    /// How many workers may run tasks at a time.
    pub(crate) fn max_workers(&self) -> usize {
        self.max_workers.load(Ordering::Relaxed)
    }

    pub(crate) fn resize(&self, max_workers: usize) {
        if self.is_foreign() {
            return;
        }
        // Told under the lock, so that the last one who says is the last one heard.
        let mut inbox = self.inbox.lock();
        self.max_workers.store(max_workers, Ordering::Relaxed);
        inbox.events.push(Event::Resized(max_workers));
        drop(inbox);
        self.wake();
    }

    /// Starts a worker.
    pub(crate) fn recruit(&self, id: LinkId) -> Result<Arc<dyn Link>, StartError> {
        let link = self.hub.start(id, &(self.recruiter)())?;
        Ok(match self.max_tasks {
            None => link,
            Some(limit) => Arc::new(Quota::new(link, allowance(limit, id))),
        })
    }

    pub(crate) fn enlist(&self, link: Arc<dyn Link>) {
        self.links.lock().insert(link.id(), link);
    }

    pub(crate) fn discharge(&self, id: LinkId) {
        self.idle.forget(id);
        self.links.lock().remove(&id);
    }

    pub(crate) fn link(&self, id: LinkId) -> Option<Arc<dyn Link>> {
        self.links.lock().get(&id).cloned()
    }

    pub(crate) fn links(&self) -> Vec<Arc<dyn Link>> {
        self.links.lock().values().cloned().collect()
    }

    /// Tells the manager something.
    pub(crate) fn tell(&self, event: Event) {
        self.inbox.lock().events.push(event);
        self.wake();
    }

    pub(crate) fn demand(&self, demand: Demand) {
        self.inbox.lock().demands.push(demand);
        self.wake();
    }

    /// Has a task stopped, now or later.
    pub(crate) fn stop(&self, stop: Stop) {
        self.inbox.lock().stops.push(stop);
        self.wake();
    }

    /// Has the manager look at its inbox and the backlog.
    pub(crate) fn wake(&self) {
        // Whoever finds it woken has said before what it is to look at: it looks after it has forgotten that it was woken.
        if self.woken.raise() {
            self.hub.wake();
            // Nobody waits at the hub where the manager has left its turns to callers. Who leaves them then looks at `woken`.
            self.orders.call();
        }
    }

    /// Whether somebody has said something that no turn has heard.
    pub(crate) fn is_woken(&self) -> bool {
        self.woken.is_raised()
    }

    /// What was said since the last look, if anything was: nothing is said without a wake-up.
    pub(crate) fn take_inbox(&self) -> Option<Inbox> {
        if !self.is_woken() {
            return None;
        }
        self.woken.set(false);
        Some(std::mem::take(&mut *self.inbox.lock()))
    }

    /// Runs callbacks on the manager's thread, or here if that is gone.
    pub(crate) fn run_callbacks(&self, callbacks: Vec<Callback>) {
        if let Err(callbacks) = self.run_soon(callbacks) {
            callbacks.into_iter().for_each(run_callback);
        }
    }

    /// Takes no more tasks.
    pub(crate) fn shut(&self) {
        let _ = self.gate.compare_exchange(OPEN, SHUT, Ordering::SeqCst, Ordering::SeqCst);
        self.tell(Event::ShutDown);
    }

    pub(crate) fn break_down(&self, broken: Arc<Broken>) {
        // The first reason is the one.
        let _ = self.broken.set(broken);
        self.gate.fetch_max(BROKEN, Ordering::SeqCst);
    }

    /// What becomes of a task that will not run any more.
    pub(crate) fn verdict(&self) -> TaskError {
        self.broken.get().map_or(TaskError::ShutDown, |broken| TaskError::Broken(Arc::clone(broken)))
    }

    /// There are no further turns. What comes in from now on is failed by whoever brings it.
    pub(crate) fn finish(&self) {
        self.gate.fetch_max(FINISHED, Ordering::SeqCst);
        self.fail_if_finished();
    }

    /// The manager leaves, unless there are callbacks for it to run before. Later ones are run by whoever brings them.
    #[must_use]
    pub(crate) fn depart(&self) -> Vec<Callback> {
        let mut inbox = self.inbox.lock();
        let callbacks = std::mem::take(&mut inbox.callbacks);
        if callbacks.is_empty() {
            self.gate.store(GONE, Ordering::SeqCst);
        }
        callbacks
    }

    /// The manager and the feeder are done.
    pub(crate) fn end(&self) {
        *self.ended.lock() = End::Over;
        self.has_ended.notify_all();
    }

    /// Has all workers ended.
    pub(crate) fn force(&self, force: Force) {
        if force.at.is_none() {
            self.given_up.store(true, Ordering::SeqCst);
        }
        self.demand(Demand::Force(force));
    }

    /// Only workers are left that are threads, were to be ended, and go on.
    pub(crate) fn leave_behind(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        let mut ended = self.ended.lock();
        if *ended == End::NotYet {
            *ended = End::Hangs;
            self.has_ended.notify_all();
        }
    }

    /// Whether that was done. Who cannot be ended then is not waited for.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Waits for the end of manager and feeder. False: they were not done in time.
    pub(crate) fn wait_for_end(&self, limit: Option<Duration>) -> bool {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut ended = self.ended.lock();
        while *ended != End::Over {
            match deadline {
                None => self.has_ended.wait(&mut ended),
                Some(deadline) => match self.has_ended.wait_until(&mut ended, deadline) {
                    Wakeup::Look => {}
                    Wakeup::TooLate => return *ended == End::Over,
                },
            }
        }
        true
    }

    /// The same, but for workers that go on though they were to be ended: those have `grace` from then on.
    pub(crate) fn wait_unless_it_hangs(&self, grace: Duration) -> bool {
        let mut ended = self.ended.lock();
        while *ended == End::NotYet {
            self.has_ended.wait(&mut ended);
        }
        drop(ended);
        self.wait_for_end(Some(grace))
    }

    /// Whether manager and feeder are done.
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.lock() == End::Over
    }

    /// A frame that was pushed after the last turn would wait for ever.
    fn fail_if_finished(&self) {
        if self.gate.load(Ordering::SeqCst) < FINISHED {
            return;
        }
        let error = self.verdict();
        for frame in self.backlog.take_all() {
            self.run_callbacks(Work::of(&frame.owner).fail(frame.window, &error));
        }
    }
}

/// Whether the manager has to look when the frame's items begin.
pub(crate) fn has_timeout(frame: &Frame) -> bool {
    frame.terms.as_ref().is_some_and(|terms| terms.timeout.is_some())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("hub", &self.hub)
            .field("waiting", &self.backlog.waiting())
            .field("idle", &self.idle.len())
            .field("workers", &self.links.lock().len())
            .finish_non_exhaustive()
    }
}
