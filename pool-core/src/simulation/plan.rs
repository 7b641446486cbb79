//! What a seed has in store: the size of the pool, who is quick and who is slow, and what goes wrong how often.
//!
//! Each seed turns on a few kinds of trouble and leaves out the others, since a schedule with a bit of everything seldom
//! gets far into anything.

use std::time::Duration;

use crate::manager::feeder::Packing;
use crate::manager::{OnWorkerLoss, RestartLimit, Staffing};
use crate::simulation::random::Random;
use crate::simulation::sabotage::Sabotage;

/// How many bytes a worker has that has not grown.
pub(super) const NORMAL_SIZE: u64 = 1 << 20;

/// How often something happens: once in so many times; 0 is never.
pub(super) type Rate = u64;

/// A seed's plan.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) max_workers: usize,
    pub(super) frames_a_link: usize,
    /// Who comes and goes without any trouble.
    pub(super) staffing: Staffing,
    /// How many tasks a worker runs in its life.
    pub(super) max_tasks: Option<u32>,
    /// Whether links give back what was posted. Those that do not take one frame at a time.
    pub(super) recall: bool,
    pub(super) packing: Packing,
    /// What callers do before the pool is left to itself.
    pub(super) deeds: u64,
    pub(super) batch_items: u64,
    /// How often a caller submits many tasks at once.
    pub(super) bursts: Rate,
    /// How often the others come in between the steps of one.
    pub(super) interrupts: Rate,
    pub(super) weights: Weights,
    pub(super) trouble: Trouble,
    pub(super) shutdown: Rate,
    /// How often a task has a time limit, and how often one that runs is killed.
    pub(super) limits: Rate,
    /// How long what is stopped may go on before it is killed.
    pub(super) grace: Duration,
    pub(super) kills: Rate,
    /// How often a task has a policy for retries.
    pub(super) retries: Rate,
    /// How often a caller wants another number of workers.
    pub(super) resizes: Rate,
    /// How many callers there may be that wait, and how often one that could does.
    pub(super) callers: usize,
    pub(super) waits: Rate,
    /// Most of what callers do is to submit one task and to wait for it, in half of these plans without any trouble.
    pub(super) one_by_one: bool,
    pub(super) sabotage: Option<Sabotage>,
    /// How many workers are believed to be able to run at once.
    pub(super) processors: usize,
}

/// How often each is the next to do something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub(super) manager: u64,
    pub(super) feeder: u64,
    pub(super) worker: u64,
    pub(super) caller: u64,
    pub(super) callback: u64,
    pub(super) waiter: u64,
}

/// What goes wrong, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    pub(super) start_fails: Rate,
    pub(super) dies_before_hello: Rate,
    pub(super) never_says_hello: Rate,
    pub(super) greets_badly: Rate,
    pub(super) dies_idle: Rate,
    pub(super) dies_before_claim: Rate,
    pub(super) dies_after_claim: Rate,
    pub(super) dies_while_writing: Rate,
    pub(super) dies_after_done: Rate,
    pub(super) declines: Rate,
    pub(super) garbles: Rate,
    pub(super) is_slow: Rate,
    pub(super) stalls: Rate,
    pub(super) rings_late: Rate,
    pub(super) is_killed: Rate,
    /// A worker has grown.
    pub(super) grows: Rate,
    /// The task itself fails, or returns what nobody wants.
    pub(super) panics: Rate,
    pub(super) is_unwanted: Rate,
    /// There is no memory for a frame.
    pub(super) no_memory: Rate,
    /// The backend panics over a frame.
    pub(super) post_panics: Rate,
    /// For a while nobody is scheduled.
    pub(super) time_leaps: Rate,
    /// A bug of the pool's own: the manager panics in a turn.
    pub(super) manager_panics: Rate,
    /// The same, in the feeder.
    pub(super) feeder_panics: Rate,
}

impl Trouble {
    /// Whether workers may not come up by it.
    pub(super) fn keeps_workers_from_starting(&self) -> bool {
        self.start_fails + self.dies_before_hello + self.never_says_hello + self.greets_badly + self.is_killed > 0
    }
}

/// Few tasks wait at a time here, so that even two of them are to share a frame.
fn packing(random: &mut Random, recall: bool) -> Packing {
    let (most, frames_a_feed) = random.pick(&[(1, 8), (2, 1), (8, 1), (8, 2), (64, 1)]);
    if recall { Packing { most, frames_a_feed } } else { Packing::of(false) }
}

