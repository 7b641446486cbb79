//! What callers do: submit, cancel, add callbacks that do the same, let go of futures, wait for results, shut the pool down.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pool_ipc::{Body, Frame, Owner, Terms};

use crate::error::SubmitError;
use crate::future::{Desk, Future, Pack, Retry, Shared};
use crate::manager::{Batch, Pool, TimeLimits, watch_deadline};
use crate::simulation::book::{What, Wish};
use crate::simulation::driver::{self, Others};
use crate::simulation::ends;
use crate::simulation::policy::Policy;
use crate::simulation::request::payload;
use crate::simulation::sabotage::Sabotage;
use crate::simulation::waiting;
use crate::simulation::world::World;

/// What tasks are called.
const NAME: &str = "simulated";

/// One deed of a caller.
pub(super) fn act(world: &Arc<World>) {
    let (choice, shuts, resizes) = {
        let mut state = world.state();
        let shuts = state.random.one_in(world.plan.shutdown);
        let resizes = state.random.one_in(world.plan.resizes);
        (state.random.below(22), shuts, resizes)
    };
    match choice {
        _ if shuts => ends::shut_down(world),
        _ if resizes => resize(world),
        _ if world.plan.one_by_one && choice < 18 => {
            let task = submit(world, false);
            waiting::begin_perhaps(world, task);
        }
        0..=7 => {
            let burst = world.state().random.one_in(world.plan.bursts);
            let tasks = if burst { 2 + world.state().random.below(40) } else { 1 };
            let last = (0..tasks).fold(None, |_, _| submit(world, false));
            waiting::begin_perhaps(world, last);
        }
        8..=10 => {
            let task = submit_batch(world);
            waiting::begin_perhaps(world, task);
        }
        11..=13 => cancel_or_kill(world),
        14..=17 => add_callback(world),
        18..=19 => let_go(world),
        _ => waiting::begin_perhaps(world, any_task(world)),
    }
}

fn resize(world: &World) {
    let Some(pool) = world.pool() else { return };
    let mut state = world.state();
    let workers = 1 + state.random.below(5) as usize;
    state.size.ask(workers);
    drop(state);
    log::trace!("caller: wants {workers} workers");
    if world.plan.sabotage != Some(Sabotage::ResizeIsLost) {
        pool.resize(workers);
    }
}

/// Submits one task, which may be one that stands still. Its number, which is nobody's if it is refused.
pub(super) fn submit(world: &Arc<World>, held: bool) -> Option<u64> {
    let pool = world.pool()?;
    let order = Order::new(world, if held { Wish { held, ..Wish::default() } } else { wish(world) });
    let shared = Shared::with_retry(NAME, desk(&pool), order.retry(world));
    let handle = Some(Future::of(Arc::clone(&shared)));
    order.enter(world, What::Single { shared: Arc::clone(&shared), handle }, 1);
    log::trace!("caller: submits task {}, {:?}", order.id, order.wish);
    let may_be_packed = order.terms.is_none() && shared.retry().is_none() && Pack::takes(order.payload.as_slice());
    let owner: Owner = Arc::<Shared>::clone(&shared);
    hand_in(world, &pool, &order, owner, || match may_be_packed {
        true => pool.submit_small(&mut { shared }, order.payload.as_slice()),
        false => pool.submit(order.frame(shared, 1)),
    });
    Some(order.id)
}

fn submit_batch(world: &Arc<World>) -> Option<u64> {
    let pool = world.pool()?;
    let items = 1 + world.state().random.below(world.plan.batch_items) as u32;
    let order = Order::new(world, wish(world));
    let batch = Batch::new(NAME, desk(&pool), order.retry(world), items);
    order.enter(world, What::Batch(Arc::clone(&batch)), items);
    log::trace!("caller: submits task {}, a batch of {items}, {:?}", order.id, order.wish);
    let owner: Owner = Arc::<Batch>::clone(&batch);
    hand_in(world, &pool, &order, owner, || pool.submit(order.frame(batch, items)));
    Some(order.id)
}

