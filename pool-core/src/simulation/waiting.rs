//! Callers that wait for a result, step by step: as `result` does it, which may take the manager's turns, or as those do it that
//! only have the manager called back.
//!
//! Keeps true: a caller that waits does nothing else, and there are only so many; the mind is in one hand.

use std::sync::Arc;
use std::time::Duration;

use crate::future::{Desk, Shared};
use crate::manager::{Batch, Manager, Pool};
use crate::simulation::book::{Book, What};
use crate::simulation::driver::{self, Others};
use crate::simulation::sabotage::Sabotage;
use crate::simulation::turns;
use crate::simulation::world::{State, World};

/// One caller that waits.
pub(super) struct Waiter {
    task: u64,
    what: Awaited,
    /// For how long.
    until: Option<Duration>,
    stage: Stage,
}

enum Awaited {
    /// In `result`.
    Result(Arc<Shared>),
    /// By a callback, a `wait` or an await.
    End(Arc<Shared>),
    /// In a map's `next`, but for all of them.
    Batch(Arc<Batch>),
}

impl Awaited {
    /// To be asked where no future's lock is held.
    fn is_there(&self) -> bool {
        match self {
            Self::Result(shared) | Self::End(shared) => shared.is_done(),
            Self::Batch(batch) => batch.is_done(),
        }
    }
}

/// How far it is.
enum Stage {
    Comes,
    /// It has the mind, and waits at the hub.
    Takes(Box<Manager>),
    /// It is in the middle of something.
    Acts,
    /// It waits for somebody else to bring what it wants.
    Sleeps,
}

impl Waiter {
    fn is_over(&self, now: Duration) -> bool {
        self.what.is_there() || self.until.is_some_and(|until| until <= now)
    }
}

/// A caller that has nothing to do begins to wait for this, or not.
pub(super) fn begin_perhaps(world: &World, task: Option<u64>) {
    let Some(task) = task else { return };
    let mut guard = world.state();
    let state = &mut *guard;
    if !state.random.one_in(world.plan.waits) {
        return;
    }
    let takes_turns = !state.random.one_in(4);
    let limit = state.random.one_in(4).then(|| Duration::from_micros(state.random.pick(&[1, 300, 5_000, 1_000_000])));
    let Some(what) = awaited(&state.book, task, takes_turns) else { return };
    let waiter = Waiter { task, what, until: limit.map(|limit| state.now + limit), stage: Stage::Comes };
    let number = state.waiters.last_key_value().map_or(0, |(number, _)| number + 1);
    log::trace!("caller {number}: waits for task {task}, takes turns: {takes_turns}, until {:?}", waiter.until);
    state.waiters.insert(number, waiter);
}

fn awaited(book: &Book, task: u64, takes_turns: bool) -> Option<Awaited> {
    let entry = book.entries.get(&task).filter(|entry| entry.handed_out && !entry.held)?;
    Some(match &entry.what {
        What::Single { shared, .. } if takes_turns => Awaited::Result(Arc::clone(shared)),
        What::Single { shared, .. } => Awaited::End(Arc::clone(shared)),
        What::Batch(batch) => Awaited::Batch(Arc::clone(batch)),
    })
}

/// Those that have a step to make. To be asked where no future's lock is held.
pub(super) fn due(world: &World, state: &State) -> Vec<u64> {
    let is_due = |waiter: &Waiter| match &waiter.stage {
        Stage::Comes => true,
        Stage::Acts => false,
        Stage::Sleeps => waiter.is_over(state.now),
        Stage::Takes(mind) => {
            let is_turn_due = turns::next_moment_of(world, mind).is_some_and(|due| due <= state.now);
            waiter.is_over(state.now) || state.has_news() || is_turn_due
        }
    };
    state.waiters.iter().filter(|(_, waiter)| is_due(waiter)).map(|(&number, _)| number).collect()
}

/// When one has something to do by itself.
pub(super) fn next_moment(world: &World, state: &State) -> Option<Duration> {
    let next = |waiter: &Waiter| {
        let turn = match &waiter.stage {
            Stage::Takes(mind) => turns::next_moment_of(world, mind),
            Stage::Comes | Stage::Acts | Stage::Sleeps => None,
        };
        turn.into_iter().chain(waiter.until).min()
    };
    state.waiters.values().filter_map(next).min()
}

/// The task of one that sleeps, and whose result nobody has brought.
pub(super) fn asleep(state: &State) -> Option<u64> {
    let sleeps = |waiter: &&Waiter| matches!(waiter.stage, Stage::Sleeps) && !waiter.what.is_there();
    state.waiters.values().find(sleeps).map(|waiter| waiter.task)
}

/// A caller's next step.
pub(super) fn act(world: &Arc<World>, pool: &Pool, number: u64) {
    let (stage, is_over) = {
        let mut state = world.state();
        let now = state.now;
        let Some(waiter) = state.waiters.get_mut(&number) else { return };
        (std::mem::replace(&mut waiter.stage, Stage::Acts), waiter.is_over(now))
    };
    let next = match stage {
        Stage::Comes if !is_over => begin(world, pool, number),
        Stage::Takes(mind) if is_over => {
            end(world, pool, number, mind);
            Some(Stage::Sleeps)
        }
        Stage::Takes(mind) => Some(take_turn(world, pool, number, mind)),
        Stage::Comes | Stage::Sleeps | Stage::Acts => None,
    };
    let mut state = world.state();
    match next {
        Some(stage) => {
            if let Some(waiter) = state.waiters.get_mut(&number) {
                waiter.stage = stage;
            }
        }
        None => {
            log::trace!("caller {number}: waits no longer");
            let waiter = state.waiters.remove(&number);
            drop(state);
            drop(waiter);
        }
    }
}

fn begin(world: &World, pool: &Pool, number: u64) -> Option<Stage> {
    if world.plan.sabotage == Some(Sabotage::CallIsForgotten) {
        pool.note_waiter();
        return Some(Stage::Sleeps);
    }
    let takes_turns = matches!(world.state().waiters.get(&number)?.what, Awaited::Result(_));
    if !takes_turns {
        pool.attend();
        return Some(Stage::Sleeps);
    }
    let borrowed = pool.begin_turns_aside();
    log::trace!("caller {number}: takes the turns: {}", borrowed.is_some());
    Some(borrowed.map_or(Stage::Sleeps, Stage::Takes))
}

/// Its result came, or its time is up, before it took another turn.
fn end(world: &World, pool: &Pool, number: u64, mind: Box<Manager>) {
    if world.plan.sabotage != Some(Sabotage::TurnsAreKept) {
        log::trace!("caller {number}: leaves the turns");
        pool.end_turns_aside(mind);
    }
}

fn take_turn(world: &Arc<World>, pool: &Pool, number: u64, mut mind: Box<Manager>) -> Stage {
    log::trace!("caller {number}: a turn");
    world.state().book.turns_of_callers += 1;
    let unannounced = turns::take_one(world, pool, &mut mind);
    driver::interrupt(world, Others::Anyone);
    let is_done = world.state().waiters.get(&number).is_some_and(|waiter| waiter.what.is_there());
    if is_done && world.plan.sabotage == Some(Sabotage::TurnsAreKept) {
        return Stage::Sleeps;
    }
    match pool.go_on_aside(mind, is_done, unannounced) {
        Some(mind) => Stage::Takes(mind),
        None => Stage::Sleeps,
    }
}
