//! Every decision of the manager: an event comes in, actions go out. Pure: no io, no thread, no clock, no process, so that
//! each policy is a table test.
//!
//! Keeps true:
//! 1. A worker that has nothing to do is offered to callers, or fed, or closed; never forgotten. Once the pool was shut down
//!    it stays as long as frames may come back to it.
//! 2. Workers start on demand, one for each frame that no other worker is there for, up to the maximum.
//! 3. A link is fed by pace: one frame ahead of none where tasks are long, many where they are short, and what waits behind
//!    a task that turns out long is taken back.
//! 4. Who never said hello is counted, and after a few of those in a row without any worker the pool is broken, instead of
//!    starting processes for ever.
//! 5. How many workers there are, and when one makes room for another, is said in [`staff`].
//! 6. Who takes nothing, though it has nothing, is tried again later: [`refusal`].

mod breaker;
mod crowd;
mod draining;
mod ending;
mod growth;
mod ladder;
mod leaving;
mod losses;
mod refusal;
mod retrying;
mod split;
mod staff;
mod strict;
mod timers;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use self::breaker::Breaker;
pub(crate) use self::breaker::RestartLimit;
use self::refusal::Taking;
use self::retrying::Retrying;
use self::staff::Staff;
pub(crate) use self::staff::{Staffing, allowance};
pub use self::strict::OnWorkerLoss;
use self::timers::Timer;
use self::worker::{Stage, Worker};
use crate::error::{Broken, Loss, LossTime};
use crate::manager::event::{Action, Event, Means, View};

/// How long a frame may wait behind another one at a worker before it is taken back.
const PATIENCE: Duration = Duration::from_millis(5);

/// How long after the breaker lets workers start again one is tried.
const RETRY: Duration = Duration::from_millis(100);

/// What the pool as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// Shut down; the backlog is still to be run.
    Draining,
    Broken,
    Finished,
}

/// The limits that the builder sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_workers: usize,
    /// How many frames a link of this backend takes.
    pub(crate) frames_a_link: usize,
    /// How many items may lie at a link at most, where these are short.
    pub(crate) items_ahead: usize,
    /// How long a worker may take to say hello.
    pub(crate) hello: Duration,
    pub(crate) staffing: Staffing,
    /// How long a worker that was asked to end may take to.
    pub(crate) stop_grace: Duration,
    /// Workers are processes, which can be ended.
    pub(crate) processes: bool,
    /// How many workers can run at once.
    pub(crate) processors: usize,
}

#[cfg(test)]
impl Limits {
    /// Those of a pool of one worker, for tests to which they are of no matter.
    pub(crate) fn of_one_worker() -> Self {
        Self {
            max_workers: 1,
            frames_a_link: 64,
            items_ahead: 64,
            hello: Duration::from_secs(30),
            staffing: Staffing::NONE,
            stop_grace: Duration::from_secs(1),
            processes: false,
            processors: usize::MAX,
        }
    }
}

