//! Workers of which half is dead: the main thread has finished a task and is ended, or stops, before it can tell, while the
//! process lives on. Limits and kills find out what it has finished, and another worker takes its place.

use std::time::Duration;

use pool_core::{Builder, TaskError};
use rustix::fs::OFlags;
use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

use crate::backends::pool;
use crate::gate::{Gate, pass};
use crate::hostile::descriptors;
use crate::watchdog::{until, when};

claims! { on_processes:
    a_limit_brings_what_a_worker_finished_and_could_not_announce,
    a_kill_brings_what_a_worker_finished_and_could_not_announce,
}

mod a_result_behind_a_stuck_doorbell_is_delivered_by_a_limit {
    test_on!(super::a_limit_finds_the_result: shared_memory);
}

mod a_result_behind_a_stuck_doorbell_is_delivered_by_a_kill {
    test_on!(super::a_kill_finds_the_result: shared_memory);
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

/// Has whoever writes to this process's event descriptors wait for ever.
fn stick_the_doorbell(gate: String) -> u32 {
    for bell in descriptors("eventfd") {
        // It is empty then, or was before.
        let _ = rustix::io::read(&bell, &mut [0; 8]);
        rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        rustix::fs::fcntl_setfl(&bell, OFlags::empty()).unwrap();
    }
    pass(gate, 7)
}

fn a_limit_finds_the_result(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.timeout(LATER).stop_grace(SOON), 1);
    let future = pool.submit(stick_the_doorbell, (gate.name(),)).unwrap();
    let worker = gate.next().pid;
    assert_eq!(future.result().unwrap(), 7);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    until("the worker to be replaced", || when(!pool.worker_pids().contains(&worker), pool.worker_pids()));
}

fn a_kill_finds_the_result(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(SOON), 1);
    let future = pool.submit(stick_the_doorbell, (gate.name(),)).unwrap();
    let worker = gate.next().pid;
    until("the task to be over", || when(!future.running(), future.state()));
    // False where the pool has looked in that moment for a reason of its own.
    future.kill();
    assert_eq!(future.result().unwrap(), 7);
    let next = pool.task().timeout(LATER).submit(u32::pow, (2, 8)).unwrap();
    assert_eq!(next.result().unwrap(), 256);
    until("the worker to be replaced", || when(!pool.worker_pids().contains(&worker), pool.worker_pids()));
}
