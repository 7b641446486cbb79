//! How fast completions reach those who want to hear of them: callbacks, and `as_completed`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use pool_core::{ProcessPoolExecutor, as_completed};

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::gate::Gate;
use crate::pools;
use crate::setting::Setting;

pub(crate) const CALLBACKS: Case = Case {
    name: "callbacks",
    about: "done callbacks of as many tasks that do nothing, from the first to the last; two workers",
    stages: &[Stage {
        sides: callbacks,
        rounds: Rounds::Usual,
        beside: Beside::CacheLine,
        goals: &[Goal::at_least(1e6)],
    }],
};

pub(crate) const WAIT_100K: Case = Case {
    name: "wait_100k",
    about: "as_completed over 100,000 and 200,000 pending futures, to its end; two workers",
    stages: &[Stage {
        sides: completed,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(2.2).on("200k").times("pool")],
    }],
};

fn callbacks(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count = setting.pick(1_000_000, 200_000);
    let pool = pools::started(2)?;
    sides.own("", "pool", Unit::PerSecond, move || Ok(pools::per_second(count, call_back(&pool, count)?)));
    Ok(())
}

/// What the callbacks know of each other.
struct Called {
    first: OnceLock<Instant>,
    count: AtomicUsize,
    /// Says when the last one was called.
    last: mpsc::Sender<Instant>,
}

/// The workers are held until all callbacks are added, so that only completions are measured.
fn call_back(pool: &ProcessPoolExecutor, count: usize) -> Result<Duration, Failure> {
    let mut gate = Gate::new()?;
    let held = gate.hold(pool, 2)?;
    let (last, receive) = mpsc::channel();
    let called = Arc::new(Called { first: OnceLock::new(), count: AtomicUsize::new(0), last });
    let mut futures = Vec::with_capacity(count);
    for _ in 0..count {
        let future = pool.submit(pools::nothing, ())?;
        let called = Arc::clone(&called);
        future.add_done_callback(move |_| {
            called.first.get_or_init(Instant::now);
            if called.count.fetch_add(1, Ordering::Relaxed) + 1 == count {
                // The receiver outlives every callback of a run that goes on.
                let _ = called.last.send(Instant::now());
            }
        });
        futures.push(future);
    }
    gate.open();
    let last = receive.recv()?;
    drop((held, futures));
    Ok(last.duration_since(*called.first.get().ok_or("no callback was first")?))
}

fn completed(_: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    for (variant, count) in [("", 100_000), ("200k", 200_000)] {
        let pool = pools::started(2)?;
        sides.own(variant, "pool", Unit::Millis, move || Ok(pools::millis(complete(&pool, count)?)));
    }
    Ok(())
}

fn complete(pool: &ProcessPoolExecutor, count: usize) -> Result<Duration, Failure> {
    let mut gate = Gate::new()?;
    let held = gate.hold(pool, 2)?;
    let futures = (0..count).map(|_| pool.submit(pools::nothing, ())).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let completed = as_completed(&futures, None);
    gate.open();
    for future in completed {
        future?;
    }
    let taken = start.elapsed();
    drop(held);
    Ok(taken)
}
