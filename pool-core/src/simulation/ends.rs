//! How a pool is ended: drained, cancelled, at a deadline, by force; and whether that came when it should.

use std::time::Duration;

use crate::error::ForcedBy;
use crate::manager::{Demand, Force, Means};
use crate::simulation::book::Book;
use crate::simulation::random::Random;
use crate::simulation::sabotage::Sabotage;
use crate::simulation::world::World;

/// More than the pool may be late by: simulated threads are not scheduled at times, and each step takes a while.
pub(super) const LATE: Duration = Duration::from_secs(10);

/// A pool was to be ended by force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forced {
    pub(super) by: ForcedBy,
    /// Not before this.
    pub(super) at: Duration,
    /// By then there is nobody left whom the pool waits for. Who is only asked may take any time.
    over_by: Option<Duration>,
}

/// Shuts the pool down, one way or another. A second time is as good as the first.
pub(super) fn shut_down(world: &World) {
    let Some(pool) = world.pool() else { return };
    let now = world.now();
    let (cancels, force) = {
        let mut state = world.state();
        state.book.shut = true;
        let (cancels, force) = (state.random.one_in(3), choose(&mut state.random));
        let since = state.now;
        state.book.cancelled_pending |= cancels;
        state.book.forced.extend(force.map(|(by, means, limit)| Forced {
            by,
            at: since + limit,
            over_by: match means {
                Means::Terminate => None,
                Means::Ladder => Some(since + limit + world.plan.grace + LATE),
                Means::Kill => Some(since + limit + LATE),
            },
        }));
        state.book.cancelled_pending |= force.is_some_and(|(by, ..)| cancels_what_waits(by));
        (cancels, force)
    };
    log::trace!("caller: shuts down, cancels: {cancels}, by force: {force:?}");
    pool.shut();
    if cancels {
        pool.demand(Demand::CancelPending);
    }
    if let Some((by, means, limit)) = force.filter(|_| world.plan.sabotage != Some(Sabotage::ForceIsLost)) {
        let at = (!limit.is_zero()).then(|| now + limit);
        pool.force(Force { by, means, at });
    }
}

fn choose(random: &mut Random) -> Option<(ForcedBy, Means, Duration)> {
    let zero = Duration::ZERO;
    match random.below(12) {
        0 => Some((ForcedBy::TerminateWorkers, Means::Terminate, zero)),
        1 => Some((ForcedBy::KillWorkers, Means::Kill, zero)),
        2 => Some((ForcedBy::Kill, Means::Kill, zero)),
        3 => Some((ForcedBy::Panic, Means::Kill, zero)),
        4..=6 => {
            let limit = Duration::from_micros(random.pick(&[1, 200, 20_000, 3_000_000]));
            let means = if random.one_in(3) { Means::Kill } else { Means::Ladder };
            Some((ForcedBy::Deadline(limit), means, limit))
        }
        _ => None,
    }
}

fn cancels_what_waits(by: ForcedBy) -> bool {
    matches!(by, ForcedBy::Deadline(_) | ForcedBy::Kill)
}

/// What is wrong with when the pool ended.
pub(super) fn judge(book: &Book) -> Option<String> {
    let Some(finished_at) = book.finished_at else { return Some("the pool came to no end".to_owned()) };
    let late = book.forced.iter().find(|forced| forced.over_by.is_some_and(|limit| finished_at > limit));
    late.map(|forced| format!("the pool ended at {finished_at:?}, which is late for {forced:?}"))
}
