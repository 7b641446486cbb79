//! The state of a future, without its type: where the task is, what came of it, and who is to hear of that.
//!
//! ```text
//!            post_with                                        complete
//!   Queued ------------> Posted      Running ---------+----------------------> Done
//!     |  ^                 |            ^             |  (from Queued, Posted and Running)  ^
//!     |  +-----------------+            |                                                   |
//!     |        unpost                   | set_running_or_notify_cancel (from Queued)        |
//!     |                                                                                     |
//!     +-- cancel ---------------------------------------------------------------------------+
//!         (from Queued; from Posted where the link gives the frame back)
//! ```
//!
//! Keeps true:
//! 1. The outcome is set once, under the lock, by the step to Done, and never changes. That it is there is seen without the
//!    lock.
//! 2. Listeners are taken out in that same step. Each is called once, by the thread that took it out, after the lock.
//! 3. Lock order: the future's lock, then the link's. Links never call back into futures.
//!
//! Never calls code that is not the pool's own while it holds the lock, and never decodes.

use std::mem;
use std::sync::{Arc, Weak};
use std::time::Instant;

use pool_ipc::{Frame, Link, LinkId, Owner, Ticket};

use crate::error::TaskError;
use crate::future::desk::{Callback, Desk, attend, never_from};
use crate::future::is_past;
use crate::future::listeners::Listeners;
use crate::future::listening::Sleepers;
use crate::future::origin::Origin;
use crate::future::pack::{Pack, Rest, Returned};
use crate::future::place::Place;
use crate::future::retry::Retry;
use crate::future::snapshot::FutureState;
use crate::future::value::{Conclusion, Encoded};
use crate::sync::{AtomicBool, AtomicU32, Condvar, Mutex, MutexGuard, Ordering, Wakeup, wait};

/// What all handles of a future share with the one who completes it.
pub(crate) struct Shared {
    origin: Arc<Origin>,
    /// How many `Future` handles there are, the first from the beginning. Who completes the future is not counted.
    handles: AtomicU32,
    /// There is an outcome: set once, under the lock, and looked at without.
    is_done: AtomicBool,
    /// The task is cancelled, and a completer has heard of it. Set under the lock.
    is_notified: AtomicBool,
    pub(super) state: Mutex<State>,
    /// Notified once, when the outcome is there.
    pub(super) done: Condvar,
}

pub(super) struct State {
    place: Place,
    /// What most futures do without.
    rare: Option<Box<Rare>>,
}

#[derive(Default)]
struct Rare {
    /// The task is not to begin any more, should the pool have it back, and ends with this then.
    barred: Option<TaskError>,
    listeners: Listeners,
}

impl State {
    pub(super) fn is_done(&self) -> bool {
        self.place.is_done()
    }

    fn is_barred(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.barred.is_some())
    }

    /// Those that listen, for one more.
    pub(super) fn listeners(&mut self) -> &mut Listeners {
        &mut self.rare.get_or_insert_default().listeners
    }

    /// Those that listen, if anybody ever has.
    pub(super) fn listeners_there(&mut self) -> Option<&mut Listeners> {
        self.rare.as_mut().map(|rare| &mut rare.listeners)
    }
}

/// What came of an attempt to post a future's task.
#[derive(Debug)]
#[must_use]
pub(crate) enum Posting<E> {
    /// It is posted, and the future knows where.
    Posted,
    /// The future was cancelled, or completed in another way, before: nothing was posted.
    Cancelled,
    /// The attempt failed with this, and the future is where it was.
    Refused(E),
}

/// Why there is no outcome to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoOutcome {
    /// The deadline passed.
    TooLate,
    /// The calling thread is the one that would have to bring it.
    WouldDeadlock,
    /// It comes to the process that this one was forked from.
    Forked,
}

/// What a completed future leaves behind, to be called or dropped after the lock.
#[must_use]
pub(super) struct Settled {
    pub(super) listeners: Option<Listeners>,
    /// There is an error, and it is not that the task was cancelled.
    pub(super) failed: bool,
    /// Holds a link, whose last owner this may be.
    _place: Place,
}

impl Shared {
    /// A future that is queued. Its callbacks run on the desk's thread.
    pub(crate) fn new(task: &'static str, desk: Weak<dyn Desk>) -> Arc<Self> {
        Self::with_retry(task, desk, None)
    }

    /// One whose task may be run again.
    pub(crate) fn with_retry(task: &'static str, desk: Weak<dyn Desk>, retry: Option<Box<Retry>>) -> Arc<Self> {
        Self::of(Origin::new(task, desk, retry))
    }

