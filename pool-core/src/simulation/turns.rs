//! The manager, simulated: it takes turns, leaves its mind to callers, and stands by; its callbacks are somebody else's
//! business here, who acts by the same dice.
//!
//! Keeps true: turns that are taken while a callback is due are the deputy's, who leaves the mind to nobody.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Broken;
use crate::manager::{LEASE, Manager, Pool, Unannounced, Vigil};
use crate::simulation::sabotage::Sabotage;
use crate::simulation::world::World;
use crate::sync::Wakeup;

/// A manager that has left its mind.
#[derive(Debug, Default)]
pub(super) struct StandBy {
    vigil: Vigil,
    /// When its wait ends by itself, if ever.
    until: Option<Duration>,
}

impl StandBy {
    pub(super) fn until(&self) -> Option<Duration> {
        self.until
    }
}

/// Whether the manager, or its deputy, has something to do.
pub(super) fn is_due(world: &World, pool: &Pool) -> bool {
    // Nobody has the mind while it takes a turn.
    let mind = world.mind.lock().as_ref().map(|mind| (mind.is_done(), next_moment_of(world, mind)));
    let state = world.state();
    match (mind, &state.stand_by) {
        (Some((true, _)), _) => false,
        (Some((false, due)), _) => state.has_news() || due.is_some_and(|due| due <= state.now),
        (None, Some(stand_by)) => {
            pool.orders.has_roused(&stand_by.vigil) || stand_by.until.is_some_and(|until| until <= state.now)
        }
        (None, None) => false,
    }
}

/// When the next turn is due that nobody has to ask for.
pub(super) fn next_moment_of(world: &World, mind: &Manager) -> Option<Duration> {
    mind.next_deadline().map(|deadline| world.since_start(deadline))
}

/// One step of the manager.
pub(super) fn act(world: &World, pool: &Pool) {
    let kept = world.mind.lock().take();
    let mind = match kept {
        Some(mut mind) => {
            log::trace!("manager: a turn");
            let unannounced = take_one(world, pool, &mut mind);
            let is_busy = {
                let state = world.state();
                state.agents.callback || !state.due.is_empty()
            };
            if is_busy { Some(mind) } else { leave(world, pool, mind, unannounced) }
        }
        None => look_in(world, pool),
    };
    if let Some(mut mind) = mind {
        let mut callbacks = mind.take_callbacks();
        if world.plan.sabotage == Some(Sabotage::CallbacksAreReversed) {
            callbacks.reverse();
        }
        world.state().due.extend(callbacks);
        *world.mind.lock() = Some(mind);
    }
}

/// A turn, whoever takes it.
pub(super) fn take_one(world: &World, pool: &Pool, mind: &mut Manager) -> Option<Unannounced> {
    let now = world.now();
    let unannounced = catch_unwind(AssertUnwindSafe(|| mind.take_turn_at(now))).unwrap_or_else(|payload| {
        if !payload.is::<Bug>() {
            resume_unwind(payload);
        }
        log::trace!("a turn panics");
        break_down(pool);
        mind.give_up();
        None
    });
    if mind.is_done() {
        pool.finish();
        let mut state = world.state();
        state.book.finished_at = Some(state.now);
    }
    unannounced
}

fn leave(world: &World, pool: &Pool, mind: Box<Manager>, unannounced: Option<Unannounced>) -> Option<Box<Manager>> {
    let refused = mind.leave_to_callers(unannounced);
    if refused.is_some() {
        return refused;
    }
    log::trace!("manager: leaves its mind to callers");
    world.state().stand_by = Some(StandBy::default());
    look_in(world, pool)
}

/// The manager stands by, and has waited for as long as it would.
fn look_in(world: &World, pool: &Pool) -> Option<Box<Manager>> {
    let mut state = world.state();
    let now = state.now;
    let stand_by = state.stand_by.as_mut()?;
    let is_late = !pool.orders.has_roused(&stand_by.vigil) && stand_by.until.is_some_and(|until| until <= now);
    let mind = pool.orders.look_in(&mut stand_by.vigil, if is_late { Wakeup::TooLate } else { Wakeup::Look });
    match mind {
        Some(_) => {
            log::trace!("manager: has its mind back, at the end of the lease: {is_late}");
            state.stand_by = None;
        }
        None => stand_by.until = (!stand_by.vigil.dozes()).then_some(now + LEASE),
    }
    mind
}

/// Whoever takes a turn panics, now and then.
pub(super) fn panic_perhaps(world: &World) {
    let panics = {
        let mut state = world.state();
        // It would wait for the feeder first, which cannot come to an end around it.
        !state.agents.feeder && state.panics(world.plan.trouble.manager_panics)
    };
    if panics {
        resume_unwind(Box::new(Bug));
    }
}

/// A bug of ours that is put in on purpose.
struct Bug;

pub(super) fn break_down(pool: &Pool) {
    let (thread, message) = ("simulated".to_owned(), "a bug".to_owned());
    pool.break_down(Arc::new(Broken::Internal { thread, message }));
}

/// The mind that nobody has, for whoever takes a simulation apart: it holds the pool that holds it.
pub(super) fn what_is_left(pool: &Pool) -> Option<Box<Manager>> {
    pool.orders.call();
    pool.orders.look_in(&mut Vigil::default(), Wakeup::Look)
}
