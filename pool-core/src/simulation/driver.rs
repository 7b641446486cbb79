//! Who acts next, until nobody has anything to do: manager, feeder, workers, callers, those that wait, and callbacks, by the
//! dice, and within each other where real threads could.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use crate::future::run_callback;
use crate::manager::{Demand, Pool, feeder};
use crate::simulation::book::Entry;
use crate::simulation::world::{State, World};
use crate::simulation::{callers, rest, turns, waiting, worker};

/// A simulation that makes more steps than this never comes to an end.
const MOST_STEPS: u64 = 200_000;

/// How deep those who act may stand within each other.
const MOST_DEPTH: u32 = 3;

/// Who may act within a call of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Whoever is not in the middle of something.
    Anyone,
    /// The pool's own threads and workers: whoever calls holds the lock of a future that no other thread knows.
    Staff,
    /// Workers only: whoever calls holds a lock that others may want.
    Workers,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    Manager,
    Feeder,
    Worker(LinkId),
    Caller,
    /// One that waits for a result.
    Waiter(u64),
    Callback,
    Killer,
}

/// Lets everybody act until nobody has anything to do, now or later.
///
/// # Errors
/// There is no end to it.
pub(super) fn run(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    let mut ages = 0;
    loop {
        while let Some(agent) = choose(world, pool, Others::Anyone) {
            act(world, pool, agent);
            if world.state().steps > MOST_STEPS {
                return Err(format!("there is no end after {MOST_STEPS} steps"));
            }
        }
        let turn = world.mind.lock().as_ref().and_then(|mind| turns::next_moment_of(world, mind));
        // A moment that has passed is for a turn that is due, and was not chosen only if there is none, or none as yet.
        let (now, next) = {
            let state = world.state();
            let relief = state.stand_by.as_ref().and_then(|stand_by| stand_by.until());
            let moments = turn.into_iter().chain(relief).chain(waiting::next_moment(world, &state));
            (state.now, moments.chain(state.next_moment()).filter(|moment| *moment > state.now).min())
        };
        log::trace!("nobody acts at {now:?}, and not before {next:?}");
        rest::check(world, pool, next)?;
        let Some(moment) = next else { return Ok(()) };
        // Where workers get too old, something happens for ever.
        ages = if somebody_waits(world) { 0 } else { ages + 1 };
        if world.plan.staffing.max_age.is_some() && ages > AGES && calm_down(world) {
            return Ok(());
        }
        world.state().now = moment;
    }
}

/// How often workers may get too old, where that is all that happens.
const AGES: u32 = 12;

/// Whether a caller waits for anything.
fn somebody_waits(world: &World) -> bool {
    let state = world.state();
    let runs = |entry: &Entry| entry.items.iter().all(|item| item.begun > 0);
    let mut open = state.book.entries.values().filter(|entry| !entry.is_done());
    state.book.shut || open.any(|entry| !entry.held || state.released || !runs(entry))
}

/// Lets nothing go wrong any more. Whether all that did is over: workers that say nothing, or whose end nobody has seen.
fn calm_down(world: &World) -> bool {
    let mut state = world.state();
    state.calm = true;
    !state.workers.values().any(|worker| worker.is_mute() || worker.is_gone())
}

/// Others act, or do not, while one is in the middle of a call.
pub(super) fn interrupt(world: &Arc<World>, others: Others) {
    let (acts, others) = {
        let mut state = world.state();
        let others = if state.agents.locked > 0 && others == Others::Anyone { Others::Staff } else { others };
        let acts = state.agents.depth < MOST_DEPTH && state.random.one_in(world.plan.interrupts);
        (if acts { 1 + state.random.below(3) } else { 0 }, others)
    };
    if acts == 0 {
        return;
    }
    let Some(pool) = world.pool() else { return };
    let locked = u32::from(others != Others::Anyone);
    world.state().agents.depth += 1;
    world.state().agents.locked += locked;
    for _ in 0..acts {
        let Some(agent) = choose(world, &pool, others) else { break };
        act(world, &pool, agent);
    }
    world.state().agents.depth -= 1;
    world.state().agents.locked -= locked;
}

