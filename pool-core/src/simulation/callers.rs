//! What callers do: submit, cancel, add callbacks that do the same, let go of futures, shut the pool down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pool_ipc::{Frame, Owner};

use crate::error::{ForcedBy, SubmitError};
use crate::future::{Desk, Future, Shared};
use crate::manager::{Batch, Demand, Force, Means, Pool, TimeLimits, watch_deadline};
use crate::simulation::book::What;
use crate::simulation::request::payload;
use crate::simulation::world::World;

/// What tasks are called.
const NAME: &str = "simulated";

/// One deed of a caller.
pub(super) fn act(world: &Arc<World>) {
    let (choice, shuts) = {
        let mut state = world.state();
        let shuts = state.random.one_in(world.plan.shutdown);
        (state.random.below(20), shuts)
    };
    match choice {
        _ if shuts => shut_down(world),
        0..=7 => submit(world, false),
        8..=10 => submit_batch(world),
        11..=13 => cancel_or_kill(world),
        14..=17 => add_callback(world),
        _ => let_go(world),
    }
}

/// Submits one task, which may be one that stands still.
pub(super) fn submit(world: &Arc<World>, held: bool) {
    let Some(pool) = world.pool() else { return };
    let shared = Shared::new(NAME, desk(&pool));
    let handle = Some(Future::of(Arc::clone(&shared)));
    let limits = if held { TimeLimits::default() } else { limits(world) };
    let (id, padding) = enter(world, What::Single { shared: Arc::clone(&shared), handle }, 1, held, limits);
    log::trace!("caller: submits task {id}, {limits:?}");
    hand_in(world, &pool, id, Frame::new(shared, payload(id, padding), 1), limits);
}

fn submit_batch(world: &Arc<World>) {
    let Some(pool) = world.pool() else { return };
    let items = 1 + world.state().random.below(world.plan.batch_items) as u32;
    let batch = Batch::new(NAME, desk(&pool), None, items);
    let limits = limits(world);
    let (id, padding) = enter(world, What::Batch(Arc::clone(&batch)), items, false, limits);
    log::trace!("caller: submits task {id}, a batch of {items}, {limits:?}");
    hand_in(world, &pool, id, Frame::new(batch, payload(id, padding), items), limits);
}

/// The time limits of the next task, which has none most often.
fn limits(world: &World) -> TimeLimits {
    let mut state = world.state();
    let mut limit = || {
        let limited = state.random.one_in(world.plan.limits);
        limited.then(|| Duration::from_micros(state.random.pick(&[0, 300, 5_000, 100_000, 10_000_000])))
    };
    TimeLimits { timeout: limit(), deadline: limit() }
}

fn desk(pool: &Arc<Pool>) -> Weak<dyn Desk> {
    let weak: Weak<Pool> = Arc::downgrade(pool);
    weak
}

fn enter(world: &World, what: What, items: u32, held: bool, limits: TimeLimits) -> (u64, usize) {
    let mut state = world.state();
    let id = state.book.next;
    state.book.next += 1;
    state.book.enter(id, what, items, held, limits);
    (id, state.random.pick(&[0, 0, 20, 600]))
}

fn hand_in(world: &World, pool: &Pool, id: u64, frame: Frame, limits: TimeLimits) {
    let (owner, terms) = (Owner::clone(&frame.owner), limits.terms(world.now()));
    let frame = Frame { terms: terms.clone(), ..frame };
    let Err(error) = pool.admit().and_then(|()| pool.submit(frame)) else {
        if let Some(entry) = world.state().book.entries.get_mut(&id) {
            entry.handed_out = true;
        }
        return watch_deadline(pool, &owner, terms.as_deref(), limits.deadline);
    };
    log::trace!("caller: task {id} is refused: {error}");
    let mut state = world.state();
    let refused = match error {
        SubmitError::ShutDown => state.book.shut,
        // Also that the backend panicked.
        SubmitError::Broken(_) => true,
        SubmitError::NoMemory(_) => world.plan.trouble.no_memory > 0,
        _ => false,
    };
    if !refused {
        state.book.violation(format!("task {id} is refused without a reason: {error}"));
    }
    let entry = state.book.entries.remove(&id);
    if entry.is_some_and(|entry| entry.items.iter().any(|item| item.begun > 0)) {
        state.book.violation(format!("task {id} is refused and runs all the same"));
    }
}

