//! How many workers there are, which of them is used, and what they are called.

use std::collections::HashSet;

use pool_core::{Builder, Future, ProcessPoolExecutor};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};

claims! { on_each_backend:
    a062_a123_blocked_tasks_have_exactly_so_many_workers_as_are_allowed,
    a063_a124_tasks_in_a_row_use_one_worker,
    a064_a124_tasks_in_turns_use_few_workers,
    a122_there_are_as_many_workers_as_cpus_by_default,
}

claims! { on_processes:
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
    crate::losses::kill(first);
    let second = crate::losses::await_successor(&pool, first);
    assert_eq!(pool.submit(std::process::id, ()).unwrap().result().unwrap(), second);
}
