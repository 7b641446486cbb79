//! How pools end: by a shutdown, a drop, or the end of the program, with and without work left.

use std::sync::OnceLock;

use pool_core::{Builder, Future, ProcessPoolExecutor, Shutdown, SubmitError, TaskError};

use crate::alone::Scene;
use crate::backends::{in_process, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;
use crate::watchdog::{Watchdog, until, when};

claims! { on_each_backend:
    a097_a_pool_that_was_shut_down_takes_nothing,
    a100_many_short_tasks_are_all_finished,
    a101_pending_tasks_are_cancelled_and_running_ones_finish,
    a103_a_cancelled_task_does_not_hold_up_the_shutdown,
    a108_a_task_that_fails_does_not_hold_up_the_shutdown,
    a109_neither_with_more_workers_than_tasks,
    dropping_a_pool_runs_what_was_submitted,
    shutdown_may_be_called_twice_and_by_two_threads,
}

claims! { alone_on_processes:
    a104_blocked_workers_end_after_the_shutdown,
    a105_a_scope_ends_its_workers,
    a106_a_dropped_pool_ends_its_workers_and_threads,
    a107_a_shutdown_that_is_not_waited_for_ends_them_too,
    a125_pools_start_beside_a_busy_pool_of_threads,
}

fn a097_a_pool_that_was_shut_down_takes_nothing(builder: Builder) {
    let pool = pool(builder, 1);
    pool.shutdown();
    let error = pool.submit(u32::pow, (2, 8)).unwrap_err();
    assert!(matches!(error, SubmitError::ShutDown));
    assert_eq!(error.to_string(), "cannot submit after shutdown");
    assert!(matches!(pool.map(|n: u32| n, 0..3).unwrap_err(), SubmitError::ShutDown));
    let handle = pool.handle();
    assert!(matches!(handle.submit(u32::pow, (2, 8)).unwrap_err(), SubmitError::ShutDown));
    drop(pool);
    assert!(matches!(handle.submit(u32::pow, (2, 8)).unwrap_err(), SubmitError::Gone));
}

fn a100_many_short_tasks_are_all_finished(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<Future<u32>> = (0..50).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    pool.shutdown();
    assert!((0..).zip(&futures).all(|(n, future)| future.done() && future.result().unwrap() == n * n));
}

fn a101_pending_tasks_are_cancelled_and_running_ones_finish(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 5);
    let futures: Vec<Future<u32>> = (0..50).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held: Vec<_> = (0..5).map(|_| gate.next()).collect();
    pool.shutdown_with(Shutdown::new().no_wait().cancel_pending());
    until("the others to be cancelled", || {
        let done = futures.iter().filter(|future| future.done()).count();
        when(done == 45, done)
    });
    drop(held);
    pool.shutdown();
    let (cancelled, others): (Vec<_>, Vec<_>) = futures.iter().partition(|future| future.cancelled());
    assert_eq!((cancelled.len(), others.len()), (45, 5));
    assert!(others.iter().all(|future| future.result().is_ok()));
    assert!(gate.is_empty());
}

fn a103_a_cancelled_task_does_not_hold_up_the_shutdown(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let running = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let future = pool.submit(stop_at, (gate.name(), 2)).unwrap();
    assert!(future.cancel());
    drop(held);
    pool.shutdown();
    assert!(running.done() && future.cancelled());
}

fn fail() -> u32 {
    panic!("it was told to fail")
}

fn a108_a_task_that_fails_does_not_hold_up_the_shutdown(builder: Builder) {
    let pool = pool(builder, 2);
    let future = pool.submit(fail, ()).unwrap();
    pool.shutdown_with(Shutdown::new().no_wait());
    assert!(matches!(future.result(), Err(TaskError::Panicked(_))));
    pool.shutdown();
}

fn a109_neither_with_more_workers_than_tasks(builder: Builder) {
    let pool = pool(builder, 4);
    let futures = [pool.submit(fail, ()).unwrap(), pool.submit(fail, ()).unwrap()];
    pool.shutdown_with(Shutdown::new().no_wait());
    assert!(futures.iter().all(|future| matches!(future.result(), Err(TaskError::Panicked(_)))));
    pool.shutdown();
}

fn dropping_a_pool_runs_what_was_submitted(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<Future<u32>> = (0..50).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    drop(pool);
    assert!((0..).zip(&futures).all(|(n, future)| future.done() && future.result().unwrap() == n * n));
}

fn shutdown_may_be_called_twice_and_by_two_threads(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let shared = pool.share();
    let other = pool_core::thread::spawn(move || shared.shutdown());
    pool.shutdown_with(Shutdown::new().no_wait());
    drop(held);
    pool.shutdown();
    assert!(future.done());
    other.join().unwrap();
}

fn a104_blocked_workers_end_after_the_shutdown(builder: Builder) {
    let before = Holdings::count();
    let gate = Gate::new();
    let pool = pool(builder, 3);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held = [gate.next(), gate.next(), gate.next()];
    let mut pids = pool.worker_pids();
    pids.sort_unstable();
    assert_eq!(crate::holdings::children(), pids);
    assert_eq!(pids.len(), 3);
    drop(held);
    pool.shutdown();
    assert!(crate::holdings::children().is_empty() && futures.iter().all(Future::done));
    drop((pool, gate));
    before.assert_as_before();
}

