//! Workers that are lost again and again: when the pool gives up, and when it does not.

use std::time::Duration;

use pool_core::{Broken, Builder, SubmitError, TaskError};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::losses::kill;

claims! { on_processes:
    workers_that_are_lost_again_and_again_break_the_pool_with_all_causes,
    a_map_whose_every_item_crashes_gives_as_many_errors,
    losses_between_successes_do_not_add_up,
}

claims! { on_each_backend:
    a_limit_within_no_time_is_refused,
}

const MINUTE: Duration = Duration::from_secs(60);

fn stop_first(gate: String) {
    stop_at(gate, 0);
}

fn workers_that_are_lost_again_and_again_break_the_pool_with_all_causes(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.initializer(stop_first, (gate.name(),)).restart_limit(3, MINUTE), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    let mut killed = Vec::new();
    for _ in 0..4 {
        assert!(!future.done());
        let held = gate.next();
        kill(held.pid);
        killed.push(held.pid);
    }
    let error = future.result().unwrap_err();
    let TaskError::Broken(broken) = &error else { panic!("{error}") };
    let Broken::Restarts { losses, .. } = &**broken else { panic!("{error}") };
    assert_eq!(losses.iter().map(|loss| loss.pid).collect::<Vec<_>>(), killed);
    assert!(error.to_string().ends_with("4 before it said hello (signal 9 (SIGKILL))"), "{error}");
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
}

fn crash(code: i32) {
    std::process::exit(code)
}

fn a_map_whose_every_item_crashes_gives_as_many_errors(builder: Builder) {
    let pool = pool(builder.restart_limit(0, MINUTE), 2);
    let results: Vec<_> = pool.batch().chunksize(4).map(crash, 1..13).unwrap().collect();
    for (code, result) in (1..).zip(&results) {
        assert!(matches!(result, Err(TaskError::WorkerDied(died)) if died.cause.code() == Some(code)), "{result:?}");
    }
    assert_eq!(results.len(), 12);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn losses_between_successes_do_not_add_up(builder: Builder) {
    let pool = pool(builder.restart_limit(1, MINUTE), 1);
    for _ in 0..5 {
        let pid = pool.submit(std::process::id, ()).unwrap().result().unwrap();
        kill(pid);
        crate::losses::await_successor(&pool, pid);
    }
}

fn a_limit_within_no_time_is_refused(builder: Builder) {
    let error = builder.restart_limit(1, Duration::ZERO).build().unwrap_err();
    assert_eq!(error.to_string(), "the time of restart_limit must be more than 0");
}