fn choose(world: &World, pool: &Pool, others: Others) -> Option<Agent> {
    let manager_is_due = others != Others::Workers && turns::is_due(world, pool);
    let mut guard = world.state();
    let state = &mut *guard;
    let weights = &world.plan.weights;
    let mut choices: Vec<(Agent, u64)> = Vec::with_capacity(8);
    let now = state.now;
    let runnable = state.workers.iter().filter(|(_, worker)| worker.is_runnable(now, state.released));
    choices.extend(runnable.map(|(&link, _)| (Agent::Worker(link), weights.worker)));
    if others != Others::Workers {
        if manager_is_due {
            choices.push((Agent::Manager, weights.manager));
        }
        choices.extend(waiting::due(world, state).into_iter().map(|number| (Agent::Waiter(number), weights.waiter)));
        if !state.agents.feeder && !state.agents.deserted && pool.orders.has_order() {
            choices.push((Agent::Feeder, weights.feeder));
        }
    }
    if others == Others::Anyone {
        if state.deeds_left > 0 && state.waiters.len() < world.plan.callers {
            choices.push((Agent::Caller, weights.caller));
        }
        if !state.agents.callback && !state.due.is_empty() {
            choices.push((Agent::Callback, weights.callback));
        }
    }
    if !choices.is_empty() && state.happens(world.plan.trouble.is_killed) {
        return Some(Agent::Killer);
    }
    let total: u64 = choices.iter().map(|(_, weight)| weight).sum();
    let mut left = if total > 0 { state.random.below(total) } else { return None };
    for (agent, weight) in choices {
        if left < weight {
            return Some(agent);
        }
        left -= weight;
    }
    None
}

fn act(world: &Arc<World>, pool: &Pool, agent: Agent) {
    world.pulse.beat();
    {
        let mut state = world.state();
        state.steps += 1;
        let passed = match state.random.one_in(world.plan.trouble.time_leaps) {
            true => state.random.pick(&[1_000, 6_000, 150_000]),
            false => state.random.below(20),
        };
        state.now += Duration::from_micros(passed);
    }
    match agent {
        Agent::Manager => turns::act(world, pool),
        Agent::Feeder => {
            world.state().agents.feeder = true;
            if let Some(order) = pool.orders.poll() {
                let panics = world.state().panics(world.plan.trouble.feeder_panics);
                if panics { desert(world, pool) } else { feeder::obey(pool, order) }
            }
            world.state().agents.feeder = false;
        }
        Agent::Worker(link) => worker::step(&mut world.state(), link, &world.plan.trouble),
        Agent::Caller => {
            world.state().deeds_left -= 1;
            callers::act(world);
        }
        Agent::Waiter(number) => waiting::act(world, pool, number),
        Agent::Callback => {
            let mut state = world.state();
            state.agents.callback = true;
            let callback = state.due.pop_front();
            drop(state);
            callback.into_iter().for_each(run_callback);
            world.state().agents.callback = false;
        }
        Agent::Killer => kill_somebody(&mut world.state()),
    }
}

/// The feeder panics with an order in its hand.
fn desert(world: &World, pool: &Pool) {
    log::trace!("feeder: panics");
    world.state().agents.deserted = true;
    turns::break_down(pool);
    pool.demand(Demand::Abandon);
}

/// Lets workers act until the hub has something to tell, or the deadline has passed.
pub(super) fn await_news(world: &Arc<World>, deadline: Option<Instant>) {
    let Some(pool) = world.pool() else { return };
    let deadline = deadline.map(|deadline| world.since_start(deadline));
    loop {
        {
            let state = world.state();
            if state.has_news() || deadline.is_some_and(|deadline| deadline <= state.now) {
                return;
            }
        }
        if let Some(agent) = choose(world, &pool, Others::Workers) {
            act(world, &pool, agent);
            continue;
        }
        let mut state = world.state();
        let moment = state.next_moment().expect("the manager waits for what never comes");
        state.now = moment;
    }
}

/// Somebody kills a worker from outside.
fn kill_somebody(state: &mut State) {
    let workers: Vec<LinkId> =
        state.workers.iter().filter(|(_, worker)| !worker.is_gone()).map(|(link, _)| *link).collect();
    if !workers.is_empty() {
        let victim = state.random.pick(&workers);
        log::trace!("somebody kills {victim:?}");
        state.kill(victim);
    }
}
