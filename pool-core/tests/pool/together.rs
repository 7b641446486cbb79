//! Small tasks that wait together travel together. Nobody notices: each has an outcome, a death, a cancellation and a kill of
//! its own.

use std::sync::atomic::{AtomicBool, Ordering};

use pool_core::{Builder, Future, ProcessPoolExecutor, TaskError};

use crate::backends::{again, pool};
use crate::gate::{Gate, stop_at};
use crate::losses::kill;

claims! { on_each_backend:
    small_tasks_that_come_in_a_flood_have_outcomes_of_their_own,
    tasks_that_are_cancelled_in_a_flood_do_not_run_and_their_neighbours_do,
    floods_from_many_threads_and_cancels_from_others_lose_nothing,
    cancels_beside_a_shutdown_do_not_keep_the_pool_from_its_end,
}

claims! { on_processes:
    a_task_that_dies_in_a_flood_costs_itself,
    a_task_that_is_killed_in_a_flood_costs_itself,
}

/// What a task of a flood does, and comes to.
fn collatz(n: u64) -> Result<u64, String> {
    assert!(!n.is_multiple_of(97), "{n} is a multiple of 97");
    if n.is_multiple_of(89) { Err(format!("{n} is a multiple of 89")) } else { Ok(3 * n + 1) }
}

fn assert_as_expected(n: u64, future: &Future<Result<u64, String>>) {
    match future.result() {
        Ok(Ok(value)) => assert_eq!(value, 3 * n + 1),
        Ok(Err(error)) => assert!(n.is_multiple_of(89) && error.starts_with(&format!("{n} ")), "{n}: {error}"),
        Err(TaskError::Panicked(panic)) => assert!(n.is_multiple_of(97), "{n}: {panic}"),
        Err(other) => panic!("{n}: {other}"),
    }
}

fn small_tasks_that_come_in_a_flood_have_outcomes_of_their_own(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<_> = (1..5000).map(|n| pool.submit(collatz, (n,)).unwrap()).collect();
    (1..).zip(&futures).for_each(|(n, future)| assert_as_expected(n, future));
}

/// A worker that is known to be quick, in the gate, with small tasks behind it.
fn flood_behind_a_gate(pool: &ProcessPoolExecutor, gate: &Gate) -> (Future<u32>, Vec<Future<u64>>) {
    let quick: Vec<_> = (0..3000).map(|n| pool.submit(u64::wrapping_mul, (n, 2)).unwrap()).collect();
    assert!((0..).zip(&quick).all(|(n, future)| future.result().unwrap() == 2 * n));
    let stopped = pool.submit(stop_at, (gate.name(), 7)).unwrap();
    let flood = (0..1000).map(|n| pool.submit(u64::wrapping_mul, (n, 3)).unwrap()).collect();
    (stopped, flood)
}

fn tasks_that_are_cancelled_in_a_flood_do_not_run_and_their_neighbours_do(builder: Builder) {
    let (pool, gate) = (pool(builder, 1), Gate::new());
    for _ in 0..5 {
        let (stopped, flood) = flood_behind_a_gate(&pool, &gate);
        let held = gate.next();
        let cancelled: Vec<bool> = flood.iter().skip(3).step_by(3).map(Future::cancel).collect();
        assert!(cancelled.iter().all(|cancelled| *cancelled), "none has begun");
        drop(held);
        assert_eq!(stopped.result().unwrap(), 7);
        for (n, future) in (0..).zip(&flood) {
            match future.result() {
                Ok(value) => assert!(value == 3 * n && (n == 0 || n % 3 != 0), "{n}: {value}"),
                Err(error) => assert!(matches!(error, TaskError::Cancelled) && n > 0 && n % 3 == 0, "{n}: {error}"),
            }
        }
    }
}

fn floods_from_many_threads_and_cancels_from_others_lose_nothing(builder: Builder) {
    let pool = pool(builder, 3);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let pool = &pool;
            scope.spawn(move || {
                let futures: Vec<_> = (1..4000).map(|n| pool.submit(collatz, (n + thread,)).unwrap()).collect();
                let others = futures.clone();
                let canceller = scope.spawn(move || others.iter().step_by(2).map(Future::cancel).collect::<Vec<_>>());
                for (n, future) in (1 + thread..).zip(&futures) {
                    match future.result() {
                        Err(TaskError::Cancelled) => {}
                        _ => assert_as_expected(n, future),
                    }
                }
                let cancelled = canceller.join().unwrap();
                let told = futures.iter().step_by(2).map(Future::cancelled).collect::<Vec<_>>();
                assert_eq!(cancelled, told, "who was told so is cancelled, and nobody else");
            });
        }
    });
}

fn die_at(n: u64) -> u64 {
    if n == 4321 {
        kill(std::process::id());
    }
    n
}

fn a_task_that_dies_in_a_flood_costs_itself(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<_> = (0..8000).map(|n| pool.submit(die_at, (n,)).unwrap()).collect();
    for (n, future) in (0..).zip(&futures) {
        match future.result() {
            Ok(value) => assert!(value == n && n != 4321),
            Err(error) => assert!(matches!(error, TaskError::WorkerDied(_)) && n == 4321, "{n}: {error}"),
        }
    }
}

fn a_task_that_is_killed_in_a_flood_costs_itself(builder: Builder) {
    let (pool, gate) = (pool(builder, 1), Gate::new());
    let (stopped, flood) = flood_behind_a_gate(&pool, &gate);
    let held = gate.next();
    assert!(stopped.kill());
    assert!(matches!(stopped.result(), Err(TaskError::Killed(_))));
    drop(held);
    assert!((0..).zip(&flood).all(|(n, future)| future.result().unwrap() == 3 * n));
}

/// Of tasks that run or are done, which gives nothing back and tells the pool nothing.
fn cancels_beside_a_shutdown_do_not_keep_the_pool_from_its_end(builder: Builder) {
    for _ in 0..40 {
        let pool = pool(again(&builder), 1);
        let futures: Vec<_> = (0..20).map(|n| pool.submit(u64::wrapping_mul, (n, 2)).unwrap()).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        futures.iter().for_each(|future| {
                            future.cancel();
                        });
                    }
                });
            }
            pool.shutdown();
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(futures.iter().all(Future::done));
    }
}
