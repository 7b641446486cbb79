//! What holds of workers that are threads: the twins of the claims about processes.

use std::collections::HashSet;
use std::time::Duration;

use pool_core::{Broken, Future, InProcess, ProcessPoolExecutor, Shutdown, StartFailure, TaskError};

use crate::alone;
use crate::backends::{in_process, pool};
use crate::gate::{Gate, pass, stop_at};
use crate::holdings::Holdings;
use crate::watchdog::Watched;

/// The system's threads end with the pool; only a process of one's own can tell.
#[test]
fn a110_blocked_threads_end_after_the_shutdown() {
    alone::run("thread_workers::a110_blocked_threads_end_after_the_shutdown", || {
        let before = Holdings::count();
        let gate = Gate::new();
        let pool = ProcessPoolExecutor::builder().backend(InProcess::new()).max_workers(3).build().unwrap();
        let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
        let held = [gate.next(), gate.next(), gate.next()];
        assert_ne!(Holdings::count(), before);
        drop(held);
        pool.shutdown();
        assert!(futures.iter().all(Future::done));
        drop((pool, gate));
        before.assert_as_before();
    });
}

#[test]
fn a111_a_scope_ends_its_threads() {
    alone::run("thread_workers::a111_a_scope_ends_its_threads", || {
        let before = Holdings::count();
        {
            let pool = ProcessPoolExecutor::builder().backend(InProcess::new()).max_workers(5).build().unwrap();
            let results: Result<Vec<i32>, _> = pool.map(i32::abs, -5..5).unwrap().collect();
            assert_eq!(results.unwrap(), [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]);
        }
        before.assert_as_before();
    });
}

#[test]
fn a112_a_dropped_pool_ends_its_threads_and_finishes_its_work() {
    alone::run("thread_workers::a112_a_dropped_pool_ends_its_threads_and_finishes_its_work", || {
        let before = Holdings::count();
        let pool = ProcessPoolExecutor::builder().backend(InProcess::new()).max_workers(5).build().unwrap();
        let results = pool.map(i32::abs, -5..5).unwrap();
        drop(pool);
        assert_eq!(results.collect::<Result<Vec<i32>, _>>().unwrap(), [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]);
        before.assert_as_before();
    });
}

#[test]
fn a113_a_shutdown_that_is_not_waited_for_ends_the_threads_too() {
    alone::run("thread_workers::a113_a_shutdown_that_is_not_waited_for_ends_the_threads_too", || {
        let before = Holdings::count();
        let pool = ProcessPoolExecutor::builder().backend(InProcess::new()).max_workers(5).build().unwrap();
        let results = pool.map(i32::abs, -5..5).unwrap();
        pool.shutdown_with(Shutdown::new().no_wait());
        assert_eq!(results.collect::<Result<Vec<i32>, _>>().unwrap(), [5, 4, 3, 2, 1, 0, 1, 2, 3, 4]);
        drop(pool);
        before.assert_as_before();
    });
}

/// The name that the system's thread has, which `pool_core::thread` calls `MainThread`.
fn name_at(gate: String, item: u32) -> String {
    stop_at(gate, item);
    std::thread::current().name().unwrap().to_owned()
}

fn names(pool: &Watched, count: u32) -> HashSet<String> {
    let gate = Gate::new();
    let futures: Vec<Future<String>> = (0..count).map(|n| pool.submit(name_at, (gate.name(), n)).unwrap()).collect();
    let held: Vec<_> = (0..count).map(|_| gate.next()).collect();
    drop(held);
    futures.iter().map(|future| future.result().unwrap()).collect()
}

#[test]
fn a114_a128_threads_are_named_after_the_pool() {
    let names = names(&pool(in_process().name("SpecialPool"), 5), 5);
    assert_eq!(names, (0..5).map(|number| format!("SpecialPool_{number}")).collect());
}

#[test]
fn a115_threads_of_nameless_pools_have_names_of_their_own() {
    let (first, second) = (names(&pool(in_process(), 3), 3), names(&pool(in_process(), 3), 3));
    assert_eq!((first.len(), second.len(), first.union(&second).count()), (3, 3, 6));
    assert!(first.iter().all(|name| name.starts_with("SpawnProcess-")), "{first:?}");
}

#[test]
fn a116_a_running_task_finishes_and_the_rest_is_dropped() {
    let path = "thread_workers::a116_a_running_task_finishes_and_the_rest_is_dropped";
    let host = match alone::Scene::of(path) {
        alone::Scene::Outside(host) => host,
        alone::Scene::Alone => {
            let gate = Gate::new();
            let pool = pool(in_process(), 1);
            let running = pool.submit(stop_at, (gate.name(), 1)).unwrap();
            let held = gate.next();
            let pending: Vec<Future<u32>> = (0..20).map(|n| pool.submit(pass, (gate.name(), n)).unwrap()).collect();
            pool.shutdown_with(Shutdown::new().no_wait().cancel_pending());
            let pending: Vec<_> = pending.iter().map(Future::result).collect();
            assert!(pending.iter().all(|result| matches!(result, Err(pool_core::TaskError::Cancelled))), "{pending:?}");
            drop(held);
            assert_eq!(running.result().unwrap(), 1);
            return assert!(gate.is_empty());
        }
    };
    let ended = host.start().end();
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
}

fn hang_for_ever() {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_thread_that_never_comes_up_breaks_its_pool_and_keeps_nobody() {
    let limit = Duration::from_millis(50);
    let pool = pool(in_process().initializer(hang_for_ever, ()).hello_timeout(limit), 1);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    for future in &futures {
        let error = future.result().unwrap_err();
        let TaskError::Broken(broken) = &error else { panic!("{error}") };
        assert!(
            matches!(&**broken, Broken::Start(failure) if matches!(**failure, StartFailure::NoHello { .. })),
            "{error}"
        );
    }
    pool.shutdown();
}
