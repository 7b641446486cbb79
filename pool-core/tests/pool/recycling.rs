//! Workers that make room for new ones, after so many tasks or at an age: no task notices, and none is blamed.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::symlink;
use std::time::Duration;

use pool_core::{Builder, Future, PoolError, Shutdown, TaskError};
use rustix::process::{Pid, Signal, kill_process};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::holdings::{Holdings, children};
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a067_all_jobs_are_done_where_workers_end_with_jobs_waiting,
    a068_jobs_are_done_after_a_shutdown_that_is_not_waited_for,
    a069_a_dropped_pool_whose_workers_end_runs_all_jobs,
    a072_a_shutdown_at_once_leaves_all_results_right,
    limits_of_nothing_are_refused,
    workers_of_one_task_run_a_map,
}

claims! { on_processes:
    a056_a_terminated_worker_costs_its_own_task_and_is_replaced,
    a065_a_worker_runs_so_many_tasks_and_no_more,
    a071_a_replacement_that_cannot_be_started_breaks_the_pool,
    an_item_of_a_map_counts_as_a_task,
    a_worker_goes_only_when_another_one_is_up,
    an_old_worker_is_replaced_though_nobody_submits,
    a_worker_that_gets_old_in_a_task_finishes_it,
}

claims! { alone_on_processes:
    a070_no_worker_comes_after_a_pool_was_given_up,
    recycled_workers_leave_nothing_behind,
}

fn a056_a_terminated_worker_costs_its_own_task_and_is_replaced(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    kill_process(Pid::from_raw(held.pid.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
    let error = future.result().unwrap_err();
    assert!(error.to_string().ends_with("signal 15 (SIGTERM)"), "{error}");
    let next = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    assert_ne!(next, held.pid);
}

fn a065_a_worker_runs_so_many_tasks_and_no_more(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(3), 1);
    let pids: Vec<u32> = (0..7).map(|_| pool.submit(std::process::id, ()).unwrap().result().unwrap()).collect();
    assert!(pids[..3].iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert!(pids[3..6].iter().all(|pid| *pid == pids[3]), "{pids:?}");
    assert_eq!(pids.iter().collect::<HashSet<_>>().len(), 3, "{pids:?}");
    until("one worker to be left", || when(pool.worker_pids() == [pids[6]], pool.worker_pids()));
}

fn a067_all_jobs_are_done_where_workers_end_with_jobs_waiting(mut builder: Builder) {
    for (workers, jobs) in [(1, 6), (2, 8)] {
        let again = crate::backends::again(&builder);
        let pool = pool(builder.max_tasks_per_worker(2), workers);
        let futures: Vec<Future<u32>> = (0..jobs).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
        assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n * n));
        builder = again;
    }
}

fn a068_jobs_are_done_after_a_shutdown_that_is_not_waited_for(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.max_tasks_per_worker(1), 1);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held = gate.next();
    pool.shutdown_with(Shutdown::new().no_wait());
    drop(held);
    (1..3).for_each(|_| drop(gate.next()));
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n));
}

fn a069_a_dropped_pool_whose_workers_end_runs_all_jobs(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(1), 2);
    let futures: Vec<Future<u32>> = (0..9).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    drop(pool);
    assert!((0..).zip(&futures).all(|(n, future)| future.done() && future.result().unwrap() == n * n));
}

