//! Pools that are ended by force: what each task's future says, who is left, and that the end comes, whoever asks for it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use pool_core::{
    Builder, ExitCause, ForcedBy, ForcedShutdown, Future, ProcessPoolExecutor, Shutdown, SubmitError, TaskError, task,
};

use crate::alone::Scene;
use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;
use crate::losses::stop_first;
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a074_a070_terminated_workers_leave_what_waits_failed,
    a075_a070_killed_workers_leave_what_waits_failed,
    a079_pools_without_workers_may_be_ended_by_force,
    b17_a_shutdown_in_time_for_its_deadline_finishes_everything,
    b17_a_shutdown_stops_what_runs_at_its_deadline_and_cancels_what_waits,
    b17_a_callback_may_shut_down_in_every_way,
    b17_many_threads_may_shut_down_in_every_way,
    b17_a_stronger_end_overtakes_a_weaker_one,
    b17_a_stopped_task_that_goes_on_does_not_keep_its_pool_from_its_end,
}

claims! { on_processes:
    a077_a_task_that_never_ends_is_ended_by_the_right_signal,
    a078_broken_pools_may_be_ended_by_force,
    b17_a_task_that_minds_the_deadline_delivers_its_result,
    b17_workers_that_have_not_said_hello_are_ended_at_the_deadline,
    b17_a_worker_that_runs_nothing_and_does_not_end_is_ended_at_the_deadline,
    b17_a_worker_that_hangs_in_its_exit_is_ended_though_nobody_waits_for_it,
}

claims! { alone_on_processes:
    a080_nothing_is_left_of_a_pool_whose_workers_were_killed,
    b17_a_pool_in_a_thread_that_panics_comes_to_its_end,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Stands for ever.
fn hang(gate: String, item: u32) -> u32 {
    stop_at(gate, item);
    loop {
        std::thread::park();
    }
}

/// By SIGTERM, and by SIGKILL.
const ENDS: [fn(&ProcessPoolExecutor); 2] = [ProcessPoolExecutor::terminate_workers, ProcessPoolExecutor::kill_workers];

#[track_caller]
fn assert_forced<T: std::fmt::Debug>(result: Result<T, TaskError>) -> ForcedShutdown {
    match result {
        Err(TaskError::ForcedShutdown(forced)) => ForcedShutdown::clone(&forced),
        other => panic!("{other:?}"),
    }
}

/// Ends a pool that has a task in a gate, and more behind that.
fn end_with_tasks(builder: Builder, by: ForcedBy, end: impl FnOnce(&ProcessPoolExecutor)) {
    let processes = !format!("{builder:?}").contains("InProcess");
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let behind: Vec<Future<u32>> = (1..5).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let batch = pool.map(|n: u32| n, 0..8).unwrap();
    let held = gate.next();
    end(&pool);
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::ShutDown)));
    for future in &behind {
        let forced = assert_forced(future.result());
        assert_eq!((forced.by, forced.pid, forced.cause), (by, None, None));
        assert!(forced.to_string().contains("had not begun when its pool was forcefully shut down"), "{forced}");
    }
    assert!(batch.map(|item| assert_forced(item)).all(|forced| forced.by == by && forced.pid.is_none()));
    if processes {
        let forced = assert_forced(running.result());
        assert_eq!((forced.by, forced.pid), (by, Some(held.pid)));
    }
    drop(held);
    if !processes {
        // A thread cannot be asked to end: what it runs is failed if it was to be killed.
        assert!(running.result().is_ok() || assert_forced(running.result()).pid == Some(std::process::id()));
    }
    pool.shutdown();
    assert!(pool.worker_pids().is_empty() && gate.is_empty());
}

fn a074_a070_terminated_workers_leave_what_waits_failed(builder: Builder) {
    end_with_tasks(builder, ForcedBy::TerminateWorkers, ProcessPoolExecutor::terminate_workers);
}

fn a075_a070_killed_workers_leave_what_waits_failed(builder: Builder) {
    end_with_tasks(builder, ForcedBy::KillWorkers, ProcessPoolExecutor::kill_workers);
}

