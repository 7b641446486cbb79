//! Lost workers: what their death costs, which is at most the task that they ran, and how the pool heals.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pool_core::{
    Builder, Bytes, ExitCause, Future, Killer, ProcessPoolExecutor, ReturnWhen, Shutdown, SubmitError, TaskError,
    as_completed, wait,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::backends::{again, pool};
use crate::gate::{Gate, stop_at};
use crate::watchdog::until;

claims! { on_each_backend:
    b01_wait_and_as_completed_return_at_once_on_cancelled_futures,
    b02_a_callback_may_submit_while_the_pool_is_shutting_down,
    b03_a_callback_that_panics_harms_nothing,
}

claims! { on_processes:
    b02_a_callback_may_submit_to_a_pool_that_lost_its_worker,
    b02_a_callback_may_submit_to_a_broken_pool,
    b05_a_worker_killed_before_it_claims_costs_nothing,
    b05_a_worker_killed_in_the_task_costs_that_task,
    b05_a_worker_killed_while_it_writes_a_large_result_costs_that_task,
    b05_a_worker_killed_after_its_result_costs_nothing,
    b05_a_worker_killed_at_any_moment_costs_at_most_one_task,
    b08_exit_code_0_is_a_loss_and_named,
    a_task_that_becomes_another_program_is_ended_and_told_why,
    a_lost_worker_of_a_batch_costs_one_item,
    neighbours_do_not_notice_a_lost_worker,
}

/// Kills a process.
pub(crate) fn kill(pid: u32) {
    // One that is gone by now was killed as well.
    let _ = kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL);
}

/// Waits until another worker has taken the place of this one.
pub(crate) fn await_successor(pool: &ProcessPoolExecutor, dead: u32) -> u32 {
    until("a new worker", || {
        let pids = pool.worker_pids();
        match *pids {
            [pid] if pid != dead => Ok(pid),
            _ => Err(pids.first().copied().unwrap_or_default()),
        }
    })
}

/// Fails unless the error is the death of a worker by SIGKILL.
#[track_caller]
fn assert_killed(error: &TaskError) {
    assert!(matches!(error, TaskError::WorkerDied(died) if died.cause == ExitCause::Signal(9)), "{error}");
}

fn b01_wait_and_as_completed_return_at_once_on_cancelled_futures(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let queued: Vec<Future<u32>> = (1..7).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let (by_cancel, by_shutdown) = queued.split_at(3);
    assert!(by_cancel.iter().all(Future::cancel));
    assert_eq!(wait(by_cancel, None, ReturnWhen::AllCompleted).unwrap().done.len(), 3);
    assert_eq!(as_completed(by_cancel, None).filter(|end| end.as_ref().unwrap().cancelled()).count(), 3);
    pool.shutdown_with(Shutdown::new().no_wait().cancel_pending());
    assert_eq!(wait(by_shutdown, None, ReturnWhen::AllCompleted).unwrap().done.len(), 3);
    assert_eq!(as_completed(by_shutdown, None).filter(|end| end.as_ref().unwrap().cancelled()).count(), 3);
    assert!(running.running());
    drop(held);
    assert_eq!(running.result().unwrap(), 0);
}

fn exit(code: i32) -> i32 {
    std::process::exit(code)
}

fn b02_a_callback_may_submit_to_a_pool_that_lost_its_worker(builder: Builder) {
    let pool = pool(builder, 1);
    let (send, receive) = mpsc::channel();
    let handle = pool.handle();
    pool.submit(exit, (3,)).unwrap().add_done_callback(move |lost| {
        assert!(matches!(lost.result(), Err(TaskError::WorkerDied(_))));
        send.send(handle.submit(u32::pow, (2, 8)).unwrap()).unwrap();
    });
    assert_eq!(receive.recv().unwrap().result().unwrap(), 256);
}

