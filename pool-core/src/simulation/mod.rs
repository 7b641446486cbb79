//! Deterministic simulation: the pool's own manager, feeder, backlog, futures and batches, and both ends of the real slots,
//! on one thread with a virtual clock, everything from one seed.
//!
//! Only threads, processes and time are simulated. Keeps true: the same seed gives the same schedule, whatever the machine;
//! a violation is what a caller could see, or what a worker was made to do. Not part of the API: for `pool-proof`.

mod book;
mod callers;
mod driver;
mod hub;
mod plan;
mod random;
mod request;
mod sabotage;
mod verdict;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::StartOrder;

use crate::future::panic_text;
use crate::manager::{Limits, Manager, Pool, Strength, TimeLimits};
use crate::simulation::hub::SimulatedHub;
use crate::simulation::plan::Plan;
use crate::simulation::random::Random;
use crate::simulation::world::World;

pub use crate::simulation::plan::Sabotage;

/// What a seed came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong, first things first.
    pub violations: Vec<String>,
    /// How many steps it took.
    pub steps: u64,
    /// How many items were submitted.
    pub items: u64,
    /// How many workers ended before they were told to.
    pub deaths: u64,
}

/// Runs the simulation of a seed. What happens is told to `log`, at level trace.
pub fn run(seed: u64, sabotage: Option<Sabotage>) -> Report {
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random, sabotage);
    log::trace!("seed {seed}: {plan:#?}");
    let world = World::new(plan, random);
    let violations = catch_unwind(AssertUnwindSafe(|| live(&world)))
        .unwrap_or_else(|payload| vec![format!("a panic: {}", panic_text(&*payload))]);
    let mut state = world.state();
    let items = state.book.entries.values().map(|entry| entry.items.len() as u64).sum();
    let orderly = |&&(_, cause): &&(u32, pool_ipc::ExitCause)| cause == pool_ipc::ExitCause::Code(0);
    let deaths = state.book.deaths.values().filter(|death| !orderly(death)).count() as u64;
    let report = Report { violations, steps: state.steps, items, deaths };
    // Futures know links, links know the world, and the world knows futures.
    let (book, due, workers) =
        (std::mem::take(&mut state.book), std::mem::take(&mut state.due), std::mem::take(&mut state.workers));
    drop(state);
    drop((book, due, workers, world.mind.lock().take()));
    report
}

/// From the pool's beginning to its end. What is wrong is the answer.
fn live(world: &Arc<World>) -> Vec<String> {
    let hub = Arc::new(SimulatedHub(Arc::downgrade(world)));
    let strength = Strength { max_workers: world.plan.max_workers, max_tasks: world.plan.max_tasks };
    let pool = Arc::new(Pool::new(hub, Box::new(order), TimeLimits::default(), strength));
    let hello = Duration::from_secs(30);
    let (max_workers, frames_a_link) = (world.plan.max_workers, world.plan.frames_a_link);
    let staffing = world.plan.staffing;
    let limits =
        Limits { max_workers, frames_a_link, hello, stop_grace: Duration::from_secs(1), processes: true, staffing };
    world.settle_in(&pool, Box::new(Manager::simulated(Arc::clone(&pool), limits)));
    if world.plan.staffing.min_workers > 0 {
        pool.resize(max_workers);
    }
    let violations = go_through(world, &pool).err().into_iter();
    let seen = std::mem::take(&mut world.state().book.violations);
    // What was seen when it happened says more than what follows from it.
    seen.into_iter().chain(violations).collect()
}

fn order() -> StartOrder {
    let (boot, command, thread_main) = ([].into(), Default::default(), crate::worker::run as fn(_));
    StartOrder { boot, command, thread_main, name: String::new(), stderr: Default::default() }
}

fn go_through(world: &Arc<World>, pool: &Arc<Pool>) -> Result<(), String> {
    driver::run(world, pool)?;
    let is_shut = world.state().book.shut;
    let is_broken = || pool.admit().is_err();
    first(verdict::pending(&world.state().book, "while nothing happens"))?;
    if !is_shut && !is_broken() {
        see_capacity(world, pool)?;
    }
    callers::shut_down_at_last(world);
    driver::run(world, pool)?;
    end(world, pool)?;
    let is_broken = matches!(pool.verdict(), crate::error::TaskError::Broken(_));
    first(verdict::violations(&world.state().book, &world.plan, is_broken))
}

fn first(violations: Vec<String>) -> Result<(), String> {
    violations.into_iter().next().map_or(Ok(()), Err)
}

/// The pool has to be able to run as many tasks at once as it was made for.
fn see_capacity(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    world.state().calm = true;
    log::trace!("it is calm now: can {} tasks run at once?", world.plan.max_workers);
    (0..world.plan.max_workers).for_each(|_| callers::submit(world, true));
    driver::run(world, pool)?;
    let running = world.state().workers.values().filter(|worker| worker.is_running()).count();
    if running != world.plan.max_workers {
        return Err(format!("{running} of {} workers run while so many tasks wait", world.plan.max_workers));
    }
    let mut state = world.state();
    state.released = true;
    state.book.entries.values_mut().for_each(|entry| entry.held = false);
    drop(state);
    driver::run(world, pool)?;
    first(verdict::pending(&world.state().book, "after it could run"))
}

/// The pool has ended, and left nothing behind.
fn end(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    if !world.mind.lock().as_ref().is_some_and(|mind| mind.is_done()) {
        return Err("the pool was shut down and does not come to its end".to_owned());
    }
    let left = world.state().workers.len();
    if left > 0 {
        return Err(format!("{left} workers are left after the end"));
    }
    loop {
        let callbacks = pool.depart();
        if callbacks.is_empty() {
            return first(verdict::pending(&world.state().book, "after the end"));
        }
        callbacks.into_iter().for_each(crate::future::run_callback);
    }
}
