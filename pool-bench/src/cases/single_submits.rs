//! Many tasks that do nothing, one submit each, from one thread and from eight.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use pool_core::ProcessPoolExecutor;

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::peer::{burner, procspawn, python, rayon};
use crate::pools;
use crate::setting::Setting;

pub(crate) const SINGLE_SUBMITS: Case = Case {
    name: "single_submits",
    about: "tasks that do nothing, submitted one by one from one thread, then all results; two workers",
    stages: &[
        Stage {
            sides: with_both_cores_free,
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[Goal::at_least(3.0).times("rayon"), Goal::at_least(100.0).times("procspawn")],
        },
        Stage {
            sides: with_one_core_busy,
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[Goal::at_least(2.0).on("busy-core").times_variant("busy-core", "rayon")],
        },
    ],
};

pub(crate) const SUBMIT_FROM_8_THREADS: Case = Case {
    name: "submit_from_8_threads",
    about: "the same tasks submitted by eight threads, and by one; two workers",
    stages: &[Stage {
        sides: from_threads,
        rounds: Rounds::Usual,
        beside: Beside::CacheLine,
        goals: &[Goal::at_least(0.95).times_variant("one-thread", "pool")],
    }],
};

const THREADS: usize = 8;

fn with_both_cores_free(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count = count(setting);
    ours_and_rayon(sides, "", count)?;
    let few = setting.pick(10_000, 2_000);
    sides.peer("", "procspawn", Unit::PerSecond, || {
        let pool = procspawn::started(2)?;
        Ok(Box::new(move || Ok(pools::per_second(few, procspawn::submit_one_by_one(&pool, few)?))))
    });
    for peer in python::SIDES {
        let question = few.to_string();
        sides.peer("", peer, Unit::PerSecond, || python::start(setting, peer, "single_submits", question));
    }
    Ok(())
}

fn with_one_core_busy(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let busy = burner::busy(setting.cores.far)?;
    ours_and_rayon(sides, "busy-core", count(setting))?;
    // It is busy for as long as its sides are there, and says nothing unasked.
    sides.keep(busy);
    Ok(())
}

fn ours_and_rayon(sides: &mut Sides<'_>, variant: &'static str, count: usize) -> Result<(), Failure> {
    let pool = pools::started(2)?;
    sides.own(variant, "pool", Unit::PerSecond, move || {
        Ok(pools::per_second(count, pools::submit_one_by_one(&pool, count)?))
    });
    sides.peer(variant, "rayon", Unit::PerSecond, || {
        let threads = rayon::started(2)?;
        Ok(Box::new(move || Ok(pools::per_second(count, rayon::spawn_one_by_one(&threads, count)))))
    });
    Ok(())
}

fn from_threads(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count = count(setting);
    for (variant, threads) in [("", THREADS), ("one-thread", 1)] {
        let pool = pools::started(2)?;
        sides.own(variant, "pool", Unit::PerSecond, move || {
            Ok(pools::per_second(count, submit_from(&pool, threads, count)?))
        });
    }
    Ok(())
}

fn count(setting: &Setting) -> usize {
    setting.pick(1_000_000, 200_000)
}

/// From the moment in which all threads are there to the last result of the last thread.
fn submit_from(pool: &ProcessPoolExecutor, threads: usize, count: usize) -> Result<Duration, Failure> {
    let barrier = Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        let submit = || {
            barrier.wait();
            pools::submit_one_by_one(pool, count / threads).map(drop).map_err(|error| error.to_string())
        };
        let begin = |number| std::thread::Builder::new().name(format!("submit-{number}")).spawn_scoped(scope, submit);
        let begun = (0..threads).map(begin).collect::<Result<Vec<_>, _>>()?;
        barrier.wait();
        let start = Instant::now();
        for thread in begun {
            thread.join().map_err(|_| "a submitting thread panicked")??;
        }
        Ok(start.elapsed())
    })
}
