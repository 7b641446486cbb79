//! Which cores there are, who is pinned to which, and how far apart they are.
//!
//! Keeps true: the cores that the run was given are remembered, so that a stage can give them back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::case::Failure;

/// The cores of a run.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    all: CpuSet,
    /// Where the callers are, when somebody is pinned.
    pub(crate) near: usize,
    /// Where the workers are.
    pub(crate) far: usize,
}

impl Cores {
    /// Those that this process may use, which must be two at least.
    pub(crate) fn given() -> Result<Self, Failure> {
        let all = sched_getaffinity(None)?;
        let mut numbers = (0..CpuSet::MAX_CPU).filter(|&number| all.is_set(number));
        match (numbers.next(), numbers.next()) {
            (Some(near), Some(far)) => Ok(Self { all, near, far }),
            _ => Err("the benchmarks need two cores".into()),
        }
    }

    /// Gives the calling thread, and threads and processes that it will start, all cores again.
    pub(crate) fn release(&self) -> io::Result<()> {
        Ok(sched_setaffinity(None, &self.all)?)
    }

    /// How long a cache line takes to the other core and back, in nanoseconds.
    pub(crate) fn cache_line_ns(&self) -> Result<f64, Failure> {
        const TIMES: u32 = 20_000;
        let line = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&line);
        let far = self.far;
        let answering = std::thread::Builder::new().name("cache-line".to_owned()).spawn(move || {
            let pinned = pin(far);
            for turn in 0..TIMES {
                turn_over(&other, 2 * turn + 1);
            }
            pinned
        })?;
        pin(self.near)?;
        let start = Instant::now();
        for turn in 0..TIMES {
            line.store(2 * turn + 1, Ordering::Release);
            await_value(&line, 2 * turn + 2);
        }
        let taken = start.elapsed();
        self.release()?;
        answering.join().map_err(|_| "the other thread panicked")??;
        Ok(taken.as_secs_f64() * 1e9 / f64::from(TIMES))
    }
}

/// Waits for that value, and adds one.
fn turn_over(line: &AtomicU32, value: u32) {
    await_value(line, value);
    line.store(value + 1, Ordering::Release);
}

fn await_value(line: &AtomicU32, value: u32) {
    let mut looks = 0_u32;
    while line.load(Ordering::Acquire) != value {
        std::hint::spin_loop();
        looks += 1;
        // On a busy machine the other thread may not be on its core.
        if looks.is_multiple_of(1 << 16) {
            std::thread::yield_now();
        }
    }
}

/// Pins the calling thread, and threads and processes that it will start, to that core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    Ok(sched_setaffinity(None, &only(core))?)
}

/// Pins every thread that the process has to that core.
pub(crate) fn pin_process(pid: u32, core: usize) -> io::Result<()> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = thread?.file_name();
        let number = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        sched_setaffinity(number, &only(core))?;
    }
    Ok(())
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}
