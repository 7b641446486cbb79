//! Many inputs at once: of no work, of uneven work, and of five milliseconds each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use pool_core::TaskError;

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::peer::{burner, python, rayon};
use crate::pools;
use crate::setting::Setting;

pub(crate) const AUTO: Case = Case {
    name: "map_auto",
    about: "map(f, 0..n) of a function that adds one, in chunks that the pool chooses, and over a slice; two workers",
    stages: &[
        Stage {
            sides: auto,
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[Goal::at_least(20.0).times("cpython"), Goal::at_least(0.12).times("rayon")],
        },
        Stage {
            sides: of_a_slice,
            rounds: Rounds::Usual,
            beside: Beside::CacheLine,
            goals: &[Goal::at_least(0.3).on(FIXED_WIDTH).times_variant(FIXED_WIDTH, "rayon")],
        },
    ],
};

/// Of a map over a slice of numbers, which travel as they stand in memory.
const FIXED_WIDTH: &str = "fixed-width";

pub(crate) const SKEWED: Case = Case {
    name: "map_skewed",
    about: "a map of 2,000 tasks that take from 10 us to 50 ms of processor time, most of them little; two workers",
    stages: &[Stage {
        sides: skewed,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(1.08).times("rayon")],
    }],
};

pub(crate) const OF_5_MS: Case = Case {
    name: "map_5ms",
    about: "a map of 400 tasks that take 5 ms of processor time; two workers",
    stages: &[Stage {
        sides: of_5_ms,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        goals: &[Goal::at_most(1.03).times("bare")],
    }],
};

fn auto(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    // No fewer in a quick run: a vector of less than 32 MiB is made in memory that an earlier round left warm, which makes
    // the fastest side eight times as fast as it is where it is called once.
    let count: u64 = setting.pick(10_000_000, 5_000_000);
    let per_second = move |start: Instant| count as f64 / start.elapsed().as_secs_f64();
    let pool = pools::started(2)?;
    sides.own("", "pool", Unit::PerSecond, move || {
        let start = Instant::now();
        let results = black_box(pool.map(pools::increment, 0..count)?.collect::<Result<Vec<_>, TaskError>>()?);
        let rate = per_second(start);
        complete(&results, count).map(|()| rate)
    });
    sides.peer("", "rayon", Unit::PerSecond, || {
        let threads = rayon::started(2)?;
        Ok(Box::new(move || {
            let start = Instant::now();
            let results = black_box(rayon::map(&threads, black_box(count)));
            let rate = per_second(start);
            complete(&results, count).map(|()| rate)
        }))
    });
    for peer in python::SIDES {
        // A million takes them half a second; mpire, which is slower still, some ten.
        let question = (count / if peer == "mpire" { 100 } else { 10 }).to_string();
        sides.peer("", peer, Unit::PerSecond, || python::start(setting, peer, "map_auto", question));
    }
    Ok(())
}

fn of_a_slice(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let count: u64 = setting.pick(10_000_000, 5_000_000);
    let per_second = move |start: Instant| count as f64 / start.elapsed().as_secs_f64();
    let slice: Arc<[u64]> = (0..count).collect();
    let (pool, ours) = (pools::started(2)?, Arc::clone(&slice));
    sides.own(FIXED_WIDTH, "pool", Unit::PerSecond, move || {
        let start = Instant::now();
        let results = pool.map(pools::increment, ours.iter().copied())?;
        let results = black_box(results.collect::<Result<Vec<_>, TaskError>>()?);
        let rate = per_second(start);
        complete(&results, count).map(|()| rate)
    });
    sides.peer(FIXED_WIDTH, "rayon", Unit::PerSecond, || {
        let threads = rayon::started(2)?;
        Ok(Box::new(move || {
            let start = Instant::now();
            let results = black_box(rayon::map_slice(&threads, black_box(&slice)));
            let rate = per_second(start);
            complete(&results, count).map(|()| rate)
        }))
    });
    Ok(())
}

fn complete(results: &[u64], count: u64) -> Result<(), Failure> {
    match results.last() {
        Some(&last) if last == count && results.len() as u64 == count => Ok(()),
        _ => Err("the results are not those of the inputs".into()),
    }
}

fn skewed(_: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let pool = pools::started(2)?;
    sides.own("", "pool", Unit::Millis, move || {
        let list = heavy_tailed(2_000);
        let start = Instant::now();
        pool.map(pools::burn, list)?.collect::<Result<(), TaskError>>()?;
        Ok(pools::millis(start.elapsed()))
    });
    sides.peer("", "rayon", Unit::Millis, || {
        let (threads, list) = (rayon::started(2)?, heavy_tailed(2_000));
        Ok(Box::new(move || {
            let start = Instant::now();
            rayon::burn_each(&threads, &list);
            Ok(pools::millis(start.elapsed()))
        }))
    });
    Ok(())
}

fn of_5_ms(setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    const MICROS: u64 = 5_000;
    let each = setting.pick(200, 100);
    let pool = pools::started(2)?;
    sides.own("", "pool", Unit::Millis, move || {
        let start = Instant::now();
        pool.map(pools::burn, vec![MICROS; 2 * each])?.collect::<Result<(), TaskError>>()?;
        Ok(pools::millis(start.elapsed()))
    });
    let mut burners = burner::start(2)?;
    sides.own("", "bare", Unit::Millis, move || {
        let start = Instant::now();
        burner::burn(&mut burners, each, MICROS)?;
        Ok(pools::millis(start.elapsed()))
    });
    Ok(())
}

/// Microseconds from 10 to 50,000, of a bounded Pareto distribution of index 0.7, always the same: half of them are below
/// 30, and a handful makes up most of the sum of about half a second.
fn heavy_tailed(count: usize) -> Vec<u64> {
    const INDEX: f64 = 0.7;
    const LEAST: f64 = 10.0;
    const MOST: f64 = 50_000.0;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let part = (state >> 11) as f64 / (1_u64 << 53) as f64;
        (LEAST / (1.0 - part * (1.0 - (LEAST / MOST).powf(INDEX))).powf(1.0 / INDEX)) as u64
    };
    (0..count).map(|_| draw()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uneven_list_has_its_ends_and_its_sum() {
        let mut list = heavy_tailed(2_000);
        list.sort_unstable();
        let sum: u64 = list.iter().sum();
        assert!(list[0] >= 10 && list[1_999] <= 50_000, "{} to {}", list[0], list[1_999]);
        assert!(list[1_000] < 40 && list[1_999] > 20_000, "{} and {}", list[1_000], list[1_999]);
        assert!((300_000..900_000).contains(&sum), "{sum}");
    }
}