fn a077_a_task_that_never_ends_is_ended_by_the_right_signal(builder: Builder) {
    for (signal, end) in [15, 9].into_iter().zip(ENDS) {
        let gate = Gate::new();
        let pool = pool(crate::backends::again(&builder).stop_grace(HOUR), 2);
        let future = pool.submit(hang, (gate.name(), 0)).unwrap();
        let held = gate.next();
        let pid = held.pid;
        drop(held);
        end(&pool);
        let forced = assert_forced(future.result());
        assert_eq!((forced.pid, forced.cause), (Some(pid), Some(ExitCause::Signal(signal))));
        pool.shutdown();
        assert!(pool.worker_pids().is_empty());
    }
}

fn a078_broken_pools_may_be_ended_by_force(builder: Builder) {
    let pool = pool(builder.worker_command("/does/not/exist", [""; 0]), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    assert!(matches!(future.result(), Err(TaskError::Broken(_))));
    pool.terminate_workers();
    pool.kill_workers();
    assert!(matches!(future.result(), Err(TaskError::Broken(_))));
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
}

fn a079_pools_without_workers_may_be_ended_by_force(builder: Builder) {
    for end in ENDS {
        let pool = pool(crate::backends::again(&builder), 2);
        end(&pool);
        end(&pool);
        assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::ShutDown)));
        let report = pool.shutdown_with(Shutdown::new());
        assert!(report.is_over && report.workers_left == 0);
    }
}

fn a080_nothing_is_left_of_a_pool_whose_workers_were_killed(builder: Builder) {
    let before = Holdings::count();
    let gate = Gate::new();
    let pool = pool(builder, 3);
    let futures: Vec<Future<u32>> = (0..9).map(|n| pool.submit(hang, (gate.name(), n)).unwrap()).collect();
    let held = [gate.next(), gate.next(), gate.next()];
    pool.kill_workers();
    let forced: Vec<ForcedShutdown> = futures.iter().map(|future| assert_forced(future.result())).collect();
    assert_eq!(forced.iter().filter(|forced| forced.pid.is_some()).count(), 3);
    let report = pool.shutdown_with(Shutdown::new());
    assert!(report.is_over);
    assert_eq!((report.stopped, report.cancelled, report.workers_stopped, report.workers_left), (3, 6, 3, 0));
    assert!(crate::holdings::children().is_empty());
    drop((pool, gate, held));
    before.assert_as_before();
}

fn b17_a_shutdown_in_time_for_its_deadline_finishes_everything(builder: Builder) {
    let pool = pool(builder, 2);
    let futures: Vec<Future<u32>> = (0..50).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let report = pool.shutdown_with(Shutdown::new().deadline(HOUR));
    assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n * n));
    assert!(report.is_over && report.finished <= 50);
    assert_eq!((report.cancelled, report.stopped, report.lost, report.workers_left), (0, 0, 0, 0));
    // One that never comes.
    pool.shutdown_with(Shutdown::new().deadline(Duration::MAX));
}

fn b17_a_shutdown_stops_what_runs_at_its_deadline_and_cancels_what_waits(builder: Builder) {
    let processes = !format!("{builder:?}").contains("InProcess");
    let limit = Duration::from_millis(50);
    for (shutdown, signal) in [(Shutdown::new(), 15), (Shutdown::new().kill(), 9)] {
        let gate = Gate::new();
        // A thread is given up after the grace; a process ends within it, on a busy machine too.
        let grace = if processes { HOUR } else { limit };
        let pool = pool(crate::backends::again(&builder).stop_grace(grace), 1);
        let stuck = pool.submit(hang, (gate.name(), 0)).unwrap();
        drop(gate.next());
        let behind = pool.submit(u32::pow, (2, 8)).unwrap();
        let begin = Instant::now();
        let report = pool.shutdown_with(shutdown.deadline(limit));
        assert!(begin.elapsed() >= limit, "it came early");
        assert!(behind.cancelled());
        let forced = assert_forced(stuck.result());
        assert_eq!(forced.by, ForcedBy::Deadline(limit));
        assert_eq!(forced.cause, processes.then_some(ExitCause::Signal(signal)));
        assert_eq!((report.finished, report.cancelled, report.stopped, report.lost), (0, 1, 1, 0));
        let left = usize::from(!processes);
        assert_eq!((report.is_over, report.workers_left, report.workers_stopped), (processes, left, 1 - left));
    }
}

