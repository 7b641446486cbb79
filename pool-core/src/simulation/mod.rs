//! Deterministic simulation: the pool's own manager, feeder, backlog, futures and batches, and both ends of the real slots,
//! on one thread with a virtual clock, everything from one seed.
//!
//! Only threads, processes and time are simulated. Keeps true: the same seed gives the same schedule, whatever the machine;
//! a violation is what a caller could see, or what a worker was made to do. Not part of the API: for `pool-proof`.

mod attempts;
mod book;
mod callers;
mod driver;
mod ends;
mod hub;
mod plan;
mod policy;
mod pulse;
mod random;
mod request;
mod rest;
mod sabotage;
mod turns;
mod verdict;
mod waiting;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::StartOrder;

use crate::future::panic_text;
use crate::manager::{Limits, Manager, Pool, TimeLimits};
use crate::simulation::hub::SimulatedHub;
use crate::simulation::plan::Plan;
use crate::simulation::random::Random;
use crate::simulation::world::World;

pub use crate::simulation::pulse::Pulse;
pub use crate::simulation::sabotage::Sabotage;

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
    /// How many attempts were not an item's first.
    pub retries: u64,
    /// How many of the manager's turns were taken by callers.
    pub turns_of_callers: u64,
}

/// Runs the simulation of a seed. What happens is told to `log`, at level trace; `pulse` beats with each step.
pub fn run(seed: u64, sabotage: Option<Sabotage>, pulse: &Arc<Pulse>) -> Report {
    pulse.begin(seed);
    let mut random = Random::new(seed);
    let plan = Plan::new(&mut random, sabotage);
    log::trace!("seed {seed}: {plan:#?}");
    let world = World::new(plan, random, Arc::clone(pulse));
    let violations = catch_unwind(AssertUnwindSafe(|| live(&world)))
        .unwrap_or_else(|payload| vec![format!("a panic: {}", panic_text(&*payload))]);
    let state = world.state();
    let items = state.book.entries.values().map(|entry| entry.items.len() as u64).sum();
    let orderly = |&&(_, cause): &&(u32, pool_ipc::ExitCause)| cause == pool_ipc::ExitCause::Code(0);
    let deaths = state.book.deaths.values().filter(|death| !orderly(death)).count() as u64;
    let begun = state.book.entries.values().flat_map(|entry| &entry.items).map(|item| item.begun);
    let retries = begun.map(|begun| u64::from(begun.saturating_sub(1))).sum();
    let (steps, turns_of_callers) = (state.steps, state.book.turns_of_callers);
    drop(state);
    take_apart(&world);
    pulse.end();
    Report { violations, steps, items, deaths, retries, turns_of_callers }
}

/// Futures know links, links know the world, and the world knows futures.
fn take_apart(world: &World) {
    let mut state = world.state();
    let (book, due) = (std::mem::take(&mut state.book), std::mem::take(&mut state.due));
    let (workers, waiters) = (std::mem::take(&mut state.workers), std::mem::take(&mut state.waiters));
    drop(state);
    drop((book, due, workers, waiters, world.mind.lock().take()));
    drop(world.pool().and_then(|pool| turns::what_is_left(&pool)));
}

/// From the pool's beginning to its end. What is wrong is the answer.
fn live(world: &Arc<World>) -> Vec<String> {
    let hub = Arc::new(SimulatedHub(Arc::downgrade(world)));
    let (strength, staffing) = sabotage::told(&world.plan);
    let pool = Arc::new(Pool::new(hub, Box::new(order), TimeLimits::default(), strength));
    let hello = Duration::from_secs(30);
    let (max_workers, frames_a_link) = (world.plan.max_workers, world.plan.frames_a_link);
    let items_ahead = world.plan.packing.items_ahead(frames_a_link);
    let (stop_grace, processors) = (world.plan.grace, world.plan.processors);
    let limits =
        Limits { max_workers, frames_a_link, items_ahead, hello, stop_grace, processes: true, processors, staffing };
    world.settle_in(&pool, Box::new(Manager::simulated(Arc::clone(&pool), limits)));
    if staffing.min_workers > 0 {
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
    first(verdict::pending(&world.state().book, "while nothing happens"))?;
    if is_shut {
        see_its_end(world)?;
    } else if pool.admit().is_ok() {
        see_capacity(world, pool)?;
    }
    callers::shut_down_at_last(world);
    driver::run(world, pool)?;
    end(world, pool)?;
    let waiting = world.state().waiters.len();
    if waiting > 0 {
        return Err(format!("{waiting} callers wait after the end"));
    }
    first(verdict::violations(&world.state().book, &world.plan, &pool.verdict()))
}

fn first(violations: Vec<String>) -> Result<(), String> {
    violations.into_iter().next().map_or(Ok(()), Err)
}

/// The pool has to be able to run as many tasks at once as were asked for last.
fn see_capacity(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    world.state().calm = true;
    let wanted = world.state().size.wanted;
    log::trace!("it is calm now: can {wanted} tasks run at once?");
    for _ in 0..wanted {
        callers::submit(world, true);
    }
    driver::run(world, pool)?;
    let running = world.state().workers.values().filter(|worker| worker.is_running()).count();
    if running != wanted {
        return Err(format!("{running} of {wanted} workers run while so many tasks wait"));
    }
    let mut state = world.state();
    state.released = true;
    state.book.entries.values_mut().for_each(|entry| entry.held = false);
    drop(state);
    driver::run(world, pool)?;
    first(verdict::pending(&world.state().book, "after it could run"))
}

/// A pool that was shut down comes to its end by itself.
fn see_its_end(world: &World) -> Result<(), String> {
    match world.mind.lock().as_ref().is_some_and(|mind| mind.is_done()) {
        true => Ok(()),
        false => Err("the pool was shut down and does not come to its end".to_owned()),
    }
}

/// The pool has ended, and left nothing behind.
fn end(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    see_its_end(world)?;
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
