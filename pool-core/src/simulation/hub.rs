//! The simulated backend's hub and links: what the pool calls, over the real slots. Before and after a call others get to
//! act, as they do where there are threads.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pool_ipc::simulation::Near;
use pool_ipc::{
    Frame, Hub, Link, LinkEvent, LinkId, Load, Refused, RefusedWhy, Running, Share, StartError, StartOrder, Ticket,
};

use crate::simulation::driver::{self, Others};
use crate::simulation::plan::{NORMAL_SIZE, Rate, Trouble};
use crate::simulation::sabotage::Sabotage;
use crate::simulation::turns;
use crate::simulation::worker::Worker;
use crate::simulation::world::World;

/// The pids of simulated workers begin here.
const FIRST_PID: u32 = 1000;

/// The signal that nobody survives.
const SIGKILL: i32 = 9;

/// Where the links of a simulated pool meet.
pub(super) struct SimulatedHub(pub(super) Weak<World>);

impl fmt::Debug for SimulatedHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedHub")
    }
}

impl Hub for SimulatedHub {
    fn start(&self, id: LinkId, _order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        let gone = || StartError { doing: "simulating", path: None, source: std::io::Error::other("gone") };
        let world = self.0.upgrade().ok_or_else(gone)?;
        let mut state = world.state();
        if state.happens(world.plan.trouble.start_fails) {
            log::trace!("feeder: {id:?} cannot be started");
            let source = std::io::Error::from_raw_os_error(11);
            return Err(StartError { doing: "starting a simulated worker", path: None, source });
        }
        let (near, far) = pool_ipc::simulation::link(id);
        let (near, pid) = (Arc::new(near), FIRST_PID + id.0 as u32);
        state.workers.insert(id, Worker::new(id, pid, Arc::clone(&near), far));
        drop(state);
        log::trace!("feeder: {id:?} is started");
        driver::interrupt(&world, Others::Anyone);
        let posted_directly = AtomicBool::new(false);
        Ok(Arc::new(SimulatedLink { id, pid, near, world: Arc::downgrade(&world), posted_directly }))
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        if let Some(world) = self.0.upgrade() {
            driver::await_news(&world, deadline);
            events.extend(world.news());
            turns::panic_perhaps(&world);
        }
    }

    fn wake(&self) {
        if let Some(world) = self.0.upgrade() {
            let mut state = world.state();
            let lost = world.plan.sabotage == Some(Sabotage::WakeIsLost) && state.random.one_in(4);
            state.woken |= !lost;
        }
    }
}

/// The parent's end of a simulated worker.
struct SimulatedLink {
    id: LinkId,
    pid: u32,
    near: Arc<Near>,
    world: Weak<World>,
    /// A caller has posted directly, and has not said so yet. The next that is asked of this link is its name, for just that.
    posted_directly: AtomicBool,
}

impl SimulatedLink {
    fn interrupt(&self, others: Others) {
        if let Some(world) = self.world.upgrade() {
            driver::interrupt(&world, others);
        }
    }

    /// A frame that comes straight from its caller is nobody else's, so that the manager may take a turn meanwhile; unless
    /// the feeder is somewhere around that, with the lock of another.
    fn comes_from_its_caller(&self) -> bool {
        let Some(world) = self.world.upgrade() else { return false };
        let is_direct = world.pool().is_some_and(|pool| pool.idle.is_offered(self.id));
        is_direct && !world.state().agents.feeder
    }

    fn happens(&self, rate: impl Fn(&Trouble) -> Rate) -> bool {
        self.world.upgrade().is_some_and(|world| world.state().happens(rate(&world.plan.trouble)))
    }

    /// Whether this backend gives back what was posted.
    fn recalls(&self) -> bool {
        self.world.upgrade().is_none_or(|world| world.plan.recall)
    }

    /// Puts back what was taken, or loses some of it, where links are to be defective so.
    fn spoil_recalled(&self, frame: &mut Frame) {
        let sabotage = self.world.upgrade().and_then(|world| world.plan.sabotage);
        if sabotage == Some(Sabotage::RecallForgetsTheLast) && frame.items() > 1 {
            frame.window.end -= 1;
        }
        if sabotage == Some(Sabotage::RecallLeavesTheItem) {
            let (owner, payload, window) = (Arc::clone(&frame.owner), frame.payload.clone(), frame.window.clone());
            let _ = self.near.post(Frame { owner, payload, window, terms: frame.terms.clone(), rank: frame.rank });
        }
    }
}

