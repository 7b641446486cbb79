//! Pools that break with their first lost worker, as CPython's do: the guilty task says what happened, and all others that
//! it was that.

use pool_core::{Broken, Builder, Bytes, ExitCause, Future, OnWorkerLoss, Shutdown, SubmitError, TaskError};
use rustix::process::{Pid, Signal, kill_process};

use crate::backends::pool;
use crate::deadlock::{Decoding, Deed, SEGV, commit, crash_with, give_encoding, take_decoding};
use crate::gate::{Gate, stop_at};
use crate::watchdog::{Watched, until, when};

claims! { on_processes:
    a056_a_killed_worker_breaks_a_strict_pool,
    a056_an_idle_worker_that_is_killed_breaks_a_strict_pool,
    a082_a_worker_that_exits_while_it_decodes_breaks_a_strict_pool,
    a084_a_worker_that_crashes_while_it_decodes_breaks_a_strict_pool,
    a085_a_worker_that_crashes_in_the_task_breaks_a_strict_pool,
    a086_a_task_that_exits_breaks_a_strict_pool,
    a088_a_worker_that_crashes_while_it_encodes_breaks_a_strict_pool,
    a089_a_worker_that_exits_while_it_encodes_breaks_a_strict_pool,
    a093_a_worker_that_crashes_after_the_shutdown_breaks_a_strict_pool,
    a095_workers_that_crash_while_large_arguments_are_sent_break_a_strict_pool,
    a_worker_that_ends_before_its_hello_breaks_a_strict_pool,
    what_the_pool_stops_itself_does_not_break_a_strict_pool,
}

claims! { on_each_backend:
    a087_an_error_does_not_break_a_strict_pool,
}

fn strict(builder: Builder, max_workers: usize) -> Watched {
    pool(builder.on_worker_loss(OnWorkerLoss::Break), max_workers)
}

#[track_caller]
fn assert_died<T: std::fmt::Debug>(result: Result<T, TaskError>, cause: ExitCause) -> u32 {
    match result {
        Err(TaskError::WorkerDied(died)) if died.cause == cause => died.pid,
        other => panic!("{other:?}"),
    }
}

/// Fails unless this is the break that comes of the worker's end.
#[track_caller]
fn assert_broken_by(broken: &Broken, pid: u32, cause: ExitCause) {
    let Broken::WorkerLost { pid: lost, cause: told, task, .. } = broken else { panic!("{broken}") };
    assert_eq!((*lost, *told, task.is_some()), (pid, cause, true));
    assert!(broken.to_string().starts_with(&format!("the pool is broken: worker {pid} died while it ran task ")));
}

#[track_caller]
fn assert_breaks<T: std::fmt::Debug + serde::de::DeserializeOwned>(
    builder: Builder,
    cause: ExitCause,
    submit: impl FnOnce(&Watched) -> Future<T>,
    set_off: impl FnOnce(),
) {
    let gate = Gate::new();
    let pool = strict(builder, 2);
    let neighbour = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let _held = gate.next();
    let before = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let holds_up = gate.next();
    let guilty = submit(&pool);
    let behind: Vec<Future<u32>> = (0..4).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let batch = pool.map(|n: u32| n, 0..8).unwrap();
    drop(holds_up);
    assert_eq!(before.result().unwrap(), 0);
    set_off();
    let pid = assert_died(guilty.result(), cause);
    for future in behind.iter().chain([&neighbour]) {
        let Err(TaskError::Broken(broken)) = future.result() else { panic!("{future:?}") };
        assert_broken_by(&broken, pid, cause);
    }
    assert!(batch.map(Result::unwrap_err).all(|error| matches!(error, TaskError::Broken(_))));
    let Err(SubmitError::Broken(broken)) = pool.submit(u32::pow, (2, 8)) else { panic!("it is not broken") };
    assert_broken_by(&broken, pid, cause);
    assert!(gate.is_empty(), "a task ran in a broken pool");
    let report = pool.shutdown_with(Shutdown::new());
    assert!(report.is_over && report.workers_left == 0);
}

fn terminate(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::TERM).unwrap();
}

fn a056_a_killed_worker_breaks_a_strict_pool(builder: Builder) {
    let gate = Gate::new();
    let submit = |pool: &Watched| pool.submit(stop_at, (gate.name(), 1)).unwrap();
    assert_breaks(builder, ExitCause::Signal(15), submit, || terminate(gate.next().pid));
}