fn b02_a_callback_may_submit_to_a_broken_pool(builder: Builder) {
    let pool = pool(builder.worker_command("/does/not/exist", [""; 0]), 1);
    let (send, receive) = mpsc::channel();
    let handle = pool.handle();
    pool.submit(u32::pow, (2, 8)).unwrap().add_done_callback(move |lost| {
        assert!(matches!(lost.result(), Err(TaskError::Broken(_))), "{lost:?}");
        send.send(handle.submit(u32::pow, (2, 8)).unwrap_err()).unwrap();
    });
    let error = receive.recv().unwrap();
    assert!(matches!(error, SubmitError::Broken(_)), "{error}");
}

fn b02_a_callback_may_submit_while_the_pool_is_shutting_down(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let (send, receive) = mpsc::channel();
    let handle = pool.handle();
    pool.submit(stop_at, (gate.name(), 1)).unwrap().add_done_callback(move |_| {
        send.send(handle.submit(u32::pow, (2, 8)).map(drop)).unwrap();
    });
    let held = gate.next();
    pool.shutdown_with(Shutdown::new().no_wait());
    drop(held);
    let answer = receive.recv().unwrap();
    assert!(matches!(answer, Err(SubmitError::ShutDown)), "{answer:?}");
}

fn b03_a_callback_that_panics_harms_nothing(builder: Builder) {
    let pool = pool(builder, 1);
    let (send, receive) = mpsc::channel();
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    let second = send.clone();
    future.add_done_callback(|_| std::panic::panic_any(7));
    future.add_done_callback(move |future| second.send(future.result().unwrap()).unwrap());
    assert_eq!(receive.recv().unwrap(), 256);
    // And one that is added later, and other futures' ones.
    future.add_done_callback(|_| panic!("of a test: to be logged, and no more"));
    pool.submit(u32::pow, (2, 3))
        .unwrap()
        .add_done_callback(move |future| send.send(future.result().unwrap()).unwrap());
    assert_eq!(receive.recv().unwrap(), 8);
}

/// An initializer that stops at a gate.
pub(crate) fn stop_first(gate: String) {
    stop_at(gate, 0);
}

fn b05_a_worker_killed_before_it_claims_costs_nothing(builder: Builder) {
    // Stopped in its initializer, it has frames and has claimed none.
    let gate = Gate::new();
    let pool = pool(builder.initializer(stop_first, (gate.name(),)), 1);
    let futures: Vec<Future<u32>> = (0..8).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let held = gate.next();
    kill(held.pid);
    let second = gate.next();
    assert_ne!(held.pid, second.pid);
    drop((held, second));
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n * n));
}

fn b05_a_worker_killed_in_the_task_costs_that_task(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let first = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let others: Vec<Future<u32>> = (0..8).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let held = gate.next();
    kill(held.pid);
    let error = first.result().unwrap_err();
    assert_killed(&error);
    assert!(error.to_string().contains(&format!("worker {} died while it ran task", held.pid)), "{error}");
    assert!(error.to_string().contains("signal 9 (SIGKILL), "), "{error}");
    assert!((0..).zip(&others).all(|(n, future)| future.result().unwrap() == n * n));
}

fn large(gate: String, megabytes: usize) -> Bytes {
    let bytes = Bytes::from(vec![7; megabytes << 20]);
    stop_at(gate, 1);
    bytes
}

fn b05_a_worker_killed_while_it_writes_a_large_result_costs_that_task(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    for delay_us in [0, 100, 1_000, 3_000, 10_000, 30_000] {
        let future = pool.submit(large, (gate.name(), 16)).unwrap();
        let held = gate.next();
        let pid = held.pid;
        drop(held);
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(delay_us) {
            std::hint::spin_loop();
        }
        kill(pid);
        match future.result() {
            Ok(bytes) => assert!(bytes.len() == 16 << 20 && bytes.iter().all(|&byte| byte == 7)),
            Err(error) => assert_killed(&error),
        }
        assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    }
}