/// The manager's mind.
#[derive(Debug)]
pub(crate) struct State {
    limits: Limits,
    phase: Phase,
    workers: BTreeMap<LinkId, Worker>,
    /// Workers that the feeder was told to start and has not reported.
    starting: BTreeSet<LinkId>,
    next_link: u64,
    breaker: Breaker,
    /// How many workers hold frames or are about to.
    loaded: usize,
    /// How many stand aside.
    aside: usize,
    /// How many feeds the feeder has not reported, those of workers that ended meanwhile included: it holds frames.
    feeds: usize,
    /// Workers do not start, and no further one is tried for a while.
    retrying: Retrying,
    timers: BTreeSet<(Instant, LinkId, Timer)>,
    /// Workers that were told to end, as long as they have something to run.
    leaving: BTreeSet<LinkId>,
    staff: Staff,
    broken: Option<Arc<Broken>>,
    /// All workers are being ended, those that come up later included.
    halted: Option<Means>,
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Open,
            workers: BTreeMap::new(),
            starting: BTreeSet::new(),
            next_link: 0,
            breaker: Breaker::new(limits.staffing.restarts),
            loaded: 0,
            aside: 0,
            feeds: 0,
            retrying: Retrying::new(),
            timers: BTreeSet::new(),
            leaving: BTreeSet::new(),
            staff: Staff::default(),
            broken: None,
            halted: None,
        }
    }

    /// When to send a [`Event::Tick`].
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(deadline, ..)| deadline)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// How long a worker that was asked to end may take to.
    pub(crate) fn stop_grace(&self) -> Duration {
        self.limits.stop_grace
    }

    /// Whether workers can be ended.
    pub(crate) fn has_processes(&self) -> bool {
        self.limits.processes
    }

    /// Whether frames that come to wait change nothing: all workers that there may be have something to do.
    pub(crate) fn is_sated(&self) -> bool {
        self.phase == Phase::Open && self.loaded > 0 && self.on_duty() >= self.limits.max_workers
    }

    /// Whether a worker was reported as started and has not ended.
    pub(crate) fn knows(&self, link: LinkId) -> bool {
        self.workers.contains_key(&link)
    }

    /// Whether a worker has said hello.
    pub(crate) fn has_greeted(&self, link: LinkId) -> bool {
        self.workers.get(&link).is_some_and(|worker| worker.greeted)
    }

    /// How many workers are offered to callers while nothing goes on, or `None` while something does.
    pub(crate) fn on_call(&self) -> Option<usize> {
        let is_calm = self.phase == Phase::Open && self.starting.is_empty() && self.feeds == 0;
        is_calm.then(|| self.workers.len() - self.staff.in_reserve())
    }

    pub(crate) fn broken(&self) -> Option<&Arc<Broken>> {
        self.broken.as_ref()
    }

    /// Takes an event in and appends what to do.
    pub(crate) fn step(&mut self, event: Event, view: View, actions: &mut Vec<Action>) {
        match event {
            Event::Submitted if self.phase == Phase::Broken => actions.push(Action::Break),
            Event::Submitted => self.start_on_demand(view, actions),
            Event::Started(link) => self.started(link, view, actions),
            Event::StartFailed(link, failure) => self.start_failed(link, failure, view, actions),
            Event::Ready(link) => self.ready(link, view, actions),
            Event::Unfit(link, broken) => {
                if let Some(worker) = self.workers.get_mut(&link) {
                    worker.stage = Stage::Closing;
                }
                self.break_down(broken, actions);
            }
            Event::Progress { link, count } => self.progress(link, count, view, actions),
            Event::Refused(link) => self.refused(link),
            Event::Fed(link) => self.fed(link, view, actions),
            // A link that was offered can only have had a frame to recall if a caller took it and posted there.
            Event::Recalled(link) | Event::Withdrawn(link) => {
                self.load(link, view.outstanding, |worker| worker.offered = false);
                self.employ(link, view, actions);
            }
            Event::Stolen { thief, frames: 0 } => self.rest(thief, view, actions),
            Event::Stolen { thief, .. } => self.employ(thief, view, actions),
            Event::Burdened(link) => self.burdened(link, view),
            Event::Halved { link, frames } => self.halved(link, frames, view),
            Event::Limited(link) => self.limited(link, actions),
            Event::Clocked { link, due, rests } => {
                let due = self.watch_rest(link, due, rests, view);
                self.clocked(link, due, view, actions);
            }
            Event::Measured { link, resident } => self.measured(link, resident, actions),
            Event::Condemned(link) => self.condemned(link, view, actions),
            Event::Cornered { link, holds } => self.cornered(link, holds, view, actions),
            Event::Ended { link, pid, cause, stderr, blamed } => {
                let loss = Loss { pid, cause, time: LossTime::Idle, stderr };
                self.ended(link, loss, blamed, view, actions);
            }
            Event::Survives { link, pid } => {
                self.survives(link);
                self.give_up_late_comer(link, pid, view, actions);
            }
            Event::Taken(link) => self.stays(link),
            Event::Resized(max_workers) => self.resize(max_workers),
            Event::ShutDown if self.phase == Phase::Open => {
                self.phase = Phase::Draining;
                self.dismiss_reserve(actions);
            }
            Event::ShutDown => {}
            Event::Halt(means) => self.halt(means, actions),
            Event::Tick => self.tick(view, actions),
        }
        self.settle(view, actions);
        self.time_leavers(view);
        self.finish_if_done(view, actions);
    }

    fn started(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        self.starting.remove(&link);
        let hello_by = view.now.checked_add(self.limits.hello);
        self.workers.insert(link, Worker { hello_by, ..Worker::starting() });
        self.timers.extend(hello_by.map(|deadline| (deadline, link, Timer::Hello)));
        if self.end_late_comer(link, actions) {
            return;
        }
        match self.phase {
            Phase::Draining if self.staff.is_in_reserve(link) => self.close(link, actions),
            Phase::Open if self.staff.is_in_reserve(link) => {}
            Phase::Open | Phase::Draining if view.waiting > 0 => self.feed(link, 1, view, actions),
            // It is employed, or sent home, when it has said hello.
            _ => {}
        }
    }

    fn ready(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        self.breaker.heard_hello();
        self.retrying.heard_hello();
        let mut hello_by = None;
        self.load(link, view.outstanding, |worker| {
            worker.greeted = true;
            hello_by = worker.hello_by.take();
            if worker.stage == Stage::Starting {
                worker.stage = Stage::Ready;
            }
        });
        if let Some(deadline) = hello_by {
            self.timers.remove(&(deadline, link, Timer::Hello));
        }
        self.has_come_up(link, view);
        self.look_as_it_was_limited(link, actions);
        self.employ(link, view, actions);
    }

    fn progress(&mut self, link: LinkId, count: usize, view: View, actions: &mut Vec<Action>) {
        self.load(link, view.outstanding, |worker| {
            // Where it was, a caller has posted to it: also if all that came of that was given back.
            worker.offered = false;
            worker.rests_since = None;
            worker.taking = Taking::Yes;
            worker.note_pace(count, view.now);
            worker.pace = view.pace.or(worker.pace);
        });
        self.breaker.saw_success();
        self.may_have_grown(link, view, actions);
        self.employ(link, view, actions);
    }

    fn fed(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        self.feeds -= 1;
        self.load(link, view.outstanding, |worker| worker.coming = 0);
        self.note_refusal(link, view);
        if let Some(worker) = self.workers.get_mut(&link)
            && worker.outstanding > 1
            && !worker.timed
        {
            worker.timed = true;
            self.timers.insert((view.now + PATIENCE, link, Timer::Patience));
        }
        self.employ(link, view, actions);
    }

    /// Gives a worker the next thing to do, if it can take one.
    fn employ(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get(&link) else { return };
        if worker.stage == Stage::Closing && !worker.is_loaded() {
            // Its place is free.
            self.staff.look_again();
        }
        if worker.coming > 0 || worker.offered || worker.stage == Stage::Closing {
            return;
        }
        if self.is_kept_back(link, view, actions) || self.is_left_alone(link, view) {
            return;
        }
        let Some(worker) = self.workers.get(&link) else { return };
        let (is_free, is_aside) = (worker.outstanding == 0, worker.stands_aside);
        let is_at_rest = is_free && worker.stage == Stage::Ready;
        if is_free && self.stands_aside(link, view) {
            return;
        }
        if is_aside {
            self.comes_forward(link);
        }
        if self.phase == Phase::Broken {
            if is_free {
                self.close(link, actions);
            }
        } else if view.waiting > 0
            && let Some(items) = self.share_of(link, view)
        {
            self.feed(link, items, view, actions);
        } else if is_at_rest && self.loaded > 0 {
            actions.push(Action::Steal { thief: link });
        } else if is_at_rest {
            self.rest(link, view, actions);
        }
    }

    /// How many items of those that wait a worker is to have, if it can take some.
    fn share_of(&self, link: LinkId, view: View) -> Option<usize> {
        let worker = self.workers.get(&link)?;
        let depth = worker.depth(self.limits.items_ahead);
        let is_free = worker.outstanding == 0;
        // One is being run, and is not unclaimed any more.
        let load = if is_free { 0 } else { view.unclaimed + 1 };
        let has_slots = worker.outstanding <= self.limits.frames_a_link / 2;
        let takes_some = load <= depth / 2 && has_slots && (is_free || !view.overdue);
        let fair = view.waiting.div_ceil(self.workers.len() - self.aside).max(1);
        takes_some.then(|| fair.min(depth - load).min(view.room))
    }

    fn feed(&mut self, link: LinkId, items: usize, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get(&link) else { return };
        let (outstanding, was_free) = (worker.outstanding, worker.outstanding == 0);
        self.load(link, outstanding, |worker| {
            worker.coming = items;
            if was_free && worker.stage == Stage::Ready {
                worker.since = Some(view.now);
            }
        });
        self.feeds += 1;
        actions.push(Action::Feed { link, items });
    }

    /// Changes a worker, and keeps count of those that have something to do.
    fn load(&mut self, link: LinkId, outstanding: usize, change: impl FnOnce(&mut Worker)) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        self.loaded -= usize::from(worker.is_loaded());
        worker.outstanding = outstanding;
        change(worker);
        self.loaded += usize::from(worker.is_loaded());
    }

    /// A worker that nobody needs now.
    fn rest(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        match self.phase {
            Phase::Open if worker.stage == Stage::Ready => {
                worker.offered = true;
                actions.push(Action::Offer(link));
                self.note_idle(link, view);
            }
            Phase::Draining if view.waiting > 0 => self.employ(link, view, actions),
            Phase::Draining if self.may_come_back(view) => {}
            _ => self.close(link, actions),
        }
    }

    fn close(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        if let Some(worker) = self.workers.get_mut(&link)
            && worker.stage != Stage::Closing
        {
            worker.stage = Stage::Closing;
            self.comes_forward(link);
            self.leaving.insert(link);
            self.staff.strike(link);
            actions.push(Action::Close(link));
        }
    }

    /// Starts workers for frames that nobody is there for. Frames that starting workers will take are not counted.
    fn start_on_demand(&mut self, view: View, actions: &mut Vec<Action>) {
        let view = self.employ_stayers(view, actions);
        if !matches!(self.phase, Phase::Open | Phase::Draining) || !self.may_start(view) {
            return;
        }
        let room = self.limits.max_workers.saturating_sub(self.on_duty());
        let wanted = room.min(view.waiting.saturating_sub(self.on_their_way()));
        (0..wanted).for_each(|_| self.recruit(view, actions));
        if wanted > 0 {
            self.staff.rise_to(self.on_duty());
        }
    }

    /// Whether it makes sense to start a worker now.
    fn may_start(&self, view: View) -> bool {
        let refused = self.retrying.is_pausing(view.now) && !self.is_deserted();
        // Others are there, or the pool would be broken: one at a time is tried until one says hello.
        let coming =
            || self.workers.values().any(|worker| worker.stage == Stage::Starting) || !self.starting.is_empty();
        !refused && self.breaker.is_open(view.now) && (!self.breaker.is_hopeless() || !coming())
    }

    fn start(&mut self, actions: &mut Vec<Action>) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.starting.insert(link);
        actions.push(Action::Start(link));
        link
    }

    /// There is no worker, and none is being started.
    fn is_deserted(&self) -> bool {
        self.workers.is_empty() && self.starting.is_empty()
    }

    fn finish_if_done(&mut self, view: View, actions: &mut Vec<Action>) {
        let nobody = self.is_deserted() && self.feeds == 0 && view.delayed == 0;
        match self.phase {
            Phase::Draining if nobody && view.waiting > 0 => self.start_on_demand(view, actions),
            Phase::Draining | Phase::Broken if nobody => {
                self.phase = Phase::Finished;
                actions.push(Action::Finish);
            }
            Phase::Draining | Phase::Broken
                if view.waiting == 0 && view.delayed == 0 && self.is_left_to_survivors() =>
            {
                actions.push(Action::LeaveBehind);
            }
            Phase::Draining if view.waiting == 0 && !self.may_come_back(view) => self.dismiss_stayers(actions),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
