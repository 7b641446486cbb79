//! One value that many tasks read.

use std::time::Instant;

use pool_core::{Future, ProcessPoolExecutor, SharedBytes};

use crate::case::{Beside, Case, Failure, Goal, Rounds, Sides, Stage, Unit};
use crate::pools;
use crate::setting::Setting;

const BYTES: usize = 64 << 20;
const TASKS: usize = 10_000;

pub(crate) const BROADCAST_64_MIB: Case = Case {
    name: "broadcast_64mib",
    about: "one 64 MiB value read by 10,000 tasks of two workers: copies of it in all processes; time: making it, and the tasks",
    stages: &[Stage {
        sides: start,
        rounds: Rounds::Usual,
        beside: Beside::Nothing,
        // What else a process takes meanwhile is in the figure.
        goals: &[Goal::at_most(1.1)],
    }],
};

fn start(_setting: &Setting, sides: &mut Sides<'_>) -> Result<(), Failure> {
    let pool = pools::started(2)?;
    sides.own("", "pool", Unit::Count, move || copies(&pool));
    let pool = pools::started(2)?;
    sides.own("time", "pool", Unit::Millis, move || {
        let bytes = vec![1; BYTES];
        let start = Instant::now();
        read_by_all(&pool, &SharedBytes::new(&bytes)?)?;
        Ok(pools::millis(start.elapsed()))
    });
    let (from, mut to) = (vec![1u8; BYTES], vec![2u8; BYTES]);
    sides.own("time", "memcpy", Unit::Millis, move || {
        let start = Instant::now();
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
        Ok(pools::millis(start.elapsed()))
    });
    Ok(())
}

/// How much more memory all processes have while the value is there, in units of its size.
fn copies(pool: &ProcessPoolExecutor) -> Result<f64, Failure> {
    // Each process has grown to what its part of the work takes.
    read_by_all(pool, &SharedBytes::new([1; 4096])?)?;
    let before = resident(pool)?;
    let value = SharedBytes::new(vec![1; BYTES])?;
    read_by_all(pool, &value)?;
    let after = resident(pool)?;
    Ok((after - before) / BYTES as f64)
}

/// Has each task read its part, and all of them the whole value.
fn read_by_all(pool: &ProcessPoolExecutor, value: &SharedBytes) -> Result<(), Failure> {
    let submitted = (0..TASKS).map(|number| pool.submit(part_of, (value.clone(), number)));
    let futures: Vec<Future<u64>> = submitted.collect::<Result<_, _>>()?;
    let mut sum = 0;
    for future in futures {
        sum += future.result()?;
    }
    if sum == value.len() as u64 { Ok(()) } else { Err(format!("{sum} bytes of {} were read", value.len()).into()) }
}

/// A task: the sum of the bytes of one part.
fn part_of(value: SharedBytes, number: usize) -> u64 {
    let part = value.len().div_ceil(TASKS);
    let start = (number * part).min(value.len());
    let end = (start + part).min(value.len());
    value[start..end].iter().map(|&byte| u64::from(byte)).sum()
}

/// The memory of this process and of the workers, where what several share counts once.
fn resident(pool: &ProcessPoolExecutor) -> Result<f64, Failure> {
    let pids = pool.worker_pids().into_iter().chain([std::process::id()]);
    pids.map(proportional_bytes).sum()
}

fn proportional_bytes(pid: u32) -> Result<f64, Failure> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.strip_suffix("kB"));
    Ok(line.ok_or("no memory")?.trim().parse::<f64>()? * 1024.0)
}
