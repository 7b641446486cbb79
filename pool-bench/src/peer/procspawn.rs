//! The other pool of processes in Rust, at its best.
//!
//! Keeps true: handles are joined in the order of their tasks, as it hangs in any other; no more than 200 tasks are under
//! way, as each takes descriptors.

use std::time::{Duration, Instant};

use procspawn::{Pool, ProcConfig};

use super::RoundTrip;
use crate::case::Failure;
use crate::{cores, pools};

/// How many tasks are under way at most.
const WINDOW: usize = 200;

/// Turns this process into one of its workers, if it was started as one.
pub(crate) fn init() {
    // With backtraces, which it captures by default, its panics do not arrive.
    ProcConfig::new().capture_backtraces(false).init();
}

/// A worker on that core, and a call of it.
pub(crate) fn round_trip(core: usize) -> Result<RoundTrip, Failure> {
    let pool = Pool::new(1)?;
    let pid = pool.spawn((), |()| std::process::id()).join()?;
    cores::pin_process(pid, core)?;
    Ok(Box::new(move || Ok(pool.spawn((1, 2), |(a, b)| pools::add(a, b)).join().map(drop)?)))
}

/// A pool whose workers have worked.
pub(crate) fn started(workers: usize) -> Result<Pool, Failure> {
    let pool = Pool::new(workers)?;
    submit_one_by_one(&pool, 4 * workers)?;
    Ok(pool)
}

/// Submits so many tasks that do nothing, one by one, and waits for all; gives how long that took.
pub(crate) fn submit_one_by_one(pool: &Pool, count: usize) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut left = count;
    while left > 0 {
        let window = left.min(WINDOW);
        let handles: Vec<_> = (0..window).map(|_| pool.spawn((), |()| pools::nothing())).collect();
        for handle in handles {
            handle.join()?;
        }
        left -= window;
    }
    Ok(start.elapsed())
}