/// A task that somebody still holds.
fn any_task(world: &World) -> Option<u64> {
    let mut state = world.state();
    let tasks = state.book.entries.len() as u64;
    if tasks == 0 {
        return None;
    }
    // Most often one of the latest, which may not be done.
    let back = if state.random.one_in(3) { state.random.below(tasks) } else { state.random.below(tasks.min(4)) };
    let (id, entry) = state.book.entries.iter().rev().nth(back as usize)?;
    entry.handed_out.then_some(*id)
}

fn cancel_or_kill(world: &Arc<World>) {
    let kills = world.state().random.one_in(world.plan.kills);
    if kills { kill(world) } else { cancel(world) }
}

fn kill(world: &World) {
    let Some(id) = any_task(world) else { return };
    let mut state = world.state();
    let Some(entry) = state.book.entries.get_mut(&id).filter(|entry| !entry.held) else { return };
    let What::Single { handle: Some(future), .. } = &entry.what else { return };
    let future = future.clone();
    entry.kill_asked = true;
    drop(state);
    let killed = future.kill();
    log::trace!("caller: kills task {id}: {killed}");
}

fn cancel(world: &Arc<World>) {
    let Some(id) = any_task(world) else { return };
    let mut state = world.state();
    let Some(entry) = state.book.entries.get_mut(&id).filter(|entry| !entry.held) else { return };
    entry.cancel_asked = true;
    match &entry.what {
        What::Single { shared, .. } => {
            let shared = Arc::clone(shared);
            drop(state);
            let cancelled = shared.cancel();
            log::trace!("caller: cancels task {id}: {cancelled}");
            if cancelled {
                world.state().book.cancelled(id);
            }
        }
        What::Batch(batch) => {
            let batch = Arc::clone(batch);
            drop(state);
            log::trace!("caller: cancels the batch {id}");
            batch.cancel();
        }
    }
}

fn let_go(world: &World) {
    let Some(id) = any_task(world) else { return };
    let mut state = world.state();
    let let_go = match state.book.entries.get_mut(&id).map(|entry| &mut entry.what) {
        Some(What::Single { handle, .. }) => handle.take(),
        _ => None,
    };
    drop(state);
    drop(let_go);
}

fn add_callback(world: &Arc<World>) {
    let Some(id) = any_task(world) else { return };
    let mut state = world.state();
    let Some(entry) = state.book.entries.get_mut(&id) else { return };
    let What::Single { handle: Some(future), .. } = &entry.what else { return };
    let (future, number) = (future.clone(), entry.callbacks_added);
    entry.callbacks_added += 1;
    let deed = state.random.below(6);
    drop(state);
    log::trace!("caller: adds callback {number} to task {id}");
    let weak = Arc::downgrade(world);
    future.add_done_callback(move |future| {
        let Some(world) = weak.upgrade() else { return };
        log::trace!("callback {number} of task {id} runs");
        world.state().book.call_back(id, number, future.done());
        match deed {
            0 => submit(&world, false),
            1 => submit_batch(&world),
            2 => cancel_or_kill(&world),
            3 if number < 3 => add_callback(&world),
            _ => {}
        }
    });
}

/// Shuts the pool down, one way or another. A second time is as good as the first.
fn shut_down(world: &World) {
    let (cancels, gives_up) = {
        let mut state = world.state();
        let (cancels, gives_up) = (state.random.one_in(2), state.random.one_in(6));
        state.book.shut = true;
        state.book.cancelled_pending |= cancels;
        state.book.given_up |= gives_up;
        (cancels, gives_up)
    };
    let Some(pool) = world.pool() else { return };
    log::trace!("caller: shuts down, cancels: {cancels}, gives up: {gives_up}");
    pool.shut();
    if cancels {
        pool.demand(Demand::CancelPending);
    }
    if gives_up {
        pool.force(Force { by: ForcedBy::KillWorkers, means: Means::Kill, at: None });
    }
}

/// Shuts the pool down as its owner does at the end.
pub(super) fn shut_down_at_last(world: &World) {
    world.state().book.shut = true;
    if let Some(pool) = world.pool() {
        log::trace!("owner: shuts down");
        pool.shut();
    }
}