impl fmt::Debug for SimulatedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedLink").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Link for SimulatedLink {
    fn id(&self) -> LinkId {
        if self.posted_directly.swap(false, Ordering::Relaxed) {
            // The caller holds no lock here: what it posted may be done, and the worker fed again, before it says so.
            self.interrupt(Others::Anyone);
        }
        self.id
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, mut frame: Frame) -> Result<Ticket, Refused> {
        // Whoever posts holds the lock of the frame's future.
        let is_direct = self.comes_from_its_caller();
        self.interrupt(if is_direct { Others::Staff } else { Others::Workers });
        if self.happens(|trouble| trouble.no_memory) {
            let why = RefusedWhy::NoMemory { size: frame.payload.len() as u64, errno: 12 };
            log::trace!("items {:?} find no room", frame.window);
            return Err(Refused { frame, why });
        }
        if self.happens(|trouble| trouble.post_panics) {
            log::trace!("{:?} panics over items {:?}", self.id, frame.window);
            std::panic::resume_unwind(Box::new("a simulated backend panics"));
        }
        let sabotage = self.world.upgrade().and_then(|world| world.plan.sabotage);
        if sabotage == Some(Sabotage::RequestIsChanged) && frame.payload.len() > 8 {
            let mut bytes = frame.payload.as_slice().to_vec();
            bytes[8] ^= 1;
            frame.payload = bytes.into();
        }
        let window = frame.window.clone();
        let posted = self.near.post(frame);
        match &posted {
            Ok(ticket) => log::trace!("items {window:?} are posted to {:?} as {ticket:?}", self.id),
            Err(refused) => log::trace!("items {window:?} are refused by {:?}: {}", self.id, refused.why),
        }
        self.interrupt(Others::Workers);
        self.posted_directly.store(is_direct, Ordering::Relaxed);
        posted
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        if !self.recalls() {
            return None;
        }
        self.interrupt(Others::Workers);
        let mut frame = self.near.recall(ticket)?;
        log::trace!("{ticket:?} of {:?} is recalled: items {:?}", self.id, frame.window);
        self.spoil_recalled(&mut frame);
        self.interrupt(Others::Workers);
        Some(frame)
    }

    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        if !self.recalls() {
            return Vec::new();
        }
        self.interrupt(Others::Anyone);
        let mut frames = self.near.recall_tail(share);
        log::trace!("{share:?} of {:?} is recalled: {frames:?}", self.id);
        frames.iter_mut().for_each(|frame| self.spoil_recalled(frame));
        self.interrupt(Others::Anyone);
        frames
    }

    fn unclaimed(&self) -> usize {
        if self.recalls() { self.near.unclaimed() } else { 0 }
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.near.is_running(ticket, item)
    }

    fn running(&self) -> Option<Running> {
        let world = self.world.upgrade()?;
        let running = self.near.running()?;
        let begun_at = world.state().workers.get(&self.id)?.begun_at;
        // What the real one tells is of the real clock.
        Some(Running { since: running.since.map(|_| world.at(begun_at)), ..running })
    }

    /// What it says of its tasks need not be so.
    fn load(&self) -> Load {
        let pace = self.world.upgrade().and_then(|world| world.plan.told_pace());
        Load { outstanding: self.outstanding(), unclaimed: self.unclaimed(), pace, ..Load::NONE }
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.interrupt(Others::Workers);
        let shortest = self.near.shortest_timeout();
        self.interrupt(Others::Workers);
        shortest
    }

    fn resident(&self) -> Option<u64> {
        let size = if self.happens(|trouble| trouble.grows) { 2 * NORMAL_SIZE } else { NORMAL_SIZE };
        log::trace!("{:?} has {size} bytes", self.id);
        Some(size)
    }

    fn cancel(&self, ticket: Ticket) {
        self.near.cancel(ticket);
    }

    fn outstanding(&self) -> usize {
        self.interrupt(Others::Anyone);
        if let Some(world) = self.world.upgrade() {
            turns::panic_perhaps(&world);
        }
        self.near.outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        if let Some(world) = self.world.upgrade() {
            world.collect(vec![(self.id, Arc::clone(&self.near))], events);
        }
    }

    fn close(&self) {
        self.interrupt(Others::Anyone);
        log::trace!("{:?} is closed", self.id);
        self.near.close();
    }

    fn signal(&self, signal: i32, _group: bool) -> bool {
        log::trace!("{:?} is sent signal {signal}", self.id);
        if let Some(world) = self.world.upgrade() {
            let lost = signal == SIGKILL && world.plan.sabotage == Some(Sabotage::KillIsLost);
            if !lost {
                world.state().signal(self.id, signal);
            }
        }
        self.interrupt(Others::Anyone);
        true
    }
}
