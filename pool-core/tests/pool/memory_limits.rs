//! Memory limits: who has grown is replaced, and who runs out of memory is told of with what it had and might have.

use std::hint::black_box;

use pool_core::{Builder, Future, PoolError};

use crate::backends::{in_process, pool};
use crate::watchdog::{until, when};

claims! { on_processes:
    a_worker_that_has_grown_is_replaced,
    a_worker_that_grows_right_after_a_look_is_replaced_though_nobody_submits,
    a_worker_below_its_soft_limit_stays,
    no_task_is_lost_or_blamed_when_workers_grow,
}

const MIB: u64 = 1 << 20;

/// What a worker of this program may have before it leaks, with room to spare.
const FRESH: u64 = 64 * MIB;

/// Keeps so many bytes for ever, all of them in RAM.
fn leak(bytes: u64) -> u32 {
    black_box(vec![1_u8; usize::try_from(bytes).unwrap()]).leak();
    std::process::id()
}

fn a_worker_that_has_grown_is_replaced(builder: Builder) {
    let pool = pool(builder.soft_memory_limit(FRESH), 1);
    let pids: Vec<u32> = (0..3).map(|_| pool.submit(leak, (2 * FRESH,)).unwrap().result().unwrap()).collect();
    let last = pids[2];
    until("a small worker alone", || {
        let workers = pool.worker_pids();
        when(workers.len() == 1 && workers[0] != last, workers)
    });
    let next = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    assert!(!pids.contains(&next), "{next} of {pids:?}");
}

fn a_worker_that_grows_right_after_a_look_is_replaced_though_nobody_submits(builder: Builder) {
    let pool = pool(builder.soft_memory_limit(FRESH), 1);
    let futures = [pool.submit(leak, (1,)).unwrap(), pool.submit(leak, (2 * FRESH,)).unwrap()];
    let [_, large] = futures.map(|future| future.result().unwrap());
    until("a small worker alone", || {
        let workers = pool.worker_pids();
        when(workers.len() == 1 && workers[0] != large, workers)
    });
}

fn a_worker_below_its_soft_limit_stays(builder: Builder) {
    let pool = pool(builder.soft_memory_limit(16 << 30), 1);
    let pids = [(); 3].map(|()| pool.submit(leak, (FRESH,)).unwrap().result().unwrap());
    assert_eq!(pids, [pids[0]; 3]);
    assert_eq!(pool.worker_pids(), [pids[0]]);
}

/// As many leaks as the machine bears, among tasks that are posted ahead.
fn no_task_is_lost_or_blamed_when_workers_grow(builder: Builder) {
    let pool = pool(builder.soft_memory_limit(FRESH), 2);
    for round in 0..3 {
        let leaks: Vec<Future<u32>> = (0..2).map(|_| pool.submit(leak, (2 * FRESH,)).unwrap()).collect();
        let squares = pool.map(|n: u32| n * n, 0..2000).unwrap();
        let sums: Vec<Future<u32>> = (0..200).map(|n| pool.submit(u32::wrapping_add, (n, round)).unwrap()).collect();
        assert!((0..2000).zip(squares).all(|(n, square)| square.unwrap() == n * n));
        assert!((0..200).zip(sums).all(|(n, sum)| sum.result().unwrap() == n + round));
        leaks.iter().for_each(|leak| assert!(leak.result().is_ok(), "{leak:?}"));
    }
}

#[test]
fn a_soft_limit_leaves_workers_that_are_threads_alone() {
    let pool = pool(in_process().soft_memory_limit(1), 1);
    assert!((0..20).all(|n| pool.submit(u32::pow, (n, 2)).unwrap().result().unwrap() == n * n));
}

#[test]
fn limits_of_no_memory_are_refused() {
    let error = in_process().soft_memory_limit(0).build().unwrap_err();
    assert!(matches!(error, PoolError::Option { name: "soft_memory_limit", .. }), "{error}");
    assert_eq!(error.to_string(), "soft_memory_limit must be more than 0");
}
