//! The simulated world: its clock, its dice, its workers and its account, behind one lock that is never held while the
//! pool is called.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use pool_ipc::{LinkEvent, LinkId};

use crate::future::Callback;
use crate::manager::{Manager, Pool};
use crate::simulation::book::Book;
use crate::simulation::plan::Plan;
use crate::simulation::pulse::Pulse;
use crate::simulation::random::Random;
use crate::simulation::rest::Size;
use crate::simulation::sabotage;
use crate::simulation::turns::StandBy;
use crate::simulation::waiting::Waiter;
use crate::simulation::worker::Worker;

/// How long after it was asked for a hub looks again at a link.
const LOOK: Duration = Duration::from_millis(1);

/// The world of one seed.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) pulse: Arc<Pulse>,
    start: Instant,
    state: Mutex<State>,
    pool: OnceLock<Weak<Pool>>,
    /// The manager's mind, unless it takes a turn, or has left that to callers.
    pub(super) mind: Mutex<Option<Box<Manager>>>,
}

/// What the lock covers.
pub(super) struct State {
    pub(super) now: Duration,
    pub(super) random: Random,
    /// The hub was woken.
    pub(super) woken: bool,
    pub(super) workers: BTreeMap<LinkId, Worker>,
    /// Links that the hub looks at again by itself, and when.
    pub(super) looks: Option<(Duration, Vec<LinkId>)>,
    pub(super) book: Book,
    /// Callbacks that fell due.
    pub(super) due: VecDeque<Callback>,
    pub(super) agents: Agents,
    /// The manager, while it has left its mind.
    pub(super) stand_by: Option<StandBy>,
    /// Callers that wait for results.
    pub(super) waiters: BTreeMap<u64, Waiter>,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    /// Tasks that stand still may go on.
    pub(super) released: bool,
    pub(super) steps: u64,
    pub(super) deeds_left: u64,
    pub(super) size: Size,
}

/// Who is in the middle of something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Agents {
    pub(super) feeder: bool,
    pub(super) callback: bool,
    /// The feeder panicked and is no more.
    pub(super) deserted: bool,
    /// How many of those hold the lock of a future: callers would want it.
    pub(super) locked: u32,
    /// How many stand around the one that acts, waiting for it to come back.
    pub(super) depth: u32,
}

impl World {
    pub(super) fn new(plan: Plan, random: Random, pulse: Arc<Pulse>) -> Arc<Self> {
        let state = State {
            now: Duration::ZERO,
            random,
            woken: false,
            workers: BTreeMap::new(),
            looks: None,
            book: Book { recall: plan.recall, ..Book::default() },
            due: VecDeque::new(),
            agents: Agents::default(),
            stand_by: None,
            waiters: BTreeMap::new(),
            calm: false,
            released: false,
            steps: 0,
            deeds_left: plan.deeds,
            size: Size::new(plan.max_workers),
        };
        let (pool, mind) = (OnceLock::new(), Mutex::new(None));
        Arc::new(Self { plan, pulse, start: Instant::now(), state: Mutex::new(state), pool, mind })
    }

    pub(super) fn settle_in(&self, pool: &Arc<Pool>, mind: Box<Manager>) {
        let _ = self.pool.set(Arc::downgrade(pool));
        *self.mind.lock() = Some(mind);
    }