impl Plan {
    /// How long workers say that a task takes, if they say anything: nothing where a defect is looked for.
    pub(super) fn told_pace(&self) -> Option<Duration> {
        let is_told = self.sabotage.is_none() && self.deeds.is_multiple_of(2);
        is_told.then_some(Duration::from_micros(1))
    }

    /// Whether the loss of a worker breaks the pool.
    pub(super) fn is_strict(&self) -> bool {
        self.staffing.on_worker_loss == OnWorkerLoss::Break
    }

    pub(super) fn new(random: &mut Random, sabotage: Option<Sabotage>) -> Self {
        let recall = !random.one_in(5);
        let weight = |random: &mut Random| random.pick(&[1, 3, 10]);
        let max_workers = 1 + random.below(4) as usize;
        let one_by_one = random.one_in(4);
        Self {
            max_workers,
            frames_a_link: if recall { random.pick(&[64, 64, 4, 2]) } else { 1 },
            staffing: staffing(random, max_workers),
            max_tasks: random.pick(&[None, None, Some(1), Some(2), Some(20)]),
            recall,
            packing: packing(random, recall),
            deeds: 3 + random.below(if one_by_one { 60 } else { 30 }),
            batch_items: random.pick(&[3, 8, 8, 40]),
            bursts: random.pick(&[0, 0, 10, 3]),
            interrupts: random.pick(&[0, 20, 6]),
            weights: Weights {
                manager: weight(random),
                feeder: weight(random),
                worker: weight(random),
                caller: weight(random),
                callback: weight(random),
                waiter: weight(random),
            },
            trouble: if one_by_one && random.one_in(2) { Trouble::default() } else { Trouble::new(random) },
            shutdown: random.pick(&[0, 0, 30, 10]),
            limits: random.pick(&[0, 0, 6, 2]),
            grace: Duration::from_millis(random.pick(&[0, 20, 1_000])),
            kills: random.pick(&[0, 0, 10]),
            retries: random.pick(&[0, 0, 4, 1]),
            resizes: random.pick(&[0, 0, 30, 8]),
            callers: random.pick(&[1, 1, 2, 64]),
            waits: if one_by_one { 1 } else { random.pick(&[0, 0, 3, 1]) },
            one_by_one,
            sabotage,
            processors: random.pick(&[1, 2, 64]),
        }
    }
}

fn staffing(random: &mut Random, max_workers: usize) -> Staffing {
    let idle_timeout = random.one_in(3).then(|| Duration::from_millis(random.pick(&[1, 10, 200])));
    let (min_workers, spares) = (random.pick(&[0, 0, 1, 4]).min(max_workers), random.pick(&[0, 0, 1, 2]));
    let soft_memory = random.one_in(3).then_some(NORMAL_SIZE);
    let mut staffing = Staffing { min_workers, spares, idle_timeout, soft_memory, ..Staffing::NONE };
    staffing.max_age = random.one_in(8).then(|| Duration::from_millis(random.pick(&[300, 5_000])));
    if random.one_in(8) {
        staffing.on_worker_loss = OnWorkerLoss::Break;
    }
    if random.one_in(6) {
        let (losses, within) = (random.pick(&[0, 1, 4]), Duration::from_secs(random.pick(&[1, 10])));
        staffing.restarts = RestartLimit { losses, within };
    }
    staffing
}

impl Trouble {
    fn new(random: &mut Random) -> Self {
        let bug = random.below(30);
        let mut some = |rates: &[Rate]| if random.one_in(3) { random.pick(rates) } else { 0 };
        Self {
            start_fails: some(&[20, 4]),
            dies_before_hello: some(&[20, 4, 2]),
            never_says_hello: some(&[30]),
            greets_badly: some(&[60]),
            // One that always does is never given anything to do.
            dies_idle: some(&[30, 8, 8, 1]),
            dies_before_claim: some(&[30, 8]),
            dies_after_claim: some(&[30, 8]),
            dies_while_writing: some(&[30, 8]),
            dies_after_done: some(&[30, 8]),
            declines: some(&[10, 3]),
            garbles: some(&[40]),
            is_slow: some(&[20, 5, 2]),
            stalls: some(&[40, 10]),
            rings_late: some(&[10, 3]),
            is_killed: some(&[200, 60]),
            grows: some(&[20, 4, 1]),
            panics: some(&[10, 3]),
            is_unwanted: some(&[10, 3]),
            no_memory: some(&[30]),
            post_panics: some(&[60]),
            time_leaps: some(&[100, 20]),
            manager_panics: if bug == 0 { 50 } else { 0 },
            feeder_panics: if bug == 1 { 10 } else { 0 },
        }
    }
}
