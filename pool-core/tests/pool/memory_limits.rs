//! Memory limits: who has grown is replaced, and who runs out of memory is told of with what it had and might have.

use std::hint::black_box;

use pool_core::{Broken, Builder, ExitCause, Future, Killer, PoolError, StartFailure, TaskError, WorkerDied};
use rustix::process::{Resource, Signal, getrlimit, kill_process};

use crate::backends::{in_process, pool, shared_memory};
use crate::watchdog::{until, when};

claims! { on_processes:
    a_worker_that_has_grown_is_replaced,
    a_worker_that_grows_right_after_a_look_is_replaced_though_nobody_submits,
    a_worker_below_its_soft_limit_stays,
    no_task_is_lost_or_blamed_when_workers_grow,
    a_task_may_mind_that_it_gets_no_memory,
    what_a_worker_starts_has_its_limit,
    a_limit_that_is_too_small_for_a_worker_breaks_the_pool,
    a_limit_that_is_too_small_for_the_initializer_breaks_the_pool,
    a_kill_that_the_pool_did_not_send_is_told_as_such,
}

claims! { alone_on_processes:
    a_task_that_runs_out_of_memory_fails_alone_and_is_told_of_it,
    a_limit_also_holds_in_a_map_and_blames_one_item,
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
fn limits_of_no_memory_are_refused() {
    let error = in_process().soft_memory_limit(0).build().unwrap_err();
    assert!(matches!(error, PoolError::Option { name: "soft_memory_limit", .. }), "{error}");
    assert_eq!(error.to_string(), "soft_memory_limit must be more than 0");
    let error = shared_memory().memory_limit(0).build().unwrap_err();
    assert_eq!(error.to_string(), "memory_limit must be more than 0");
}

#[test]
fn workers_that_are_threads_cannot_have_a_limit() {
    let error = in_process().memory_limit(1 << 30).build().unwrap_err();
    assert_eq!(error.to_string(), "memory_limit must be left out where workers are threads");
    let error = in_process().soft_memory_limit(1 << 30).build().unwrap_err();
    assert_eq!(error.to_string(), "soft_memory_limit must be left out where workers are threads");
}

/// Takes memory, bit by bit, until there is none.
fn exhaust() {
    loop {
        leak(MIB);
    }
}

const LIMIT: u64 = 256 * MIB;

#[track_caller]
fn death<T: std::fmt::Debug>(result: Result<T, TaskError>) -> WorkerDied {
    match result {
        Err(TaskError::WorkerDied(died)) => (*died).clone(),
        other => panic!("{other:?}"),
    }
}

fn a_task_that_runs_out_of_memory_fails_alone_and_is_told_of_it(builder: Builder) {
    const SIGABRT: i32 = 6;
    let pool = pool(builder.memory_limit(LIMIT), 2);
    let hungry = pool.submit(exhaust, ()).unwrap();
    let others: Vec<Future<u32>> = (0..20).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let died = death(hungry.result());
    assert_eq!((died.cause, died.postmortem.memory_limit), (ExitCause::Signal(SIGABRT), Some(LIMIT)), "{died}");
    let peak = died.postmortem.peak.unwrap();
    assert!(LIMIT / 2 < peak && peak < LIMIT + LIMIT / 2, "{died}");
    let text = died.to_string();
    let (before, after) = text.split_once(": signal 6 (SIGABRT), probably out of memory: peak ").unwrap();
    assert_eq!(before, format!("worker {} died while it ran task {}", died.pid, died.task));
    assert!(after.ends_with(" MiB, limit 256 MiB"), "{text}");
    assert!((0..).zip(others).all(|(n, future)| future.result().unwrap() == n * n));
}

fn a_limit_also_holds_in_a_map_and_blames_one_item(builder: Builder) {
    let pool = pool(builder.memory_limit(LIMIT), 1);
    let item = |n: u32| {
        if n == 3 {
            exhaust();
        }
        n
    };
    let ends: Vec<_> = pool.batch().chunksize(10).map(item, 0..10).unwrap().collect();
    for (n, end) in (0..).zip(ends) {
        match end {
            Ok(value) => assert!(value == n && n != 3),
            Err(_) => assert!(n == 3 && death(end).to_string().contains("out of memory")),
        }
    }
}

fn a_task_may_mind_that_it_gets_no_memory(builder: Builder) {
    let pool = pool(builder.memory_limit(LIMIT), 1);
    let ask = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    assert!(!pool.submit(ask, (1 << 30,)).unwrap().result().unwrap());
    assert!(pool.submit(ask, (1 << 20,)).unwrap().result().unwrap());
    assert_eq!(pool.worker_pids().len(), 1);
}

/// The limit of a process that a shell is, as that tells it: in kibibytes.
#[expect(clippy::disallowed_methods, reason = "what a task starts is what this is about")]
fn limits_here_and_in_a_shell() -> (Option<u64>, Option<u64>, String) {
    let own = getrlimit(Resource::Data);
    let shell = std::process::Command::new("sh").args(["-c", "ulimit -H -d; ulimit -S -d"]).output().unwrap();
    (own.current, own.maximum, String::from_utf8(shell.stdout).unwrap())
}

fn what_a_worker_starts_has_its_limit(builder: Builder) {
    let pool = pool(builder.memory_limit(LIMIT), 1);
    let limits = pool.submit(limits_here_and_in_a_shell, ()).unwrap().result().unwrap();
    let kibibytes = LIMIT >> 10;
    assert_eq!(limits, (Some(LIMIT), Some(LIMIT), format!("{kibibytes}\n{kibibytes}\n")));
}

#[track_caller]
fn assert_too_small(end: Result<u32, TaskError>, limit: u64) {
    let Err(TaskError::Broken(broken)) = &end else { panic!("{end:?}") };
    let Broken::Start(failure) = &**broken else { panic!("{broken}") };
    let StartFailure::EndedUnderLimit { memory_limit, .. } = &**failure else { panic!("{broken}") };
    assert_eq!(*memory_limit, limit);
    assert!(broken.to_string().contains("; is its memory limit of "), "{broken}");
}

fn a_limit_that_is_too_small_for_a_worker_breaks_the_pool(builder: Builder) {
    let pool = pool(builder.memory_limit(4096), 2);
    assert_too_small(pool.submit(u32::pow, (2, 8)).unwrap().result(), 4096);
}

fn a_limit_that_is_too_small_for_the_initializer_breaks_the_pool(builder: Builder) {
    let pool = pool(builder.memory_limit(LIMIT / 4).initializer(exhaust, ()), 1);
    assert_too_small(pool.submit(u32::pow, (2, 8)).unwrap().result(), LIMIT / 4);
}

fn kill_oneself() {
    kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
}

/// Whether the kernel's OOM killer is thought of depends on what that did on this machine meanwhile.
fn a_kill_that_the_pool_did_not_send_is_told_as_such(builder: Builder) {
    let pool = pool(builder, 1);
    let died = death(pool.submit(kill_oneself, ()).unwrap().result());
    let expected = match died.postmortem.killer {
        Some(Killer::Somebody) => "signal 9 (SIGKILL), which the pool did not send",
        Some(Killer::PerhapsOomKiller) => "signal 9 (SIGKILL), perhaps by the kernel's OOM killer",
        Some(Killer::ProbablyOomKiller) => "signal 9 (SIGKILL), probably by the kernel's OOM killer",
        other => panic!("{other:?}"),
    };
    assert!(died.to_string().contains(expected), "{died}");
}