    pub(super) fn pool(&self) -> Option<Arc<Pool>> {
        self.pool.get()?.upgrade()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The virtual time, as the pool is told it.
    pub(super) fn now(&self) -> Instant {
        self.start + self.state().now
    }

    /// A moment, as the pool is told it.
    pub(super) fn at(&self, moment: Duration) -> Instant {
        self.start + moment
    }

    /// How far an instant is from the beginning.
    pub(super) fn since_start(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// What a wait of the hub finds: what workers said, what they rang for, and who has ended, in this order.
    pub(super) fn news(&self) -> Vec<LinkEvent> {
        let mut events = Vec::new();
        let mut rung = Vec::new();
        let mut state = self.state();
        state.woken = false;
        let now = state.now;
        if let Some((_, links)) = state.looks.take_if(|(due, _)| *due <= now) {
            rung = links;
        }
        for (&link, worker) in &mut state.workers {
            events.extend(worker.said.drain(..).map(|bytes| LinkEvent::Said { link, bytes }));
            if worker.rings(now) && worker.near.take_ring() && !rung.contains(&link) {
                rung.push(link);
            }
        }
        let near = |link: &LinkId| state.workers.get(link).map(|worker| (*link, Arc::clone(&worker.near)));
        let rung: Vec<_> = rung.iter().filter_map(near).collect();
        let ended: Vec<LinkId> =
            state.workers.iter().filter(|(_, worker)| worker.has_ended(now)).map(|(link, _)| *link).collect();
        let ended: Vec<_> =
            ended.into_iter().filter_map(|link| state.workers.remove(&link).map(|worker| (link, worker))).collect();
        drop(state);
        self.collect(rung, &mut events);
        for (link, worker) in ended {
            let (pid, cause) = (worker.pid, worker.cause());
            let (corrupt, lost) = worker.near.finish(&mut events);
            let postmortem = pool_ipc::Postmortem::default();
            events.push(LinkEvent::Ended { link, pid, cause, corrupt, postmortem, lost, stderr: None });
        }
        if let Some(sabotage) = self.plan.sabotage {
            sabotage::spoil(sabotage, &mut self.state().random, &mut events);
        }
        events
    }

    /// Takes what these have published, and has them looked at again where they will not ring.
    pub(super) fn collect(&self, rung: Vec<(LinkId, Arc<pool_ipc::simulation::Near>)>, events: &mut Vec<LinkEvent>) {
        for (link, near) in rung {
            let collected = near.collect(events);
            let mut state = self.state();
            match collected {
                Ok(false) => {}
                Ok(true) => {
                    let due = state.now + LOOK;
                    let (_, links) = state.looks.get_or_insert_with(|| (due, Vec::new()));
                    if !links.contains(&link) {
                        links.push(link);
                    }
                }
                Err(_) => state.kill(link),
            }
        }
    }
}

impl State {
    /// Whether trouble of this rate happens now.
    pub(super) fn happens(&mut self, rate: u64) -> bool {
        !self.calm && self.random.one_in(rate)
    }

    /// Whether a bug of this rate shows now. It does once.
    pub(super) fn panics(&mut self, rate: u64) -> bool {
        let panics = !self.book.panicked && self.happens(rate);
        self.book.panicked |= panics;
        panics
    }

    /// A worker is killed by the pool, or by somebody else.
    pub(super) fn kill(&mut self, link: LinkId) {
        self.signal(link, 9);
    }

    /// A worker gets a signal. It may have turned a deaf ear to any but one.
    pub(super) fn signal(&mut self, link: LinkId, signal: i32) {
        let now = self.now;
        let reaction = if signal == 9 { 0 } else { self.random.below(4) };
        let Some(worker) = self.workers.get_mut(&link) else { return };
        match reaction {
            1 => worker.mind(None),
            2 => worker.mind(Some(now)),
            _ => worker.die(pool_ipc::ExitCause::Signal(signal), now, &mut self.random, &mut self.book),
        }
    }

    /// Whether a wait of the hub would end at once.
    pub(super) fn has_news(&self) -> bool {
        let looks = self.looks.as_ref().is_some_and(|(due, _)| *due <= self.now);
        let tells = |worker: &Worker| {
            !worker.said.is_empty() || worker.has_ended(self.now) || worker.near.has_rung() && worker.rings(self.now)
        };
        self.woken || looks || self.workers.values().any(tells)
    }

    /// When something happens next by itself.
    pub(super) fn next_moment(&self) -> Option<Duration> {
        let looks = self.looks.as_ref().map(|(due, _)| *due);
        looks.into_iter().chain(self.workers.values().filter_map(|worker| worker.next_moment(self.now))).min()
    }
}