fn b17_a_stopped_task_that_goes_on_does_not_keep_its_pool_from_its_end(builder: Builder) {
    let soon = Duration::from_millis(20);
    let stops: [fn(&ProcessPoolExecutor, &Future<u32>); 4] = [
        |_, _| {},
        |_, stuck| assert!(stuck.kill()),
        |pool, _| pool.terminate_workers(),
        |pool, _| pool.kill_workers(),
    ];
    for (place, stop) in stops.into_iter().enumerate() {
        let gate = Gate::new();
        let pool = pool(crate::backends::again(&builder).stop_grace(soon), 2);
        let task = pool.task();
        let task = if place == 0 { task.timeout(soon) } else { task };
        let stuck = task.submit(hang, (gate.name(), 0)).unwrap();
        drop(gate.next());
        stop(&pool, &stuck);
        let error = stuck.result().unwrap_err();
        assert!(!matches!(error, TaskError::WorkerDied(_)), "{error}");
        pool.shutdown();
    }
}

/// Waits for the soft stop and has a result then.
fn until_cancelled(gate: String) -> u32 {
    assert!(!task::cancelled());
    stop_at(gate, 0);
    while !task::cancelled() {
        std::thread::yield_now();
    }
    7
}

fn b17_a_task_that_minds_the_deadline_delivers_its_result(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(HOUR), 1);
    let future = pool.submit(until_cancelled, (gate.name(),)).unwrap();
    drop(gate.next());
    let report = pool.shutdown_with(Shutdown::new().deadline(Duration::from_millis(20)));
    assert_eq!(future.result().unwrap(), 7);
    assert_eq!((report.finished, report.stopped, report.workers_left), (1, 0, 0));
}

fn b17_workers_that_have_not_said_hello_are_ended_at_the_deadline(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.initializer(stop_first, (gate.name(),)), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    let _held = gate.next();
    let report = pool.shutdown_with(Shutdown::new().deadline(Duration::from_millis(20)));
    assert!(future.cancelled());
    assert_eq!((report.cancelled, report.workers_stopped, report.workers_left), (1, 1, 0));
}

/// Every way to end a pool.
const WAYS: [fn(&ProcessPoolExecutor); 6] = [
    |pool| pool.shutdown(),
    |pool| {
        pool.shutdown_with(Shutdown::new().cancel_pending());
    },
    |pool| {
        pool.shutdown_with(Shutdown::new().deadline(Duration::from_millis(5)));
    },
    |pool| {
        pool.shutdown_with(Shutdown::new().kill());
    },
    |pool| pool.terminate_workers(),
    |pool| pool.kill_workers(),
];

fn b17_a_callback_may_shut_down_in_every_way(builder: Builder) {
    for way in WAYS {
        let pool = pool(crate::backends::again(&builder), 2);
        let (send, receive) = mpsc::channel();
        let shared = pool.share();
        let first = pool.submit(u32::pow, (2, 8)).unwrap();
        let others: Vec<Future<u32>> = (0..20).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
        first.add_done_callback(move |_| {
            way(&shared);
            send.send(()).unwrap();
        });
        receive.recv().unwrap();
        assert!(pool.submit(u32::pow, (2, 8)).is_err());
        assert!(others.iter().all(|future| future.exception().is_none_or(|error| is_of_the_end(&error))));
        pool.shutdown();
        assert!(pool.worker_pids().is_empty());
    }
}

/// Whether an error is what the end of a pool gives.
fn is_of_the_end(error: &TaskError) -> bool {
    matches!(error, TaskError::ForcedShutdown(_) | TaskError::Cancelled)
}

fn b17_many_threads_may_shut_down_in_every_way(builder: Builder) {
    for round in 0..10 {
        let pool = pool(crate::backends::again(&builder), 2);
        let futures: Vec<Future<u32>> = (0..50).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (pool, way) = (pool.share(), WAYS[(round + thread) % WAYS.len()]);
                pool_core::thread::spawn(move || way(&pool))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for (n, future) in (0..).zip(&futures) {
            match future.result() {
                Ok(value) => assert_eq!(value, n * n),
                Err(error) => assert!(is_of_the_end(&error), "{error}"),
            }
        }
        pool.shutdown();
        assert!(pool.worker_pids().is_empty());
    }
}