    /// One more of this origin.
    pub(crate) fn of(origin: Arc<Origin>) -> Arc<Self> {
        Arc::new(Self {
            origin,
            handles: AtomicU32::new(1),
            is_done: AtomicBool::new(false),
            is_notified: AtomicBool::new(false),
            state: Mutex::new(State { place: Place::Queued, rare: None }),
            done: Condvar::new(),
        })
    }

    /// The task's name.
    pub(crate) fn task(&self) -> &'static str {
        self.origin.task
    }

    /// What is to become of failures.
    pub(crate) fn retry(&self) -> Option<&Retry> {
        self.origin.retry.as_deref()
    }

    /// Who runs its callbacks.
    pub(super) fn desk(&self) -> &Weak<dyn Desk> {
        &self.origin.desk
    }

    /// Posts the task unless it is cancelled: that cannot happen while `post` runs, under the future's lock.
    pub(crate) fn post_with<E>(&self, post: impl FnOnce() -> Result<(Arc<dyn Link>, Ticket), E>) -> Posting<E> {
        let mut state = self.state.lock();
        if state.is_done() {
            return Posting::Cancelled;
        }
        if let Some(error) = state.rare.as_mut().and_then(|rare| rare.barred.take()) {
            let settled = self.settle(&mut state, Err(self.last_error(error)));
            drop(state);
            let callbacks = self.announce(settled);
            self.hand_over(callbacks);
            return Posting::Cancelled;
        }
        let posted = match post() {
            Ok(posted) => Box::new(posted),
            Err(error) => return Posting::Refused(error),
        };
        let before = mem::replace(&mut state.place, Place::Posted(posted));
        drop(state);
        drop(before);
        Posting::Posted
    }

    /// Hears that the task waits in a pack: nobody else knows the future yet, as a rule. False if it is not to run.
    pub(super) fn begin_in(this: &mut Arc<Self>, pack: &Arc<Pack>, item: u32) -> bool {
        match Arc::get_mut(this) {
            Some(shared) => {
                shared.state.get_mut().place = Place::Packed { pack: Arc::clone(pack), item };
                true
            }
            None => this.load_onto(pack, item),
        }
    }

    /// Hears that the task goes into a pack. False if it is not to run.
    pub(super) fn load_onto(&self, pack: &Arc<Pack>, item: u32) -> bool {
        let mut state = self.state.lock();
        if state.is_done() || state.is_barred() {
            return false;
        }
        let before = mem::replace(&mut state.place, Place::Packed { pack: Arc::clone(pack), item });
        drop(state);
        drop(before);
        true
    }

    /// The pool has taken the task back from where it was posted.
    pub(crate) fn unpost(&self) {
        let mut state = self.state.lock();
        if let Place::Posted(_) | Place::Packed { .. } = state.place {
            let before = mem::replace(&mut state.place, Place::Queued);
            drop(state);
            drop(before);
        }
    }

    /// Whether nobody needs to run the task any more because it was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_done() && matches!(&self.state.lock().place, Place::Error(error) if error.is_cancellation())
    }

    /// Whether there is an error, and it is not that the task was cancelled.
    pub(super) fn has_failed(&self) -> bool {
        self.outcome().as_ref().and_then(Conclusion::error).is_some_and(|error| !error.is_cancellation())
    }

    /// Whether there is an outcome.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Brings the outcome and wakes all who wait for it. The callbacks are the caller's to run, in this order, with
    /// [`run_callback`](crate::future::run_callback). A second outcome is dropped.
    #[must_use = "the callbacks are to be run"]
    pub(crate) fn complete(&self, outcome: Result<Encoded, TaskError>) -> Vec<Callback> {
        self.try_complete(outcome).unwrap_or_else(|state| self.note_second_outcome(state))
    }

    /// The same, but that threads which sleep in the future are woken later.
    #[must_use = "the callbacks are to be run"]
    pub(crate) fn complete_with(
        self: &Arc<Self>,
        outcome: Result<Encoded, TaskError>,
        sleepers: &mut Sleepers,
    ) -> Vec<Callback> {
        let settled = self.try_settle(outcome).map(|settled| self.announce_with(settled, sleepers));
        settled.unwrap_or_else(|state| self.note_second_outcome(state))
    }

    /// The same, but that nobody is woken who waits: [`wake_waiters`](Self::wake_waiters) does that.
    #[must_use = "the callbacks are to be run"]
    pub(crate) fn complete_quietly(&self, outcome: Result<Encoded, TaskError>) -> Vec<Callback> {
        let settled = self.try_settle(outcome).map(|settled| self.call_listeners(settled));
        settled.unwrap_or_else(|state| self.note_second_outcome(state))
    }

    fn note_second_outcome(&self, state: FutureState) -> Vec<Callback> {
        pool_ipc::tell!(Debug, "the future of task {} is {state} and was completed again", self.task());
        Vec::new()
    }

    /// Brings the outcome, or says why none can be brought any more.
    pub(super) fn try_complete(&self, outcome: Result<Encoded, TaskError>) -> Result<Vec<Callback>, FutureState> {
        self.try_settle(outcome).map(|settled| self.announce(settled))
    }

    fn try_settle(&self, outcome: Result<Encoded, TaskError>) -> Result<Settled, FutureState> {
        let mut state = self.state.lock();
        if state.is_done() {
            return Err(self.snapshot_of(&state));
        }
        Ok(self.settle(&mut state, outcome))
    }

    /// Cancels the task if it has not begun. True if it is cancelled, by this call or before.
    pub(crate) fn cancel(&self) -> bool {
        let desk = self.desk().upgrade();
        if self.is_done() || desk.as_ref().is_some_and(|desk| desk.is_foreign()) {
            return self.is_cancelled();
        }
        attend(desk.as_deref());
        let mut callbacks = Vec::new();
        let mut take_back = || {
            let (due, recalled) = self.end_unbegun(self.state.lock(), &TaskError::Cancelled);
            callbacks = due;
            recalled.into_iter().collect()
        };
        match &desk {
            Some(desk) => desk.recall(&mut take_back),
            None => drop(take_back()),
        }
        if let (Some(_), Some(desk)) = (self.retry(), desk) {
            desk.withdrawn();
        }
        self.hand_over(callbacks);
        self.is_cancelled()
    }

    /// Ends the task with this error if it has not begun; one that may have does not begin again. Gives the callbacks, which
    /// are the caller's to run, and what was taken back besides.
    pub(crate) fn withdraw(&self, error: &TaskError) -> (Vec<Callback>, Option<Recall>) {
        let mut state = self.state.lock();
        state.rare.get_or_insert_default().barred.get_or_insert_with(|| error.clone());
        self.end_unbegun(state, error)
    }

    /// Whether the task is not to begin again.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.state.lock().is_barred()
    }

    fn end_unbegun(&self, mut state: MutexGuard<'_, State>, error: &TaskError) -> (Vec<Callback>, Option<Recall>) {
        let recalled = match Self::take_back(&state.place) {
            TakenBack::Yes(recalled) => recalled,
            TakenBack::No(recalled) => return (Vec::new(), recalled),
        };
        let settled = self.settle(&mut state, Err(self.last_error(error.clone())));
        drop(state);
        (self.announce(settled), recalled)
    }

    /// The error of a task that does not begin any more, and may have failed before.
    fn last_error(&self, error: TaskError) -> TaskError {
        match self.retry() {
            None => error,
            Some(retry) => retry.last_error(self.task(), 0, error),
        }
    }

    /// Has the task stopped: cancelled, if it has not begun. False if it was done before.
    pub(super) fn kill(self: &Arc<Self>) -> bool {
        if self.is_done() || self.cancel() {
            return self.is_cancelled();
        }
        let desk = self.desk().upgrade().filter(|desk| !desk.is_foreign());
        if let Some(desk) = &desk {
            let owner: Owner = Arc::<Self>::clone(self);
            desk.kill(owner);
        }
        desk.is_some()
    }

    /// Says that the task begins, or hears that it was cancelled. True if it is to run.
    pub(super) fn set_running_or_notify_cancel(&self) -> bool {
        let mut state = self.state.lock();
        match &state.place {
            Place::Queued => state.place = Place::Running,
            Place::Posted(_) | Place::Packed { .. } | Place::Running => {}
            Place::Error(error) => {
                self.is_notified.store(error.is_cancellation(), Ordering::Relaxed);
                return false;
            }
            Place::Small(_) | Place::Value(_) => return false,
        }
        true
    }

    /// The outcome, if it is there.
    pub(super) fn outcome(&self) -> Option<Conclusion> {
        if self.is_done() { self.state.lock().place.conclusion() } else { None }
    }

    /// Waits for the outcome: for ever without a deadline, and not at all with one that has passed.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Result<Conclusion, NoOutcome> {
        if let Some(outcome) = self.outcome() {
            return Ok(outcome);
        }
        let desk = self.desk().upgrade();
        if is_past(deadline) {
            attend(desk.as_deref());
            return Err(NoOutcome::TooLate);
        }
        if let Some(desk) = desk {
            if let Some(never) = never_from(&*desk) {
                return Err(never);
            }
            desk.take_turns(&|| self.is_done(), deadline);
        }
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = state.place.conclusion() {
                return Ok(outcome);
            }
            if wait(&self.done, &mut state, deadline) == Wakeup::TooLate {
                return state.place.conclusion().ok_or(NoOutcome::TooLate);
            }
        }
    }

    /// Why the calling thread would wait for ever: it would bring the outcome itself, or another process will. If it would
    /// not, it is waited for from now on.
    pub(super) fn never(&self) -> Option<NoOutcome> {
        let desk = self.desk().upgrade()?;
        let never = never_from(&*desk);
        if never.is_none() {
            desk.attend();
        }
        never
    }

    /// Somebody looks at this future, or is going to, who does not wait for it: the outcome is to come without that.
    pub(super) fn attend(&self) {
        attend(self.desk().upgrade().as_deref());
    }

    /// Whether this process is a fork of the one that the future is completed in. A future without a desk is at home
    /// wherever it is.
    fn is_foreign(&self) -> bool {
        self.desk().upgrade().is_some_and(|desk| desk.is_foreign())
    }

    /// Which of the states it is in, at one moment.
    pub(super) fn snapshot(&self) -> FutureState {
        if !self.is_done() {
            self.attend();
        }
        self.snapshot_of(&self.state.lock())
    }

    pub(super) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_handle(&self) {
        // Pairs with the load in `has_one_handle`: what was done through this handle is over.
        self.handles.fetch_sub(1, Ordering::Release);
    }

    /// Asked by a handle: whether it is the only one.
    pub(super) fn has_one_handle(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 1
    }

    fn snapshot_of(&self, state: &State) -> FutureState {
        match &state.place {
            Place::Queued => FutureState::Pending,
            Place::Posted(posted) if !self.is_foreign() && posted.0.is_running(posted.1, 0) => FutureState::Running,
            Place::Packed { pack, item } if !self.is_foreign() && pack.is_running(*item) => FutureState::Running,
            Place::Posted(_) | Place::Packed { .. } => FutureState::Pending,
            Place::Running => FutureState::Running,
            Place::Small(_) | Place::Value(_) => FutureState::Returned,
            Place::Error(error) if !error.is_cancellation() => FutureState::Failed,
            Place::Error(_) if self.is_notified.load(Ordering::Relaxed) => FutureState::CancelledAndNotified,
            Place::Error(_) => FutureState::Cancelled,
        }
    }

    fn take_back(place: &Place) -> TakenBack {
        match place {
            Place::Queued => TakenBack::Yes(None),
            Place::Posted(posted) => {
                let (link, ticket) = &**posted;
                match link.recall(*ticket) {
                    Some(_frame) => TakenBack::Yes(Some(Recall { link: link.id(), rest: None })),
                    None => TakenBack::No(None),
                }
            }
            Place::Packed { pack, item } => match pack.recall(*item) {
                Returned::Yes(rest) => TakenBack::Yes(rest.map(Recall::with)),
                Returned::No(rest) => TakenBack::No(rest.map(Recall::with)),
            },
            Place::Running | Place::Small(_) | Place::Value(_) | Place::Error(_) => TakenBack::No(None),
        }
    }

    /// The one step to an outcome. The caller holds the lock and has seen that there is none.
    fn settle(&self, state: &mut State, outcome: Result<Encoded, TaskError>) -> Settled {
        debug_assert!(!state.is_done(), "the outcome is only set here, under the lock, by callers that saw none");
        let failed = outcome.as_ref().is_err_and(|error| !error.is_cancellation());
        self.is_done.store(true, Ordering::Release);
        let listeners = state.rare.take().map(|rare| rare.listeners);
        Settled { listeners, failed, _place: mem::replace(&mut state.place, Conclusion::from(outcome).into()) }
    }
}

/// Whether a task could be had back before it began, and what a link has given back for that.
enum TakenBack {
    Yes(Option<Recall>),
    /// It has begun, or ended, or is cancelled already.
    No(Option<Recall>),
}

/// A link has room now, and will not say so.
pub(crate) struct Recall {
    pub(crate) link: LinkId,
    /// Other tasks that were taken back along with the one that was asked for.
    pub(crate) rest: Option<Frame>,
}

impl Recall {
    fn with((link, frame): Rest) -> Self {
        Self { link, rest: Some(frame) }
    }
}

/// Beside this a pending future has the two counts of its `Arc`, its handle and its place in a pack.
#[cfg(all(target_os = "linux", target_pointer_width = "64", not(loom)))]
const _: () = assert!(size_of::<Shared>() <= 56);