fn a070_no_worker_comes_after_a_pool_was_given_up(builder: Builder) {
    let gate = Gate::new();
    let pool = builder.max_workers(1).max_tasks_per_worker(1).build().unwrap();
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held = gate.next();
    let panics = pool_core::thread::spawn(move || {
        let _pool = pool;
        // Without a message, which the hook of the test harness would print.
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panics.join().is_err());
    assert!(matches!(futures[0].result(), Err(TaskError::ForcedShutdown(_))), "{:?}", futures[0]);
    assert!(futures[1..].iter().all(|future| matches!(future.result(), Err(TaskError::Cancelled))), "{futures:?}");
    until("all workers to be gone", || when(children().is_empty(), children()));
    assert!(gate.is_empty(), "another task ran");
    drop(held);
}

fn a071_a_replacement_that_cannot_be_started_breaks_the_pool(builder: Builder) {
    let name = format!("pool-core-a071-{}-{:?}", std::process::id(), std::thread::current().id());
    let program = std::env::temp_dir().join(name);
    symlink(std::env::current_exe().unwrap(), &program).unwrap();
    let pool = pool(builder.max_tasks_per_worker(1).worker_command(&program, std::env::args_os().skip(1)), 1);
    let gate = Gate::new();
    let first = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    until("the successor", || when(pool.worker_pids().len() == 2, pool.worker_pids()));
    std::fs::remove_file(&program).unwrap();
    let futures: Vec<Future<u32>> = (1..4).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    drop(held);
    assert_eq!(first.result().unwrap(), 0);
    let mut outcomes = futures.iter().map(Future::result);
    let is_broken = |outcome: Result<u32, TaskError>| {
        let error = outcome.unwrap_err();
        assert!(matches!(error, TaskError::Broken(_)), "{error}");
        assert!(error.to_string().contains("could not be started"), "{error}");
    };
    // The successor takes one more, if it begins it before its own successor is found wanting.
    outcomes.next().unwrap().map_or_else(|error| is_broken(Err(error)), |value| assert_eq!(value, 1));
    outcomes.for_each(is_broken);
}

fn a072_a_shutdown_at_once_leaves_all_results_right(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(1), 3);
    let futures: Vec<Future<u32>> = (0..6).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    pool.shutdown();
    assert!((0..).zip(&futures).all(|(n, future)| future.done() && future.result().unwrap() == n * n));
}

fn limits_of_nothing_are_refused(builder: Builder) {
    let again = crate::backends::again(&builder);
    let error = builder.max_tasks_per_worker(0).build().unwrap_err();
    assert!(matches!(error, PoolError::Option { name: "max_tasks_per_worker", .. }));
    assert_eq!(error.to_string(), "max_tasks_per_worker must be at least 1");
    let error = again.max_worker_age(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.to_string(), "max_worker_age must be more than 0");
}

fn workers_of_one_task_run_a_map(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(1), 2);
    let results: Vec<u32> = pool.map(|n: u32| n * n, 0..20).unwrap().map(Result::unwrap).collect();
    assert_eq!(results, (0..20).map(|n| n * n).collect::<Vec<_>>());
}

fn an_item_of_a_map_counts_as_a_task(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(10), 2);
    let results = pool.batch().chunksize(100).map(|n: u32| (n, std::process::id()), 0..250).unwrap();
    let mut tasks: HashMap<u32, u32> = HashMap::new();
    for (number, result) in (0..).zip(results) {
        let (n, pid) = result.unwrap();
        assert_eq!(n, number);
        *tasks.entry(pid).or_default() += 1;
    }
    assert!(tasks.values().all(|&count| count <= 10), "{tasks:?}");
}

fn a_worker_goes_only_when_another_one_is_up(builder: Builder) {
    let pool = pool(builder.max_tasks_per_worker(1), 1);
    for _ in 0..20 {
        pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap();
        assert!(!pool.worker_pids().is_empty());
    }
}

fn an_old_worker_is_replaced_though_nobody_submits(builder: Builder) {
    let pool = pool(builder.max_worker_age(Duration::from_millis(100)), 1);
    let pid = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    until("a new worker alone", || {
        let pids = pool.worker_pids();
        when(pids.len() == 1 && pids[0] != pid, pids)
    });
}

fn a_worker_that_gets_old_in_a_task_finishes_it(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.max_worker_age(Duration::from_millis(50)), 1);
    let first = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let others = [1, 2].map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap());
    until("the successor", || when(pool.worker_pids().len() == 2, pool.worker_pids()));
    assert!(gate.is_empty() && first.running(), "two tasks run at once");
    let old = held.pid;
    drop(held);
    drop(gate.next());
    drop(gate.next());
    assert_eq!(first.result().unwrap(), 0);
    assert!((1..).zip(&others).all(|(n, future)| future.result().unwrap() == n));
    // It goes on until the successor has said hello, which may take it a while.
    until("the old one to be gone", || when(!pool.worker_pids().contains(&old), pool.worker_pids()));
}

fn recycled_workers_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    let pool = pool(builder.max_tasks_per_worker(1), 2);
    let futures: Vec<Future<u32>> = (0..40).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n * n));
    drop(pool);
    assert!(children().is_empty());
    before.assert_as_before();
}