fn a056_an_idle_worker_that_is_killed_breaks_a_strict_pool(builder: Builder) {
    let pool = strict(builder, 1);
    let pid = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    terminate(pid);
    let error = until("the pool to break", || {
        let error = pool.submit(u32::pow, (2, 8)).err();
        when(error.is_some(), error)
    });
    let text = error.unwrap().to_string();
    assert!(text.contains(&format!("worker {pid} died while it ran")), "{text}");
}

fn a082_a_worker_that_exits_while_it_decodes_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(take_decoding, (Decoding(Deed::Exit(5)),)).unwrap();
    assert_breaks(builder, ExitCause::Code(5), submit, || {});
}

fn a084_a_worker_that_crashes_while_it_decodes_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(take_decoding, (Decoding(Deed::Signal(SEGV)),)).unwrap();
    assert_breaks(builder, ExitCause::Signal(SEGV), submit, || {});
}

/// Does the deed once it is let go.
fn commit_later(gate: String, deed: Deed) {
    stop_at(gate, 0);
    commit(deed);
}

fn a085_a_worker_that_crashes_in_the_task_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(commit, (Deed::Signal(SEGV),)).unwrap();
    assert_breaks(builder, ExitCause::Signal(SEGV), submit, || {});
}

fn a086_a_task_that_exits_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(commit, (Deed::Exit(1),)).unwrap();
    assert_breaks(builder, ExitCause::Code(1), submit, || {});
}

fn a088_a_worker_that_crashes_while_it_encodes_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(give_encoding, (Deed::Signal(SEGV),)).unwrap();
    assert_breaks(builder, ExitCause::Signal(SEGV), submit, || {});
}

fn a089_a_worker_that_exits_while_it_encodes_breaks_a_strict_pool(builder: Builder) {
    let submit = |pool: &Watched| pool.submit(give_encoding, (Deed::Exit(1),)).unwrap();
    assert_breaks(builder, ExitCause::Code(1), submit, || {});
}

fn a087_an_error_does_not_break_a_strict_pool(builder: Builder) {
    let pool = strict(builder, 1);
    let future = pool.submit(commit, (Deed::Panic,)).unwrap();
    assert!(matches!(future.result(), Err(TaskError::Panicked(_))));
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn a093_a_worker_that_crashes_after_the_shutdown_breaks_a_strict_pool(builder: Builder) {
    let gate = Gate::new();
    let pool = strict(builder, 1);
    let guilty = pool.submit(commit_later, (gate.name(), Deed::Signal(SEGV))).unwrap();
    let behind = pool.submit(u32::pow, (2, 8)).unwrap();
    let held = gate.next();
    pool.shutdown_with(Shutdown::new().no_wait());
    drop(held);
    let pid = assert_died(guilty.result(), ExitCause::Signal(SEGV));
    let Err(TaskError::Broken(broken)) = behind.result() else { panic!("{behind:?}") };
    assert_broken_by(&broken, pid, ExitCause::Signal(SEGV));
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn a095_workers_that_crash_while_large_arguments_are_sent_break_a_strict_pool(builder: Builder) {
    let pool = strict(builder, 2);
    // The pool may break before all are submitted.
    let submit = || pool.submit(crash_with, (Bytes::from(vec![1; 1 << 20]),));
    let futures: Vec<Future<()>> = (0..12).map_while(|_| submit().ok()).collect();
    let errors: Vec<TaskError> = futures.iter().map(|future| future.result().unwrap_err()).collect();
    assert!(errors.iter().all(|error| matches!(error, TaskError::WorkerDied(_) | TaskError::Broken(_))), "{errors:?}");
    assert!(errors.iter().any(|error| matches!(error, TaskError::WorkerDied(_))), "{errors:?}");
    assert!(matches!(submit(), Err(SubmitError::Broken(_))));
}

fn exit_first() {
    std::process::exit(4);
}

fn a_worker_that_ends_before_its_hello_breaks_a_strict_pool(builder: Builder) {
    let pool = strict(builder.initializer(exit_first, ()), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    let Err(TaskError::Broken(broken)) = future.result() else { panic!("{future:?}") };
    assert!(matches!(&*broken, Broken::Start(_)), "{broken}");
    assert!(broken.to_string().contains("exit code 4"), "{broken}");
}

fn what_the_pool_stops_itself_does_not_break_a_strict_pool(builder: Builder) {
    let gate = Gate::new();
    let pool = strict(builder, 1);
    let limit = std::time::Duration::from_millis(20);
    let late = pool.task().timeout(limit).submit(stop_at, (gate.name(), 0)).unwrap();
    let _held = gate.next();
    assert!(matches!(late.result(), Err(TaskError::TimedOut(_))));
    let killed = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let _held = gate.next();
    killed.kill();
    assert!(matches!(killed.result(), Err(TaskError::Killed(_))));
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}
