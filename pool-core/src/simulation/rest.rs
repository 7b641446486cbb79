//! The checks of a moment at which nobody has anything to do: who should have, and who should not be there.

use std::time::Duration;

use crate::error::TaskError;
use crate::manager::Pool;
use crate::simulation::book::Entry;
use crate::simulation::plan::Plan;
use crate::simulation::waiting;
use crate::simulation::world::{State, World};

/// Longer than the manager's patience with what waits behind a task.
const SOON: Duration = Duration::from_millis(10);

/// Later than anything is known.
const A_SECOND: Duration = Duration::from_secs(1);

/// How many workers were asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// The number that was asked for last.
    pub(super) wanted: usize,
    /// The largest that was asked for.
    most: usize,
    /// Since when everybody knows of it, if they do.
    known_since: Option<Duration>,
}

impl Size {
    pub(super) fn new(wanted: usize) -> Self {
        Self { wanted, most: wanted, known_since: Some(Duration::ZERO) }
    }

    /// So many are wanted from now on.
    pub(super) fn ask(&mut self, wanted: usize) {
        *self = Self { wanted, most: self.most.max(wanted), known_since: None };
    }
}

/// Everything that has to be so while nothing happens until `next`, if ever.
///
/// # Errors
/// What is not.
pub(super) fn check(world: &World, pool: &Pool, next: Option<Duration>) -> Result<(), String> {
    let mut guard = world.state();
    let state = &mut *guard;
    if !state.book.panicked {
        nothing_waits_in_vain(&world.plan, state, pool)?;
        no_more_run_than_may(&world.plan, state)?;
        broken_means_over(&world.plan, state, pool)?;
        nothing_runs_too_long(&world.plan, state)?;
        nothing_waits_for_the_lease(state, pool)?;
        no_callback_is_held_up(state)?;
    }
    state.book.rested_at = state.now;
    match next {
        Some(next) => {
            no_batch_waits_in_vain(&world.plan, state, pool, next)?;
            nobody_is_too_old(&world.plan, state, pool)
        }
        None => those_are_there_who_should_be(&world.plan, state, pool),
    }
}

/// So many tasks run at a time, and those besides whose frames were at workers when the pool was made smaller. Where nothing can be had back,
/// they may be more, and a pool that was shut down keeps those that it has.
fn no_more_run_than_may(plan: &Plan, state: &mut State) -> Result<(), String> {
    let Size { wanted, most, .. } = state.size;
    let since = *state.size.known_since.get_or_insert(state.now);
    let running = state.workers.values().filter(|worker| worker.is_running());
    let (new, old): (Vec<_>, Vec<_>) = running.partition(|worker| worker.took_at >= since);
    let (new, all) = (new.len(), new.len() + old.len());
    if all > most || plan.recall && !state.book.shut && new > wanted {
        return Err(format!("{all} workers run tasks, {new} of them since {wanted} are the most"));
    }
    Ok(())
}

/// No frame waits for a worker that is there, or that could be.
fn nothing_waits_in_vain(plan: &Plan, state: &State, pool: &Pool) -> Result<(), String> {
    let (waiting, idle, links) = (pool.backlog.waiting(), pool.idle.len(), pool.links().len());
    if waiting == 0 {
        return Ok(());
    }
    if idle > 0 {
        return Err(format!("{waiting} frames wait while {idle} workers are idle"));
    }
    let wanted = state.size.wanted;
    if links < wanted && workers_can_be_had(plan, state) {
        return Err(format!("{waiting} frames wait while there are {links} workers of {wanted}"));
    }
    Ok(())
}

/// Where one worker has several items and others rest, they are spread before anything takes long. A worker that has lied is
/// not asked for what it has, and what one gave back is not there before its bell was heard.
fn no_batch_waits_in_vain(plan: &Plan, state: &State, pool: &Pool, next: Duration) -> Result<(), String> {
    let trouble = &plan.trouble;
    let honest = trouble.garbles == 0 && trouble.rings_late == 0;
    let judged = plan.recall && honest && next > state.now + SOON;
    if !judged || pool.idle.len() == 0 {
        return Ok(());
    }
    let mut running = state.workers.iter().filter(|(_, worker)| !worker.is_gone() && worker.is_running());
    match running.find(|(_, worker)| worker.near.unclaimed() > 0) {
        None => Ok(()),
        Some((id, _)) => Err(format!("{id:?} keeps items that it has not begun, and somebody rests")),
    }
}