fn b05_a_worker_killed_after_its_result_costs_nothing(builder: Builder) {
    let pool = pool(builder, 1);
    for _ in 0..10 {
        let future = pool.submit(std::process::id, ()).unwrap();
        let pid = future.result().unwrap();
        kill(pid);
        assert_eq!(future.result().unwrap(), pid);
        // Until it is really gone it may take the next task and lose it.
        await_successor(&pool, pid);
    }
}

fn b05_a_worker_killed_at_any_moment_costs_at_most_one_task(builder: Builder) {
    let seed = crate::chaos::seed();
    let mut random = crate::chaos::Random::new(seed);
    for round in 0..30 {
        // A new one each time, so that its worker may be killed while it starts, too.
        let pool = pool(again(&builder), 2);
        let futures: Vec<Future<u32>> = (0..20).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
        let start = Instant::now();
        let delay = Duration::from_micros(random.below(6_000));
        while start.elapsed() < delay {
            std::hint::spin_loop();
        }
        let pids = pool.worker_pids();
        let killed = pids.first().copied().inspect(|&pid| kill(pid));
        let lost: Vec<TaskError> = (0..)
            .zip(&futures)
            .filter_map(|(n, future)| future.result().inspect(|&value| assert_eq!(value, n * n)).err())
            .collect();
        let most = usize::from(killed.is_some());
        assert!(lost.len() <= most, "seed {seed}, round {round}: one worker was killed, and this lost: {lost:?}");
        lost.iter().for_each(assert_killed);
    }
}

fn b08_exit_code_0_is_a_loss_and_named(builder: Builder) {
    let pool = pool(builder, 1);
    let error = pool.submit(exit, (0,)).unwrap().result().unwrap_err();
    assert!(matches!(&error, TaskError::WorkerDied(died) if died.cause == ExitCause::Code(0)), "{error}");
    assert!(error.to_string().ends_with("losses::exit: exit code 0"), "{error}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn exit_at_3(n: i32) -> i32 {
    if n == 3 { exit(1) } else { n }
}

/// The program has nothing of the worker's: neither its channel nor its code.
fn a_task_that_becomes_another_program_is_ended_and_told_why(builder: Builder) {
    let pool = pool(builder, 1);
    let become_another = || -> String { Command::new("sleep").arg("1000").exec().to_string() };
    let error = pool.submit(become_another, ()).unwrap().result().unwrap_err();
    let TaskError::WorkerDied(died) = &error else { panic!("{error}") };
    assert_eq!((died.cause, died.postmortem.killer), (ExitCause::Signal(9), Some(Killer::PoolOnHangUp)), "{died}");
    let text = error.to_string();
    assert!(text.contains("signal 9 (SIGKILL), sent by the pool as the worker had closed its channel: "), "{text}");
    assert!(text.contains("by an exec"), "{text}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn a_lost_worker_of_a_batch_costs_one_item(builder: Builder) {
    let pool = pool(builder, 2);
    let results: Vec<_> = pool.batch().chunksize(8).map(exit_at_3, 0..8).unwrap().collect();
    for (item, result) in (0..).zip(results) {
        match (item, result) {
            (3, Err(TaskError::WorkerDied(died))) => assert_eq!(died.cause, ExitCause::Code(1)),
            (_, Ok(value)) => assert_eq!(value, item),
            (_, other) => panic!("{item}: {other:?}"),
        }
    }
}

fn neighbours_do_not_notice_a_lost_worker(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 2);
    let neighbour = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    for code in 0..5 {
        let error = pool.submit(exit, (code,)).unwrap().result().unwrap_err();
        assert!(matches!(error, TaskError::WorkerDied(died) if died.cause == ExitCause::Code(code)));
    }
    assert!(neighbour.running());
    drop(held);
    assert_eq!(neighbour.result().unwrap(), 1);
    // The pool has its size: two tasks run at once.
    let futures = [2, 3].map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap());
    drop([gate.next(), gate.next()]);
    assert!(futures.iter().all(|future| future.result().is_ok()));
    assert_eq!(pool.worker_pids().len(), 2);
}
