//! More workers than cores: what each task costs then, and each worker.

use pool_core::ProcessPoolExecutor;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::pools;
use crate::setting::Setting;

pub(crate) const MANY_WORKERS: Case = Case {
    name: "many_workers",
    about: "tasks that do nothing, submitted one by one, with 256 workers and with two; @fds: a worker's, in the parent",
    stages: &[Stage {
        sides: many,
        rounds: Rounds::Usual,
        beside: Beside::CacheLine,
        // A task may cost half as much again, so the rate may be two thirds.
        goals: &[Goal::at_least(1.0 / 1.5).times_variant("two", "pool"), Goal::at_most(3.0).on("fds")],
    }],
};

pub(crate) const SIXTEEN_ON_TWO: Case = Case {
    name: "sixteen_on_two",
    about: "tasks that do nothing, submitted one by one, with sixteen workers and with two, on two cores",
    stages: &[Stage {
        sides: sixteen,
        rounds: Rounds::Always(9),
        beside: Beside::CacheLine,
        goals: &[Goal::at_most(1.3).times_variant("two", "pool").at_worst()],
    }],
};

const MANY: usize = 256;

fn many(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count = setting.pick(200_000, 50_000);
    let before = descriptors()?;
    let two = pools::started(2)?;
    let between = descriptors()?;
    let many = with_descriptors(8 * MANY as u64, || pools::started(MANY))?;
    // What a pool has for itself, it has in both.
    let each = (descriptors()? - between - (between - before)) / (MANY - 2) as f64;
    let rate = move |pool: &ProcessPoolExecutor| Ok(pools::per_second(count, pools::submit_one_by_one(pool, count)?));
    sides.own("", "pool", Unit::PerSecond, move || rate(&many));
    sides.own("two", "pool", Unit::PerSecond, move || rate(&two));
    sides.own("fds", "pool", Unit::Count, move || Ok(each));
    Ok(())
}

fn sixteen(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count = setting.pick(200_000, 50_000);
    for (variant, workers) in [("", 16), ("two", 2)] {
        let pool = pools::started(workers)?;
        sides.own(variant, "pool", Unit::Millis, move || Ok(pools::millis(pools::submit_one_by_one(&pool, count)?)));
    }
    Ok(())
}

fn descriptors() -> Result<f64, Failure> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count() as f64)
}

/// Lets this process have at least so many descriptors meanwhile.
fn with_descriptors<T>(least: u64, act: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let given = getrlimit(Resource::Nofile);
    let wanted = given.current.map(|current| current.max(least).min(given.maximum.unwrap_or(u64::MAX)));
    setrlimit(Resource::Nofile, Rlimit { current: wanted, ..given })?;
    let acted = act();
    setrlimit(Resource::Nofile, given)?;
    acted
}