/// What a caller asks for with the next task, which is nothing most often.
fn wish(world: &World) -> Wish {
    let mut state = world.state();
    let mut limit = || {
        let limited = state.random.one_in(world.plan.limits);
        limited.then(|| Duration::from_micros(state.random.pick(&[0, 300, 5_000, 100_000, 10_000_000])))
    };
    let limits = TimeLimits { timeout: limit(), deadline: limit() };
    let policy = state.random.one_in(world.plan.retries).then(|| Policy::new(&mut state.random));
    Wish { held: false, limits, policy }
}

/// A task that is about to be submitted.
struct Order {
    id: u64,
    wish: Wish,
    payload: Body,
    /// What the pool is told of the limits.
    terms: Option<Arc<Terms>>,
}

impl Order {
    fn new(world: &World, wish: Wish) -> Self {
        let now = world.now();
        let mut state = world.state();
        let id = state.book.next;
        state.book.next += 1;
        let payload = Body::shared(payload(id, state.random.pick(&[0, 0, 20, 600])));
        let limits = match world.plan.sabotage {
            Some(Sabotage::TimeoutIsForgotten) => TimeLimits { timeout: None, ..wish.limits },
            _ => wish.limits,
        };
        Self { id, wish, payload, terms: limits.terms(now) }
    }

    fn retry(&self, world: &World) -> Option<Box<Retry>> {
        let put_in = world.plan.sabotage;
        let policy = match (self.wish.policy, put_in) {
            (Some(_), Some(Sabotage::RetryIsForgotten)) => None,
            (None, Some(Sabotage::RetryIsMadeUp)) if !self.wish.held => Some(Policy::new(&mut world.state().random)),
            (policy, _) => policy,
        };
        policy.map(|policy| policy.retry(self.id, &self.payload, self.terms.as_deref(), put_in))
    }

    fn enter(&self, world: &World, what: What, items: u32) {
        let mut state = world.state();
        let now = state.now;
        state.book.enter(self.id, what, items, self.wish, now);
    }

    fn frame(&self, owner: Owner, items: u32) -> Frame {
        Frame { terms: self.terms.clone(), ..Frame::new(owner, self.payload.clone(), items) }
    }
}

fn desk(pool: &Arc<Pool>) -> Weak<dyn Desk> {
    let weak: Weak<Pool> = Arc::downgrade(pool);
    weak
}

/// As a submit does it. Others may act between its steps.
fn hand_in(
    world: &Arc<World>,
    pool: &Pool,
    order: &Order,
    owner: Owner,
    submit: impl FnOnce() -> Result<(), SubmitError>,
) {
    let admitted = pool.admit();
    driver::interrupt(world, Others::Anyone);
    if let Err(error) = admitted.and_then(|()| submit()) {
        return be_refused(world, order.id, &error);
    }
    note_hand_in(world, order.id);
    driver::interrupt(world, Others::Anyone);
    if let Some(entry) = world.state().book.entries.get_mut(&order.id) {
        entry.handed_out = true;
    }
    if world.plan.sabotage != Some(Sabotage::DeadlineIsForgotten) {
        watch_deadline(pool, &owner, order.terms.as_deref(), order.wish.limits.deadline);
    }
}

fn note_hand_in(world: &World, id: u64) {
    let book = &mut world.state().book;
    let came_late = book.finished_at.is_some();
    if let Some(entry) = book.entries.get_mut(&id) {
        entry.came_late = came_late;
    }
}

fn be_refused(world: &World, id: u64, error: &SubmitError) {
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
    let mut state = world.state();
    let now = state.now;
    if let Some(entry) = state.book.entries.get_mut(&id).filter(|_| killed) {
        entry.killed_at.get_or_insert(now);
    }
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
            0 => _ = submit(&world, false),
            1 => _ = submit_batch(&world),
            2 => cancel_or_kill(&world),
            3 if number < 3 => add_callback(&world),
            _ => {}
        }
    });
}

/// Shuts the pool down as its owner does at the end.
pub(super) fn shut_down_at_last(world: &World) {
    world.state().book.shut = true;
    if let Some(pool) = world.pool() {
        log::trace!("owner: shuts down");
        pool.shut();
    }
}
