//! Hosts that fork: the copy of the process has a copy of the pool, which is a shell and says so; the pool itself does not
//! notice. And tasks that fork: the copy of the worker is none.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pool_core::{
    Builder, Future, PoolError, ProcessPoolExecutor, ReturnWhen, SubmitError, TaskError, WaitError, WorkerStderr,
    as_completed, wait,
};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::alone::Scene;
use crate::backends::{in_process, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::losses::stop_first;
use crate::parent_death::{assert_nobody_stays, wait_to_be_killed};
use crate::watchdog::{Watchdog, until, when};

claims! { alone_on_each_backend:
    d05_a_fork_of_the_host_gets_typed_errors_and_harms_nothing,
}

claims! { on_processes:
    d05_a_copy_of_a_worker_ends_where_its_task_does,
    d05_a_copy_of_a_worker_that_nobody_waits_for_does_not_answer_in_its_place,
}

claims! { alone_on_processes:
    d05_a_fork_cannot_take_back_what_was_posted,
    d05_a_fork_may_make_a_pool_of_its_own,
    d05_a_fork_of_a_host_that_keeps_stderr_harms_nothing,
}

/// A process that was forked from this one.
#[derive(Clone, Copy)]
pub(crate) struct Fork(Pid);

impl Fork {
    /// Forks while all other threads sleep, as a process must whose fork goes on with more than an exec: what a thread has
    /// locked in that moment stays locked in the fork.
    fn start_at_rest(body: impl FnOnce()) -> Self {
        crate::holdings::await_rest();
        Self::start(body)
    }

    /// Forks, and runs `body` in the child, which then ends orderly.
    pub(crate) fn start(body: impl FnOnce()) -> Self {
        // SAFETY: the child goes on with this thread alone. What it calls is the pool's code, whose behaviour there is what
        // is tested, and the allocator, which the C library keeps usable in a fork.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: a system call without pointers: ends the child if it hangs.
                unsafe { libc::alarm(60) };
                let passed = catch_unwind(AssertUnwindSafe(body)).is_ok();
                std::process::exit(if passed { 0 } else { 101 });
            }
            pid => Self(Pid::from_raw(pid).expect("there is room for a process")),
        }
    }

    /// Waits for its end, which must be orderly.
    fn assert_success(self) {
        let (_, status) = until("the fork to end", || {
            let ended = waitpid(Some(self.0), WaitOptions::NOHANG).unwrap();
            when(ended.is_some(), ended)
        })
        .unwrap();
        assert_eq!(status.exit_status(), Some(0), "the fork ended with {status:?}");
    }
}

fn d05_a_fork_of_the_host_gets_typed_errors_and_harms_nothing(builder: Builder) {
    let _watchdog = Watchdog::new(|| "a pool in a fork".to_owned());
    let gate = Gate::new();
    let mut pool = Some(builder.max_workers(1).build().unwrap());
    let done = pool.as_ref().unwrap().submit(u32::pow, (2, 8)).unwrap();
    assert_eq!(done.result().unwrap(), 256);
    let pending = pool.as_ref().unwrap().submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let behind = pool.as_ref().unwrap().submit(u32::pow, (3, 2)).unwrap();
    let fork = Fork::start(|| {
        let pool = pool.take().unwrap();
        assert_is_a_shell(&pool, &done, &pending);
        assert!(matches!(behind.result(), Err(TaskError::Forked)));
        pool.shutdown();
        drop(pool);
    });
    fork.assert_success();
    // Nothing of that reached the pool.
    assert!(pending.running() && !behind.done());
    drop(held);
    assert_eq!((pending.result().unwrap(), behind.result().unwrap()), (1, 9));
    let pool = pool.unwrap();
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    assert_eq!(pool.worker_pids().len(), 1);
}

