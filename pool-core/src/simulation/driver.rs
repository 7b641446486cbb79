//! Who acts next, until nobody has anything to do: manager, feeder, workers, callers and callbacks take turns by the dice,
//! and within each other where real threads could.

use std::sync::Arc;
use std::time::Duration;

use pool_ipc::LinkId;

use crate::future::run_callback;
use crate::manager::{Pool, feeder};
use crate::simulation::plan::Sabotage;
use crate::simulation::world::{State, World};
use crate::simulation::{callers, worker};

/// A simulation that makes more steps than this never comes to an end.
const MOST_STEPS: u64 = 200_000;

/// How deep those who act may stand within each other.
const MOST_DEPTH: u32 = 3;

/// Who may act within a call of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Whoever is not in the middle of something.
    Anyone,
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
    Callback,
    Killer,
}

/// Lets everybody act until nobody has anything to do, now or later.
///
/// # Errors
/// There is no end to it.
pub(super) fn run(world: &Arc<World>, pool: &Pool) -> Result<(), String> {
    loop {
        while let Some(agent) = choose(world, pool, Others::Anyone) {
            act(world, pool, agent);
            if world.state().steps > MOST_STEPS {
                return Err(format!("there is no end after {MOST_STEPS} steps"));
            }
        }
        let deadline = world.mind.lock().as_ref().and_then(|mind| mind.next_deadline());
        let deadline = deadline.map(|deadline| world.since_start(deadline));
        let mut state = world.state();
        let Some(moment) = deadline.into_iter().chain(state.next_moment()).min() else { return Ok(()) };
        log::trace!("nobody acts before {moment:?}");
        // A deadline that has passed is a turn that is due, and was not chosen only if there is no further turn.
        if moment <= state.now {
            return Ok(());
        }
        state.now = moment;
    }
}

/// Others act, or do not, while one is in the middle of a call.
pub(super) fn interrupt(world: &Arc<World>, others: Others) {
    let acts = {
        let mut state = world.state();
        let acts = state.agents.depth < MOST_DEPTH && state.random.one_in(world.plan.interrupts);
        if acts { 1 + state.random.below(3) } else { 0 }
    };
    if acts == 0 {
        return;
    }
    let Some(pool) = world.pool() else { return };
    world.state().agents.depth += 1;
    for _ in 0..acts {
        let Some(agent) = choose(world, &pool, others) else { break };
        act(world, &pool, agent);
    }
    world.state().agents.depth -= 1;
}

fn choose(world: &World, pool: &Pool, others: Others) -> Option<Agent> {
    // Nobody has the mind while it takes a turn.
    let mind = world.mind.lock().as_ref().map(|mind| (mind.is_done(), mind.next_deadline()));
    let mut guard = world.state();
    let state = &mut *guard;
    let weights = &world.plan.weights;
    let mut choices: Vec<(Agent, u64)> = Vec::with_capacity(8);
    let now = state.now;
    let runnable = state.workers.iter().filter(|(_, worker)| worker.is_runnable(now, state.released));
    choices.extend(runnable.map(|(&link, _)| (Agent::Worker(link), weights.worker)));
    if others == Others::Anyone {
        if let Some((false, deadline)) = mind
            && (state.has_news() || deadline.is_some_and(|deadline| world.since_start(deadline) <= now))
        {
            choices.push((Agent::Manager, weights.manager));
        }
        if !state.agents.feeder && pool.orders.has_order() {
            choices.push((Agent::Feeder, weights.feeder));
        }
        if state.deeds_left > 0 {
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
    {
        let mut state = world.state();
        state.steps += 1;
        let passed = state.random.below(20);
        state.now += Duration::from_micros(passed);
    }
    match agent {
        Agent::Manager => take_turn(world, pool),
        Agent::Feeder => {
            world.state().agents.feeder = true;
            if let Some(order) = pool.orders.poll() {
                feeder::obey(pool, order);
            }
            world.state().agents.feeder = false;
        }
        Agent::Worker(link) => worker::step(&mut world.state(), link, &world.plan.trouble),
        Agent::Caller => {
            world.state().deeds_left -= 1;
            callers::act(world);
        }
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

/// One turn of the manager, or of its deputy, which are the same here.
fn take_turn(world: &World, pool: &Pool) {
    let Some(mut mind) = world.mind.lock().take() else { return };
    let now = world.now();
    log::trace!("manager: a turn");
    mind.take_turn_at(now);
    let mut callbacks = mind.take_callbacks();
    if world.plan.sabotage == Some(Sabotage::CallbacksAreReversed) {
        callbacks.reverse();
    }
    if mind.is_done() {
        pool.finish();
    }
    world.state().due.extend(callbacks);
    *world.mind.lock() = Some(mind);
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