fn assert_squares<'a>(results: impl Iterator<Item = Result<i32, TaskError>> + 'a) {
    assert_eq!(results.collect::<Result<Vec<_>, _>>().unwrap(), [25, 16, 9, 4, 1, 0, 1, 4, 9, 16]);
}

fn a105_a_scope_ends_its_workers(builder: Builder) {
    let before = Holdings::count();
    {
        let pool = pool(builder, 5);
        assert_squares(pool.map(|n: i32| n * n, -5..5).unwrap());
    }
    assert!(crate::holdings::children().is_empty());
    before.assert_as_before();
}

fn a106_a_dropped_pool_ends_its_workers_and_threads(builder: Builder) {
    let before = Holdings::count();
    let pool = pool(builder, 5);
    let results = pool.map(|n: i32| n * n, -5..5).unwrap();
    drop(pool);
    assert!(crate::holdings::children().is_empty());
    assert_squares(results);
    before.assert_as_before();
}

fn a107_a_shutdown_that_is_not_waited_for_ends_them_too(builder: Builder) {
    let before = Holdings::count();
    let pool = pool(builder, 5);
    let results = pool.map(|n: i32| n * n, -5..5).unwrap();
    pool.shutdown_with(Shutdown::new().no_wait());
    assert_squares(results);
    drop(pool);
    before.assert_as_before();
}

fn a125_pools_start_beside_a_busy_pool_of_threads(builder: Builder) {
    drop(builder);
    let _watchdog = Watchdog::new(|| "pools beside a busy one".to_owned());
    let busy = in_process().max_workers(2).build().unwrap();
    for round in 0..50u32 {
        let busy_work: Vec<Future<u32>> = (0..8).map(|n| busy.submit(u32::pow, (n, 2)).unwrap()).collect();
        let pool = shared_memory().max_workers(1).build().unwrap();
        assert_eq!(pool.submit(u32::wrapping_add, (round, 1)).unwrap().result().unwrap(), round + 1);
        drop(busy_work);
    }
}

/// Lives as long as the program.
static POOL: OnceLock<ProcessPoolExecutor> = OnceLock::new();

fn say_when_let_go(gate: String) {
    println!("begun");
    stop_at(gate, 1);
    println!("apple");
}

/// Ends the program with a task in the pool, which it lets go of when that is certain.
fn end_with_a_running_task(shutdown: impl FnOnce(&ProcessPoolExecutor)) {
    let pool = POOL.get_or_init(|| ProcessPoolExecutor::new(1).unwrap());
    let gate = Gate::new();
    pool.submit(say_when_let_go, (gate.name(),)).unwrap();
    let held = gate.next();
    shutdown(pool);
    // The task goes on when the stream closes, a moment before or after main ends.
    pool_core::thread::spawn(move || drop(held));
}

#[test]
fn a098_a_program_that_ends_lets_its_task_finish() {
    let host = match Scene::of("shutdown::a098_a_program_that_ends_lets_its_task_finish") {
        Scene::Alone => return end_with_a_running_task(|_| {}),
        Scene::Outside(host) => host,
    };
    let ended = host.start().end();
    assert!(ended.status.success() && ended.stdout.contains("apple"), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
}

#[test]
fn a102_a_program_that_ends_after_a_shutdown_lets_its_task_finish() {
    let host = match Scene::of("shutdown::a102_a_program_that_ends_after_a_shutdown_lets_its_task_finish") {
        Scene::Alone => {
            return end_with_a_running_task(|pool| {
                pool.shutdown_with(Shutdown::new().no_wait());
            });
        }
        Scene::Outside(host) => host,
    };
    let ended = host.start().end();
    assert!(ended.status.success() && ended.stdout.contains("apple"), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
}

/// Runs after the pools were shut down, as it was registered before the first of them was made.
extern "C" fn submit_late() {
    let error = POOL.get().unwrap().submit(u32::pow, (2, 8)).unwrap_err();
    println!("late: {error}");
}

#[test]
fn a099_a_submit_after_the_end_of_main_is_refused() {
    let host = match Scene::of("shutdown::a099_a_submit_after_the_end_of_main_is_refused") {
        Scene::Alone => {
            pool_ipc::at_exit(submit_late);
            let pool = POOL.get_or_init(|| ProcessPoolExecutor::new(1).unwrap());
            assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
            return;
        }
        Scene::Outside(host) => host,
    };
    let mut running = host.start();
    assert_eq!(running.told("late: "), "cannot submit after shutdown");
    running.assert_success();
}

#[test]
fn a098_exit_in_the_middle_of_everything_ends_the_program() {
    let host = match Scene::of("shutdown::a098_exit_in_the_middle_of_everything_ends_the_program") {
        Scene::Alone => {
            let pool = POOL.get_or_init(|| ProcessPoolExecutor::new(2).unwrap());
            let futures: Vec<_> = (0..100).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
            // On the manager's own thread, which the end would otherwise wait for.
            futures[50].add_done_callback(|_| std::process::exit(7));
            loop {
                std::thread::park();
            }
        }
        Scene::Outside(host) => host,
    };
    let ended = host.start().end();
    assert_eq!(ended.status.code(), Some(7), "{}\n{}", ended.stdout, ended.stderr);
}
