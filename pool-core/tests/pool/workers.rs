//! How many workers there are, which of them is used, and what they are called.

use std::collections::HashSet;
use std::time::Duration;

use pool_core::{Builder, Future, ProcessPoolExecutor};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::losses::{await_successor, kill};
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a062_a123_blocked_tasks_have_exactly_so_many_workers_as_are_allowed,
    a063_a124_tasks_in_a_row_use_one_worker,
    a064_a124_tasks_in_turns_use_few_workers,
    a122_there_are_as_many_workers_as_cpus_by_default,
}

claims! { on_each_backend:
    sizes_that_make_no_sense_are_refused,
    a_pool_that_grows_runs_more_tasks_at_a_time,
    a_pool_that_shrinks_interrupts_no_task,
}

claims! { on_processes:
    the_fewest_workers_are_there_at_once_and_always,
    idle_workers_end_but_for_the_fewest,
    a_spare_takes_the_place_of_a_lost_worker,
    a_worker_that_is_lost_in_its_first_task_is_replaced_at_once,
    b06_the_death_of_an_idle_worker_costs_nothing_and_is_healed_before_anybody_submits,
}

fn a062_a123_blocked_tasks_have_exactly_so_many_workers_as_are_allowed(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 3);
    assert!(pool.worker_pids().is_empty(), "workers start on demand");
    let futures: Vec<Future<u32>> = (0..45).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held = [gate.next(), gate.next(), gate.next()];
    assert_eq!(pool.worker_pids().len(), 3);
    let pids: HashSet<u32> = held.iter().map(|held| held.pid).collect();
    assert_eq!(pids, pool.worker_pids().into_iter().collect());
    assert!(gate.is_empty(), "a fourth task runs");
    drop(held);
    (3..45).for_each(|_| drop(gate.next()));
    assert!((0..).zip(&futures).all(|(number, future)| future.result().unwrap() == number));
    assert_eq!(pool.worker_pids().len(), 3);
}

fn a063_a124_tasks_in_a_row_use_one_worker(builder: Builder) {
    let pool = pool(builder, 4);
    let pids: HashSet<u32> = (0..3).map(|_| pool.submit(std::process::id, ()).unwrap().result().unwrap()).collect();
    assert_eq!((pids.len(), pool.worker_pids().len()), (1, 1));
}

fn a064_a124_tasks_in_turns_use_few_workers(builder: Builder) {
    let pool = pool(builder, 11);
    for _ in 0..12 {
        let first = pool.submit(u32::pow, (2, 3)).unwrap();
        let second = pool.submit(u32::pow, (2, 3)).unwrap();
        assert_eq!((first.result().unwrap(), second.result().unwrap()), (8, 8));
    }
    assert!(pool.worker_pids().len() <= 3, "{:?}", *pool);
}

fn a122_there_are_as_many_workers_as_cpus_by_default(builder: Builder) {
    let pool: ProcessPoolExecutor = builder.build().unwrap();
    assert_eq!(pool.max_workers(), std::thread::available_parallelism().unwrap().get());
}

fn b06_the_death_of_an_idle_worker_costs_nothing_and_is_healed_before_anybody_submits(builder: Builder) {
    let pool = pool(builder, 1);
    let first = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    kill(first);
    let second = await_successor(&pool, first);
    assert_eq!(pool.submit(std::process::id, ()).unwrap().result().unwrap(), second);
}

fn sizes_that_make_no_sense_are_refused(builder: Builder) {
    let again = crate::backends::again(&builder);
    let error = builder.max_workers(2).min_workers(3).build().unwrap_err();
    assert_eq!(error.to_string(), "min_workers must be at most max_workers");
    let error = again.idle_timeout(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.to_string(), "idle_timeout must be more than 0");
}

fn a_pool_that_grows_runs_more_tasks_at_a_time(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let first = gate.next();
    assert!(gate.is_empty());
    pool.resize(3).unwrap();
    assert_eq!(pool.max_workers(), 3);
    drop([gate.next(), gate.next(), first]);
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n));
    assert_eq!(pool.resize(0).unwrap_err().to_string(), "max_workers must be at least 1");
}

fn a_pool_that_shrinks_interrupts_no_task(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 3);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let [first, second, third] = [gate.next(), gate.next(), gate.next()];
    let idle = third.item;
    drop(third);
    // Who has a result finds its worker free.
    assert_eq!(futures[idle as usize].result().unwrap(), idle);
    pool.resize(1).unwrap();
    // The idle one goes at once, and shows that the pool has heard it. Threads have one pid, as often as there are threads.
    until("the idle worker to end", || when(pool.worker_pids().len() == 2, pool.worker_pids()));
    let others: Vec<Future<u32>> = (3..6).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    drop((first, second));
    for _ in 3..6 {
        let held = gate.next();
        until("one worker to be left", || when(pool.worker_pids().len() == 1, pool.worker_pids()));
        assert!(gate.is_empty(), "two tasks run");
        drop(held);
    }
    assert!((0..).zip(futures.iter().chain(&others)).all(|(n, future)| future.result().unwrap() == n));
}

fn the_fewest_workers_are_there_at_once_and_always(builder: Builder) {
    let pool = pool(builder.min_workers(2), 3);
    let both = |dead: u32| {
        until("two workers", || {
            let pids = pool.worker_pids();
            when(pids.len() == 2 && !pids.contains(&dead), pids)
        })
    };
    let pids = both(0);
    kill(pids[0]);
    both(pids[0]);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn idle_workers_end_but_for_the_fewest(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.min_workers(1).idle_timeout(Duration::from_millis(50)), 3);
    let futures: Vec<Future<u32>> = (0..3).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let held = [gate.next(), gate.next(), gate.next()];
    assert_eq!(pool.worker_pids().len(), 3, "busy workers are not idle");
    drop(held);
    assert!(futures.iter().all(|future| future.result().is_ok()));
    let last = until("the others to end", || when(pool.worker_pids().len() == 1, pool.worker_pids()))[0];
    assert_eq!(pool.submit(std::process::id, ()).unwrap().result().unwrap(), last);
}

fn a_spare_takes_the_place_of_a_lost_worker(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.spares(1), 1);
    for _ in 0..3 {
        let future = pool.submit(stop_at, (gate.name(), 1)).unwrap();
        let held = gate.next();
        let pids = until("a spare", || when(pool.worker_pids().len() == 2, pool.worker_pids()));
        let next = pool.submit(stop_at, (gate.name(), 2)).unwrap();
        kill(held.pid);
        assert!(future.result().is_err());
        let second = gate.next();
        assert!(pids.contains(&second.pid) && second.pid != held.pid, "{pids:?}");
        assert!(gate.is_empty());
        drop(second);
        assert_eq!(next.result().unwrap(), 2);
    }
}

fn a_worker_that_is_lost_in_its_first_task_is_replaced_at_once(builder: Builder) {
    let pool = pool(builder, 1);
    let end = pool.submit(|| -> u32 { std::process::abort() }, ()).unwrap();
    assert!(end.result().is_err());
    let pids = until("a new worker", || when(!pool.worker_pids().is_empty(), pool.worker_pids()));
    assert_eq!(pool.submit(std::process::id, ()).unwrap().result().unwrap(), pids[0]);
}