/// One that has a thread more, which may be at work at the fork.
fn d05_a_fork_of_a_host_that_keeps_stderr_harms_nothing(builder: Builder) {
    let kept = WorkerStderr::Kept { lines: 1 };
    let talkers = pool(crate::backends::again(&builder).worker_stderr(kept), 1);
    let gate = Gate::new();
    let talk = talkers.submit(talk_until_released, (gate.name(),)).unwrap();
    drop(gate.next());
    let held = gate.next();
    d05_a_fork_of_the_host_gets_typed_errors_and_harms_nothing(builder.worker_stderr(kept));
    let fork = Fork::start(|| assert!(matches!(talk.result(), Err(TaskError::Forked))));
    fork.assert_success();
    assert!(talk.running());
    drop(held);
    talk.result().unwrap();
}

fn talk_until_released(gate: String) {
    stop_at(gate.clone(), 1);
    std::thread::scope(|scope| {
        let held = scope.spawn(|| stop_at(gate, 2));
        while !held.is_finished() {
            eprintln!("la");
        }
    });
}

fn assert_is_a_shell(pool: &ProcessPoolExecutor, done: &Future<u32>, pending: &Future<u32>) {
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Forked)));
    assert!(matches!(pool.map(|n: u32| n, 0..3), Err(SubmitError::Forked)));
    assert!(matches!(pool.resize(5), Err(PoolError::Forked)));
    assert!(pool.worker_pids().is_empty());
    // What was there at the fork is there.
    assert_eq!(done.result().unwrap(), 256);
    assert!(matches!(pending.result(), Err(TaskError::Forked)), "{pending:?}");
    assert!(matches!(pending.exception(), Some(TaskError::Forked)));
    assert!(matches!(wait([pending], None, ReturnWhen::AllCompleted), Err(WaitError::Forked)));
    assert!(matches!(as_completed([pending], None).next(), Some(Err(WaitError::Forked))));
    assert!(!pending.cancel());
    pending.add_done_callback(|_| panic!("a callback of a pool that is elsewhere"));
    assert!(!format!("{pool:?}").is_empty());
}

fn d05_a_fork_cannot_take_back_what_was_posted(builder: Builder) {
    let gate = Gate::new();
    // A worker in its initializer has the first frame, and has not begun it.
    let pool = pool(builder.initializer(stop_first, (gate.name(),)), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    let held = gate.next();
    let mut results = Some(pool.map(|n: u32| n + 1, 0..4).unwrap());
    let fork = Fork::start(|| {
        let cancelled = future.cancel();
        assert!(!cancelled || matches!(future.result(), Err(TaskError::Cancelled)));
        let mut results = results.take().unwrap();
        assert!(matches!(results.next(), Some(Err(TaskError::Forked))));
        drop(results);
    });
    fork.assert_success();
    drop(held);
    assert_eq!(future.result().unwrap(), 256);
    assert_eq!(results.unwrap().collect::<Result<Vec<u32>, _>>().unwrap(), [1, 2, 3, 4]);
}

fn d05_a_fork_may_make_a_pool_of_its_own(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    let fork = Fork::start_at_rest(|| {
        let own = shared_memory().max_workers(1).build().unwrap();
        let pid = own.submit(std::process::id, ()).unwrap().result().unwrap();
        assert!(!pool.worker_pids().contains(&pid));
        drop(own);
    });
    fork.assert_success();
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn d05_a_copy_of_a_worker_ends_where_its_task_does(builder: Builder) {
    let pool = pool(builder, 1);
    for panics in [false, true, false, true] {
        let (worker, ended) = pool.submit(return_or_panic_in_a_copy, (panics,)).unwrap().result().unwrap();
        assert_eq!(ended, Some(if panics { 101 } else { 0 }));
        assert_eq!(pool.worker_pids(), [worker]);
    }
}

fn d05_a_copy_of_a_worker_that_nobody_waits_for_does_not_answer_in_its_place(builder: Builder) {
    let pool = pool(builder, 1);
    let mut copies = Vec::new();
    for item in 0..200 {
        let (said, copy) = pool.submit(answer_twice, (item,)).unwrap().result().unwrap();
        assert_eq!(said, item);
        copies.push(copy);
    }
    until("all copies to have ended", || {
        let left: Vec<u32> = copies.iter().copied().filter(|&copy| crate::holdings::is_alive(copy)).collect();
        when(left.is_empty(), left)
    });
    let worker = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    assert_eq!(pool.worker_pids(), [worker]);
}

/// Forks. The copy comes to the task's end; the worker waits for that, and tells its exit code.
fn return_or_panic_in_a_copy(panics: bool) -> (u32, Option<i32>) {
    // SAFETY: the copy goes on with this thread alone, which is all that it needs on its way out of the task.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: a system call without pointers: ends the copy if it hangs.
            unsafe { libc::alarm(60) };
            assert!(!panics, "in a copy");
            (0, None)
        }
        copy => {
            let (_, status) = waitpid(Pid::from_raw(copy), WaitOptions::empty()).unwrap().unwrap();
            (std::process::id(), status.exit_status())
        }
    }
}

