//! Threads of one process, with no isolation at all.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::case::Failure;
use crate::pools;

/// As many threads as the pool that it stands beside has workers.
pub(crate) fn started(threads: usize) -> Result<ThreadPool, Failure> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

/// Spawns so many closures that do nothing but say so on one channel, and waits for all; gives how long that took.
pub(crate) fn spawn_one_by_one(threads: &ThreadPool, count: usize) -> Duration {
    let (send, receive) = mpsc::channel();
    let start = Instant::now();
    for _ in 0..count {
        let send = send.clone();
        threads.spawn(move || {
            pools::nothing();
            // The receiver outlives every closure.
            let _ = send.send(());
        });
    }
    drop(send);
    receive.iter().for_each(drop);
    start.elapsed()
}

pub(crate) fn map(threads: &ThreadPool, count: u64) -> Vec<u64> {
    threads.install(|| (0..count).into_par_iter().map(pools::increment).collect())
}

pub(crate) fn map_slice(threads: &ThreadPool, slice: &[u64]) -> Vec<u64> {
    threads.install(|| slice.par_iter().map(|&n| pools::increment(n)).collect())
}

/// Burns each, one at a time.
pub(crate) fn burn_each(threads: &ThreadPool, micros: &[u64]) {
    threads.install(|| micros.par_iter().with_max_len(1).for_each(|&micros| pools::burn(micros)));
}
