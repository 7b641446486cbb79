//! Pools as the cases need them, and the tasks that most of them run.

use std::time::{Duration, Instant};

use pool_core::{ProcessPoolExecutor, SharedMemory};
use rustix::time::{ClockId, clock_gettime};

use crate::case::Failure;
use crate::cores;
use crate::gate::Gate;

pub(crate) fn nothing() {}

pub(crate) fn add(a: u32, b: u32) -> u32 {
    a + b
}

/// Takes so many microseconds of the thread's own time, however long that lasts.
pub(crate) fn burn(micros: u64) {
    let end = thread_time() + Duration::from_micros(micros);
    while thread_time() < end {
        std::hint::spin_loop();
    }
}

fn thread_time() -> Duration {
    duration(ClockId::ThreadCPUTime)
}

/// What this process has used of the processors.
pub(crate) fn process_time() -> Duration {
    duration(ClockId::ProcessCPUTime)
}

fn duration(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // These clocks begin with the thread and with the process, so they are never negative.
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A pool whose workers are all there, and have worked.
pub(crate) fn started(workers: usize) -> Result<ProcessPoolExecutor, Failure> {
    let pool = ProcessPoolExecutor::new(workers)?;
    let mut gate = Gate::new()?;
    let held = gate.hold(&pool, workers)?;
    gate.open();
    held.iter().try_for_each(|future| future.result().map(drop))?;
    Ok(pool)
}

/// A pool of one worker that is pinned to that core, and that is there.
pub(crate) fn pinned(core: usize) -> Result<ProcessPoolExecutor, Failure> {
    pinned_on(SharedMemory::new(), core)
}

/// The same with a backend that is not the usual one.
pub(crate) fn pinned_on(backend: SharedMemory, core: usize) -> Result<ProcessPoolExecutor, Failure> {
    let pool = ProcessPoolExecutor::builder().max_workers(1).backend(backend).build()?;
    let pid = pool.submit(std::process::id, ())?.result()?;
    cores::pin_process(pid, core)?;
    Ok(pool)
}

/// Submits so many tasks that do nothing, one by one, and waits for all; gives how long that took.
pub(crate) fn submit_one_by_one(pool: &ProcessPoolExecutor, count: usize) -> Result<Duration, Failure> {
    let start = Instant::now();
    let futures = (0..count).map(|_| pool.submit(nothing, ())).collect::<Result<Vec<_>, _>>()?;
    futures.iter().try_for_each(|future| future.result())?;
    Ok(start.elapsed())
}

pub(crate) fn increment(number: u64) -> u64 {
    number.wrapping_add(1)
}

pub(crate) fn per_second(count: usize, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}

pub(crate) fn millis(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e3
}

pub(crate) fn micros(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e6
}
