//! The two threads of a pool, and who takes the manager's turns.
//!
//! Callbacks run on the manager thread, one at a time and in order; while it runs them the feeder takes its turns, so that
//! a slow callback delays other callbacks and nothing else. While nothing goes on but a task whose result a caller waits
//! for, that [`caller`](crate::manager::caller) takes them. Keeps true: a panic of ours in either thread resolves every future
//! of the pool, also while the other one is in a callback. Never lets two take turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::error::Broken;
use crate::future::{panic_text, run_callback};
use crate::manager::completing::Unannounced;
use crate::manager::orders::{Job, Mind};
use crate::manager::pool::{Demand, Pool};
use crate::manager::seat::Seat;
use crate::manager::state::{Limits, State};
use crate::manager::{Manager, feeder};
use crate::thread::{JoinHandle, spawn_internal};

/// The two threads of a pool.
pub(crate) struct Threads {
    manager: JoinHandle<()>,
    feeder: JoinHandle<()>,
}

impl Threads {
    /// Starts them. The manager is the first to be named.
    ///
    /// # Errors
    /// The name of the thread that could not be started, and why.
    pub(crate) fn start(pool: &Arc<Pool>, limits: Limits) -> Result<Self, (&'static str, std::io::Error)> {
        let mind = Box::new(Manager::new(Arc::clone(pool), State::new(limits)));
        let manager = spawn_internal(None, move || run_manager(mind)).map_err(|error| ("manager", error))?;
        let for_feeder = Arc::clone(pool);
        match spawn_internal(Some("QueueFeederThread"), move || run_feeder(&for_feeder)) {
            Ok(feeder) => Ok(Self { manager, feeder }),
            Err(error) => {
                pool.shut();
                pool.orders.stop();
                let _ = manager.join();
                Err(("QueueFeederThread", error))
            }
        }
    }

    /// Waits for both: the manager ends the feeder.
    pub(crate) fn join(self) {
        let _ = self.manager.join();
        let _ = self.feeder.join();
    }
}

fn run_manager(mut mind: Box<Manager>) {
    let pool = Arc::clone(&mind.pool);
    let _seat = Seat::of_own_thread(&pool);
    while !mind.is_over() {
        let unannounced = take_turn(&mut mind, None);
        mind = stand_aside(&pool, mind, unannounced);
        mind = run_callbacks(&pool, mind);
    }
    pool.orders.stop();
    loop {
        let callbacks = pool.depart();
        if callbacks.is_empty() {
            break;
        }
        callbacks.into_iter().for_each(run_callback);
    }
    pool.hub.flush();
    pool.end();
}

fn stand_aside(pool: &Pool, mind: Box<Manager>, unannounced: Option<Unannounced>) -> Box<Manager> {
    match leave_to_callers(pool, mind, unannounced) {
        None => pool.orders.stand_by(),
        Some(mind) => mind,
    }
}

/// Leaves the mind to those who wait for results, as long as nothing else goes on, before they hear of the last one. It
/// comes back where that is not so.
pub(super) fn leave_to_callers(
    pool: &Pool,
    mind: Box<Manager>,
    unannounced: Option<Unannounced>,
) -> Option<Box<Manager>> {
    if !pool.had_waiter() || !mind.is_quiet_but_for(0) {
        return Some(mind);
    }
    let refused = pool.orders.leave(mind, |mind| mind.is_quiet_but_for(0)).err();
    if refused.is_none() {
        pool.forget_waiter();
    }
    drop(unannounced);
    refused
}

/// Runs what fell due, and lets the feeder take the turns as long as that takes.
fn run_callbacks(pool: &Pool, mut mind: Box<Manager>) -> Box<Manager> {
    while !mind.callbacks.is_empty() {
        let mut callbacks = std::mem::take(&mut mind.callbacks);
        pool.orders.lend(mind);
        while !callbacks.is_empty() {
            callbacks.into_iter().for_each(run_callback);
            callbacks = pool.orders.due();
        }
        mind = pool.orders.recall(|| pool.hub.wake());
    }
    mind
}

fn run_feeder(pool: &Arc<Pool>) {
    let _seat = Seat::of_own_thread(pool);
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| work_off(pool))) else { return };
    report_panic(pool, panic_text(&*payload));
    match pool.orders.desert() {
        // The manager is in a callback, and nobody waits for that.
        Some(mut mind) => {
            mind.abandon();
            pool.orders.give_back(mind);
        }
        None => pool.demand(Demand::Abandon),
    }
}

fn work_off(pool: &Pool) {
    while let Some(job) = pool.orders.next() {
        match job {
            Job::Order(order) => feeder::obey(pool, order),
            Job::Turn(mut mind) => {
                let unannounced = take_turn(&mut mind, None);
                pool.orders.give_back(mind);
                drop(unannounced);
            }
        }
    }
}

/// A turn, whoever takes it. He announces the last outcome, once he is through.
pub(super) fn take_turn(mind: &mut Manager, limit: Option<Instant>) -> Option<Unannounced> {
    let _seat = Seat::of_turn(&mind.pool);
    let unannounced = catch_unwind(AssertUnwindSafe(|| mind.turn(limit))).unwrap_or_else(|payload| {
        report_panic(&mind.pool, panic_text(&*payload));
        mind.abandon();
        None
    });
    if mind.is_over() {
        mind.pool.finish();
    }
    unannounced
}

/// Breaks the pool for a panic of the calling thread.
fn report_panic(pool: &Pool, message: &str) {
    let thread = crate::thread::current().name().to_owned();
    let broken = Broken::Internal { thread, message: message.to_owned() };
    pool_ipc::tell!(Error, "{broken}");
    pool.break_down(Arc::new(broken));
}
