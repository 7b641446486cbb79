//! A simulated worker: the real end of a link, led by dice from one step to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::simulation::{Far, Looked, Near};
use pool_ipc::{ExitCause, LinkId};

use crate::error::RemoteError;
use crate::simulation::book::Book;
use crate::simulation::plan::Trouble;
use crate::simulation::policy::Fate;
use crate::simulation::random::Random;
use crate::simulation::request;
use crate::simulation::world::State;
use crate::wire::Greeting;

/// One worker.
pub(super) struct Worker {
    id: LinkId,
    pub(super) pid: u32,
    pub(super) near: Arc<Near>,
    far: Far,
    stage: Stage,
    /// The item that it has claimed.
    task: Option<(u64, u32)>,
    pub(super) begun_at: Duration,
    /// It was asked to end, and the item that it runs minds that.
    asked: bool,
    /// When it took its last frame, and when it left it.
    pub(super) took_at: Duration,
    left_at: Duration,
    /// Since when it serves.
    up_since: Duration,
    /// The task stands still until it is let go.
    pub(super) held: bool,
    /// Until then it is busy, or not scheduled.
    busy_until: Duration,
    /// Until then nobody hears its bell.
    bell_due: Duration,
    /// What it said that nobody has heard.
    pub(super) said: VecDeque<Vec<u8>>,
    /// How it ended, and when that is seen.
    exit: Option<(ExitCause, Duration)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Booting,
    /// It does nothing more, and lives.
    Mute,
    Serving,
    Gone,
}

impl Worker {
    pub(super) fn new(id: LinkId, pid: u32, near: Arc<Near>, far: Far) -> Self {
        let (stage, said, zero) = (Stage::Booting, VecDeque::new(), Duration::ZERO);
        let (task, held, asked, exit) = (None, false, false, None);
        let (busy_until, bell_due, begun_at) = (zero, zero, zero);
        let (up_since, took_at, left_at) = (zero, zero, zero);
        Self {
            id,
            pid,
            near,
            far,
            stage,
            task,
            begun_at,
            asked,
            took_at,
            left_at,
            up_since,
            held,
            busy_until,
            bell_due,
            said,
            exit,
        }
    }

    /// Whether it has a step to make.
    pub(super) fn is_runnable(&self, now: Duration, released: bool) -> bool {
        let awake = match self.stage {
            Stage::Booting => true,
            Stage::Mute | Stage::Gone => false,
            Stage::Serving => self.far.is_awake(),
        };
        awake && self.busy_until <= now && (!self.held || released)
    }

    pub(super) fn rings(&self, now: Duration) -> bool {
        self.bell_due <= now
    }

    pub(super) fn has_ended(&self, now: Duration) -> bool {
        self.exit.is_some_and(|(_, due)| due <= now)
    }

    pub(super) fn cause(&self) -> ExitCause {
        self.exit.map_or(ExitCause::Unknown, |(cause, _)| cause)
    }

    pub(super) fn is_running(&self) -> bool {
        self.task.is_some() && self.stage == Stage::Serving
    }

    /// How long it has served, and for how long it has had nothing to do, if that is so.
    pub(super) fn idle_age(&self, now: Duration) -> Option<(Duration, Duration)> {
        let is_idle = self.stage == Stage::Serving && !self.far.has_frame();
        let idle_since = self.up_since.max(self.left_at);
        is_idle.then(|| (now.saturating_sub(self.up_since), now.saturating_sub(idle_since)))
    }

    /// A signal asks it to end, and the item that it runs minds that by itself: it takes its time, or comes to an end. The
    /// rest of the frame is not begun then.
    pub(super) fn mind(&mut self, until: Option<Duration>) {
        self.asked = self.task.is_some();
        self.busy_until = until.map_or(self.busy_until, |until| self.busy_until.min(until));
    }

    /// The item that it runs.
    pub(super) fn running(&self) -> Option<(u64, u32)> {
        self.task.filter(|_| self.stage == Stage::Serving)
    }

    /// Whether it does nothing more, and lives.
    pub(super) fn is_mute(&self) -> bool {
        self.stage == Stage::Mute
    }

    pub(super) fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// When something of it happens by itself, if that is not now.
    pub(super) fn next_moment(&self, now: Duration) -> Option<Duration> {
        let busy = (matches!(self.stage, Stage::Booting | Stage::Serving)).then_some(self.busy_until);
        let bell = self.near.has_rung().then_some(self.bell_due);
        let exit = self.exit.map(|(_, due)| due);
        busy.into_iter().chain(bell).chain(exit).filter(|&due| due > now).min()
    }

    /// Its process ends.
    pub(super) fn die(&mut self, cause: ExitCause, now: Duration, random: &mut Random, book: &mut Book) {
        if self.stage == Stage::Gone {
            return;
        }
        log::trace!("{:?} ends: {cause} with {:?}", self.id, self.task);
        self.stage = Stage::Gone;
        book.deaths.insert(self.id, (self.pid, cause));
        let seen = now + Duration::from_micros(random.pick(&[0, 0, 10, 500]));
        book.times_of_death.insert(self.id, seen);
        self.exit = Some((cause, seen));
    }
}