/// What runs is within its limits, or is being stopped and has its grace.
fn nothing_runs_too_long(plan: &Plan, state: &State) -> Result<(), String> {
    // Who was asked to end by the pool's end may take any time.
    if plan.trouble.time_leaps > 0 || !state.book.forced.is_empty() {
        return Ok(());
    }
    for worker in state.workers.values() {
        let Some((task, _)) = worker.running() else { continue };
        let Some(entry) = state.book.entries.get(&task) else { continue };
        // Its beginning is looked for once in so long, and of a batch one item may be stopped after the other.
        let by_timeout = entry.limits.timeout.map(|limit| worker.begun_at + 2 * limit);
        let closes_at = entry.closes_at().filter(|_| plan.recall || entry.items.len() == 1);
        let by_closing = closes_at.map(|at| at.max(worker.begun_at) + plan.grace);
        let end = by_timeout.into_iter().chain(by_closing).min().map(|end| end + plan.grace + SOON);
        if let Some(end) = end.filter(|end| *end < state.now) {
            return Err(format!("task {task} runs at {:?}, and was to be over by {end:?}", state.now));
        }
    }
    Ok(())
}

/// Who sleeps until his result is there has somebody who hears of it, and so has who says something.
fn nothing_waits_for_the_lease(state: &State, pool: &Pool) -> Result<(), String> {
    match waiting::asleep(state) {
        _ if !pool.orders.is_left() => Ok(()),
        Some(task) => Err(format!("a caller waits for task {task}, and nobody hears workers")),
        None if pool.is_woken() => Err("something was said, and nobody hears it".to_owned()),
        None => Ok(()),
    }
}

/// Callbacks of what is done have run. Once the pool has ended they are run by whoever looks next.
fn no_callback_is_held_up(state: &State) -> Result<(), String> {
    let is_held_up = |entry: &Entry| entry.is_done() && entry.callbacks_run < entry.callbacks_added;
    match state.book.entries.iter().find(|(_, entry)| is_held_up(entry)) {
        Some((task, _)) if state.book.finished_at.is_none() => Err(format!("a callback of task {task} is held up")),
        _ => Ok(()),
    }
}

/// A pool that breaks with a lost worker has none left then.
fn broken_means_over(plan: &Plan, state: &State, pool: &Pool) -> Result<(), String> {
    let left = state.workers.values().filter(|worker| !worker.is_gone()).count();
    // One that could not be started at all ends nobody, and neither does one that greets badly.
    let by_loss = plan.trouble.start_fails == 0 && plan.trouble.greets_badly == 0;
    if plan.is_strict() && by_loss && left > 0 && matches!(pool.verdict(), TaskError::Broken(_)) {
        return Err(format!("{left} workers are left in a pool that a lost worker broke"));
    }
    Ok(())
}

/// Who has nothing to do is not older than it may be, where its successor can come up.
fn nobody_is_too_old(plan: &Plan, state: &State, pool: &Pool) -> Result<(), String> {
    let Some(limit) = plan.staffing.max_age.filter(|_| is_orderly(plan, state, pool)) else { return Ok(()) };
    // What it did last may not be known yet.
    let is_too_old = |(age, idle): (Duration, Duration)| age > limit + A_SECOND && idle > A_SECOND;
    match state.workers.iter().find(|(_, worker)| worker.idle_age(state.now).is_some_and(is_too_old)) {
        None => Ok(()),
        Some((id, _)) => Err(format!("{id:?} has nothing to do, and is older than {limit:?}")),
    }
}

/// Nothing will ever happen by itself: those are there who are to be there always, and nobody else.
fn those_are_there_who_should_be(plan: &Plan, state: &State, pool: &Pool) -> Result<(), String> {
    if !is_orderly(plan, state, pool) {
        return Ok(());
    }
    let staffing = &plan.staffing;
    let there = state.workers.values().filter(|worker| !worker.is_gone()).count();
    if staffing.max_age.is_some() && there > 0 {
        return Err(format!("{there} workers are there, and will not be too old, ever"));
    }
    let running = state.workers.values().filter(|worker| worker.is_running()).count();
    let fewest = staffing.min_workers.min(state.size.wanted);
    let spares = if fewest > 0 { staffing.spares } else { 0 };
    if there < fewest + spares {
        return Err(format!("{there} workers are there, where {fewest} and {spares} spares are to be"));
    }
    // Who runs the last task that it may, or has grown, has a successor.
    let may_be_replaced = plan.max_tasks.is_some() || staffing.soft_memory.is_some();
    let successors = if may_be_replaced { running } else { 0 };
    let most = fewest.max(running) + staffing.spares + successors;
    if staffing.idle_timeout.is_some() && there > most {
        return Err(format!("{there} workers stay, where {most} have something to do or are to be there"));
    }
    Ok(())
}

/// Whether it is clear who is to be there.
fn is_orderly(plan: &Plan, state: &State, pool: &Pool) -> bool {
    pool.admit().is_ok() && !state.book.panicked && workers_can_be_had(plan, state)
}

/// Whether a worker that is needed comes up: also not too many were lost for that.
fn workers_can_be_had(plan: &Plan, state: &State) -> bool {
    let lost = state.book.deaths.len() - state.book.dismissed;
    !plan.trouble.keeps_workers_from_starting() && lost <= plan.staffing.restarts.losses
}