/// Forks. Both go on to the task's end, with different values; nobody waits.
fn answer_twice(item: u64) -> (u64, u32) {
    // SAFETY: as above.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: as above.
            unsafe { libc::alarm(60) };
            (u64::MAX, 0)
        }
        copy => (item, u32::try_from(copy).unwrap()),
    }
}

/// The daemon is the fork, and its pool is made afterwards; the pool that was made too early ends with its process.
#[test]
fn d05_a_host_that_becomes_a_daemon_has_a_shell_of_its_pool() {
    let host = match Scene::of("forks::d05_a_host_that_becomes_a_daemon_has_a_shell_of_its_pool") {
        Scene::Outside(host) => host,
        Scene::Alone => {
            let early = shared_memory().max_workers(1).build().unwrap();
            let worker = early.submit(std::process::id, ()).unwrap().result().unwrap();
            println!("parent done");
            let _daemon = Fork::start_at_rest(|| {
                rustix::process::setsid().unwrap();
                until("the worker to end with its parent", || when(!crate::holdings::is_alive(worker), worker));
                assert!(matches!(early.submit(u32::pow, (2, 8)), Err(SubmitError::Forked)));
                let late = shared_memory().max_workers(1).build().unwrap();
                println!("daemon: {}", late.submit(u32::pow, (2, 8)).unwrap().result().unwrap());
            });
            // SAFETY: ends the process, as a host that becomes a daemon does.
            unsafe { libc::_exit(0) }
        }
    };
    let mut running = host.start();
    assert_eq!(running.told("daemon: "), "256");
    running.assert_success();
}

#[test]
fn a126_a_process_forked_in_a_pools_thread_ends_orderly() {
    crate::alone::run("forks::a126_a_process_forked_in_a_pools_thread_ends_orderly", || {
        let pool = pool(in_process(), 1);
        pool.submit(|| Fork::start(|| {}).assert_success(), ()).unwrap().result().unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        // And on the manager's own.
        pool.submit(u32::pow, (2, 8)).unwrap().add_done_callback(move |_| send.send(Fork::start(|| {})).unwrap());
        receive.recv().unwrap().assert_success();
    });
}

#[test]
fn b09_nobody_outlives_a_killed_parent_whose_descriptors_another_process_holds() {
    match Scene::of("forks::b09_nobody_outlives_a_killed_parent_whose_descriptors_another_process_holds") {
        Scene::Alone => wait_to_be_killed(shared_memory(), || {
            let test = rustix::process::getppid().unwrap();
            // Holds a copy of everything for as long as the test runs; its alarm ends it, should the test be killed.
            let _holder = Fork::start(|| {
                let own = rustix::process::getppid().unwrap();
                until("the parent to be killed", || when(rustix::process::getppid() != Some(own), ()));
                until("the test to have seen it", || {
                    let over = !crate::holdings::is_alive(test.as_raw_nonzero().get() as u32);
                    when(over, ())
                });
            });
        }),
        Scene::Outside(host) => assert_nobody_stays(host),
    }
}
