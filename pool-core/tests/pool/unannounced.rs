//! Workers of which half is dead: the main thread has finished a task and is ended before it can tell, while the process
//! lives on. Limits and kills find out what it has finished, and another worker takes its place.

use std::time::Duration;

use pool_core::{Builder, TaskError};
use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

use crate::backends::pool;
use crate::gate::{Gate, pass};

claims! { on_processes:
    a_limit_brings_what_a_worker_finished_and_could_not_announce,
    a_kill_brings_what_a_worker_finished_and_could_not_announce,
}

const SOON: Duration = Duration::from_millis(30);
const LATER: Duration = Duration::from_secs(1);

/// Returns, and its thread may read, write and end from then on: for anything else the kernel ends it, and it alone.
fn forbid_all(gate: String) {
    pass(gate, 0);
    set_secure_computing_mode(SecureComputingMode::Strict).unwrap();
}

fn a_limit_brings_what_a_worker_finished_and_could_not_announce(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.timeout(LATER).stop_grace(SOON), 1);
    let future = pool.submit(forbid_all, (gate.name(),)).unwrap();
    drop(gate.next());
    // It depends on the backend whether the thread comes to publish it.
    assert!(matches!(future.result(), Ok(()) | Err(TaskError::TimedOut(_))), "{future:?}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn a_kill_brings_what_a_worker_finished_and_could_not_announce(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(SOON), 1);
    let future = pool.submit(forbid_all, (gate.name(),)).unwrap();
    drop(gate.next());
    future.kill();
    assert!(matches!(future.result(), Ok(()) | Err(TaskError::Killed(_))), "{future:?}");
    // With a limit: it may have come to tell of that, and have died over the next.
    let next = pool.task().timeout(LATER).submit(u32::pow, (2, 8)).unwrap();
    assert_eq!(next.result().unwrap(), 256);
}