/// Lets a worker make its next step.
pub(super) fn step(state: &mut State, id: LinkId, trouble: &Trouble) {
    let Some(mut worker) = state.workers.remove(&id) else { return };
    match worker.stage {
        Stage::Booting => worker.boot(state, trouble),
        Stage::Serving if !worker.far.has_frame() => worker.look(state, trouble),
        Stage::Serving => match worker.task {
            None => worker.claim(state, trouble),
            Some((task, item)) => worker.finish(state, trouble, task, item),
        },
        Stage::Mute | Stage::Gone => {}
    }
    state.workers.insert(id, worker);
}

impl Worker {
    fn end(&mut self, state: &mut State) {
        let cause = state.random.pick(&[
            ExitCause::Signal(9),
            ExitCause::Signal(11),
            ExitCause::Signal(6),
            ExitCause::Code(0),
            ExitCause::Code(1),
            ExitCause::Unknown,
        ]);
        self.die(cause, state.now, &mut state.random, &mut state.book);
    }

    fn boot(&mut self, state: &mut State, trouble: &Trouble) {
        if state.happens(trouble.dies_before_hello) {
            return self.end(state);
        }
        if state.happens(trouble.never_says_hello) {
            log::trace!("{:?} never says hello", self.id);
            self.stage = Stage::Mute;
            return;
        }
        if state.happens(trouble.greets_badly) {
            let greeting = match state.random.below(3) {
                0 => Greeting::OtherBuild.encode(),
                1 => Greeting::InitializerFailed(RemoteError::message("simulated")).encode(),
                _ => vec![99],
            };
            log::trace!("{:?} greets badly: {greeting:?}", self.id);
            self.said.push_back(greeting);
            return self.end(state);
        }
        self.said.push_back(Greeting::Ready { fingerprint: crate::task::fingerprint() }.encode());
        self.stage = Stage::Serving;
        self.up_since = state.now;
    }

    fn look(&mut self, state: &mut State, trouble: &Trouble) {
        if state.happens(trouble.dies_idle) {
            return self.end(state);
        }
        let looked = self.far.look();
        log::trace!("{:?} looks: {looked:?}", self.id);
        self.took_at = state.now;
        if looked == Looked::Closed {
            state.book.dismissed += 1;
            self.die(ExitCause::Code(0), state.now, &mut state.random, &mut state.book);
        }
    }

    fn claim(&mut self, state: &mut State, trouble: &Trouble) {
        if state.happens(trouble.dies_before_claim) {
            return self.end(state);
        }
        if std::mem::take(&mut self.asked) || state.happens(trouble.declines) {
            log::trace!("{:?} declines", self.id);
            self.far.decline();
            return;
        }
        let Some(item) = self.far.claim() else {
            log::trace!("{:?} leaves its frame", self.id);
            self.far.leave();
            self.left_at = state.now;
            return self.ring(state, trouble);
        };
        self.begin(item, state, trouble);
    }

    /// Begins what it has claimed.
    fn begin(&mut self, item: u32, state: &mut State, trouble: &Trouble) {
        let Some((task, item)) = request::read(self.far.request(), item) else {
            let bytes = self.far.request().to_vec();
            return state.book.violation(format!("{:?} got a request that nobody made: {bytes:?}", self.id));
        };
        log::trace!("{:?} begins item {item} of task {task}", self.id);
        state.book.begin((task, item), self.id, self.far.attempt(), state.now);
        self.begun_at = state.now;
        self.task = Some((task, item));
        self.held = state.book.entries.get(&task).is_some_and(|entry| entry.held);
        if state.happens(trouble.dies_after_claim) {
            return self.end(state);
        }
        if state.happens(trouble.garbles) {
            log::trace!("{:?} breaks the protocol", self.id);
            self.far.garble();
            state.book.distrust(self.id);
            self.stage = Stage::Mute;
            return;
        }
        let busy = if state.happens(trouble.stalls) {
            Duration::from_secs(1 + state.random.below(100))
        } else if state.happens(trouble.is_slow) {
            Duration::from_micros(state.random.pick(&[100, 2_000, 20_000, 500_000]))
        } else {
            Duration::ZERO
        };
        self.busy_until = state.now + busy;
    }

    fn finish(&mut self, state: &mut State, trouble: &Trouble, task: u64, item: u32) {
        let fate = if state.happens(trouble.panics) {
            Fate::Panic
        } else if state.happens(trouble.is_unwanted) {
            Fate::Unwanted
        } else {
            Fate::Value
        };
        let reply = request::reply(task, item, fate);
        if state.happens(trouble.dies_while_writing) {
            self.far.write_only(&reply);
            return self.end(state);
        }
        log::trace!("{:?} publishes item {item} of task {task}: {fate:?}", self.id);
        // A worker that is not to stop takes the next one along, but for the latter half of them, which do it in two steps.
        let next = if self.asked || item % 4 > 1 {
            self.far.publish(&reply);
            None
        } else {
            self.far.publish_and_claim(&reply)
        };
        state.book.publish(task, item, fate, state.now);
        self.task = None;
        self.held = false;
        self.ring(state, trouble);
        if let Some(next) = next {
            self.begin(next, state, trouble);
        } else if state.happens(trouble.dies_after_done) {
            self.end(state);
        }
    }

    /// What it rang for may be heard late.
    fn ring(&mut self, state: &mut State, trouble: &Trouble) {
        if state.happens(trouble.rings_late) {
            self.bell_due = state.now + Duration::from_micros(state.random.pick(&[50, 3_000, 200_000]));
        }
    }
}