fn b17_a_stronger_end_overtakes_a_weaker_one(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.submit(hang, (gate.name(), 0)).unwrap();
    drop(gate.next());
    pool.shutdown_with(Shutdown::new().no_wait());
    let weak = pool.shutdown_with(Shutdown::new().no_wait().deadline(HOUR));
    assert!(!weak.is_over && weak.workers_left == 1);
    pool.kill_workers();
    assert_forced(future.result());
}

fn b17_a_pool_in_a_thread_that_panics_comes_to_its_end(builder: Builder) {
    let before = Holdings::count();
    let gate = Gate::new();
    let name = gate.name();
    let (send, receive) = mpsc::channel();
    let thread = pool_core::thread::spawn(move || {
        let pool = builder.max_workers(1).build().unwrap();
        let futures = [0, 1].map(|n| pool.submit(hang, (name.clone(), n)).unwrap());
        send.send(futures).unwrap();
        drop(gate.next());
        panic!("of a test: it drops the pool");
    });
    assert!(thread.join().is_err());
    let [running, waiting] = receive.recv().unwrap();
    assert!(waiting.cancelled());
    let forced = assert_forced(running.result());
    assert_eq!((forced.by, forced.cause), (ForcedBy::Panic, Some(ExitCause::Signal(9))));
    until("the worker to be reaped", || {
        let children = crate::holdings::children();
        when(children.is_empty(), children)
    });
    drop((running, waiting));
    before.assert_as_before();
}

fn say_and_hang(gate: String) {
    println!("begun");
    hang(gate, 0);
}

#[test]
fn b17_a_program_that_ends_after_its_deadline_is_not_held_up() {
    static POOL: std::sync::OnceLock<ProcessPoolExecutor> = std::sync::OnceLock::new();
    let host = match Scene::of("forced::b17_a_program_that_ends_after_its_deadline_is_not_held_up") {
        Scene::Alone => {
            let pool = POOL.get_or_init(|| ProcessPoolExecutor::new(1).unwrap());
            let gate = Gate::new();
            pool.submit(say_and_hang, (gate.name(),)).unwrap();
            drop(gate.next());
            pool.shutdown_with(Shutdown::new().no_wait().deadline(Duration::from_millis(20)));
            return;
        }
        Scene::Outside(host) => host,
    };
    let ended = host.start().end();
    assert!(ended.status.success() && ended.stdout.contains("begun"), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stderr, "");
}

extern "C" fn never_end() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Leaves behind what will keep the worker's exit from its end.
fn leave_a_handler(n: u32) -> u32 {
    // SAFETY: the handler is a function of this program, and unwinds into nobody.
    assert_eq!(unsafe { libc::atexit(never_end) }, 0);
    n + 1
}

fn b17_a_worker_that_runs_nothing_and_does_not_end_is_ended_at_the_deadline(builder: Builder) {
    let pool = pool(builder.stop_grace(Duration::from_millis(100)), 1);
    assert_eq!(pool.submit(leave_a_handler, (1,)).unwrap().result().unwrap(), 2);
    let report = pool.shutdown_with(Shutdown::new().deadline(Duration::from_millis(100)));
    assert_eq!(report.cancelled + report.stopped, 0, "{report:?}");
    assert_eq!(*pool.worker_pids(), [0; 0]);
}

fn b17_a_worker_that_hangs_in_its_exit_is_ended_though_nobody_waits_for_it(builder: Builder) {
    let builder = builder.max_tasks_per_worker(1).stop_grace(Duration::from_millis(100));
    let pool = pool(builder, 1);
    let first = pool.submit(leave_a_handler, (1,)).unwrap();
    assert_eq!(first.result().unwrap(), 2);
    let hanging = pool.worker_pids();
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    until("the worker that hangs to be gone", || when(pool.worker_pids().iter().all(|pid| !hanging.contains(pid)), ()));
    assert_eq!(pool.submit(u32::pow, (2, 9)).unwrap().result().unwrap(), 512);
}
