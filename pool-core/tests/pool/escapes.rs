//! Tasks that leave their worker's process group, for one that a signal to its own does not reach: whatever stops a worker
//! stops those, too, each in its own way.

use std::os::unix::process::CommandExt;
use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_core::{Builder, ExitCause, Future, ProcessPoolExecutor, Shutdown, TaskError};
use rustix::process::{Pid, getpgid, getpid, setpgid};

use crate::backends::{again, pool};
use crate::gate::{Gate, stop_at};
use crate::holdings::is_alive;
use crate::watchdog::{Watched, until, when};

claims! { on_processes:
    b15_a_task_that_left_its_group_is_stopped_at_its_limit,
    b16_a_task_that_left_its_group_is_killed,
    b17_a_task_that_left_its_group_is_ended_with_its_pool,
    b17_a_task_that_left_its_group_is_ended_with_a_pool_that_a_panic_drops,
    a_task_that_left_its_group_and_became_another_program_is_lost_like_any_other,
}

const HOUR: Duration = Duration::from_secs(3600);

/// How long a task is asked to end before it is killed, and by what it ends then.
const GRACES: [(Duration, ExitCause); 2] = [(HOUR, ExitCause::Signal(15)), (Duration::ZERO, ExitCause::Signal(9))];

/// Moves this worker into a group of others. Where a child stays behind in the worker's own group, a signal to that
/// meets somebody.
fn leave(leaves_a_child: bool) -> Option<u32> {
    let child = leaves_a_child.then(start_sleeper);
    join_another_group();
    assert_ne!(getpgid(None).unwrap(), getpid());
    child
}

/// Not the program's, which may be from outside of the pid namespace and then has no number.
#[expect(clippy::disallowed_methods, reason = "stands for what a task may start")]
pub(crate) fn join_another_group() {
    let mut other = Command::new("sleep").arg("1000").stdin(Stdio::null()).process_group(0).spawn().unwrap();
    setpgid(None, Some(Pid::from_child(&other))).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "stands for what a task may start")]
fn start_sleeper() -> u32 {
    let mut command = Command::new("sleep");
    command.arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap().id()
}

fn for_ever() {
    loop {
        std::thread::park();
    }
}

/// Runs a task for ever in a worker that has left its group, and gives that to whoever is to end it. Then nobody may be left.
fn end_outside(
    pool: Watched,
    leaves_a_child: bool,
    limit: Duration,
    end: impl FnOnce(Watched, &Future<()>),
) -> Future<()> {
    // By a task without a limit, which it might not come to within it.
    let child = pool.submit(leave, (leaves_a_child,)).unwrap().result().unwrap();
    let worker = pool.worker_pids()[0];
    let future = pool.task().timeout(limit).submit(for_ever, ()).unwrap();
    until("the task to run", || when(future.running() || future.done(), future.state()));
    end(pool, &future);
    until("the task's end", || when(future.done(), future.state()));
    for pid in child.into_iter().chain([worker]) {
        until("the processes to be gone", || when(!is_alive(pid), pid));
    }
    future
}

fn b15_a_task_that_left_its_group_is_stopped_at_its_limit(builder: Builder) {
    for (leaves_a_child, (grace, cause)) in [false, true].into_iter().flat_map(|leaves| GRACES.map(|end| (leaves, end)))
    {
        let pool = pool(again(&builder).stop_grace(grace), 1);
        let future = end_outside(pool, leaves_a_child, Duration::from_millis(30), |pool, future| {
            until("the limit", || when(future.done(), future.state()));
            assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        });
        let Err(TaskError::TimedOut(late)) = future.result() else { panic!("{future:?}") };
        assert_eq!(late.cause, Some(cause), "{leaves_a_child}");
    }
}

fn b16_a_task_that_left_its_group_is_killed(builder: Builder) {
    for (leaves_a_child, (grace, cause)) in [false, true].into_iter().flat_map(|leaves| GRACES.map(|end| (leaves, end)))
    {
        let pool = pool(again(&builder).stop_grace(grace), 1);
        let future = end_outside(pool, leaves_a_child, HOUR, |pool, future| {
            assert!(future.kill());
            assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        });
        let Err(TaskError::Killed(killed)) = future.result() else { panic!("{future:?}") };
        assert_eq!(killed.cause, Some(cause), "{leaves_a_child}");
    }
}

const ENDS: [End; 3] = [
    End { by: ProcessPoolExecutor::kill_workers, cause: ExitCause::Signal(9) },
    End { by: ProcessPoolExecutor::terminate_workers, cause: ExitCause::Signal(15) },
    End { by: shut_down_at_once, cause: ExitCause::Signal(15) },
];

/// A way to end a pool by force, and what a worker that does not mind it ends by.
struct End {
    by: fn(&ProcessPoolExecutor),
    cause: ExitCause,
}

fn shut_down_at_once(pool: &ProcessPoolExecutor) {
    pool.shutdown_with(Shutdown::new().deadline(Duration::ZERO));
}

fn b17_a_task_that_left_its_group_is_ended_with_its_pool(builder: Builder) {
    for (leaves_a_child, End { by, cause }) in
        [false, true].into_iter().flat_map(|leaves| ENDS.map(|end| (leaves, end)))
    {
        let pool = pool(again(&builder).stop_grace(HOUR), 1);
        let future = end_outside(pool, leaves_a_child, HOUR, |pool, _| {
            by(&pool);
            pool.shutdown();
        });
        let Err(TaskError::ForcedShutdown(forced)) = future.result() else { panic!("{future:?}") };
        assert_eq!(forced.cause, Some(cause), "{leaves_a_child}");
    }
}

fn b17_a_task_that_left_its_group_is_ended_with_a_pool_that_a_panic_drops(builder: Builder) {
    for leaves_a_child in [false, true] {
        let future = end_outside(pool(again(&builder), 1), leaves_a_child, HOUR, |pool, _| {
            let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
                let _pool = pool;
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(panicked.is_err());
        });
        assert!(matches!(future.result(), Err(TaskError::ForcedShutdown(_))), "{future:?}");
    }
}

fn leave_and_become_another_program(gate: String, leaves_a_child: bool) {
    leave(leaves_a_child);
    stop_at(gate, 0);
    let error = Command::new("sleep").arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).exec();
    panic!("sleep is not there: {error}");
}

fn a_task_that_left_its_group_and_became_another_program_is_lost_like_any_other(builder: Builder) {
    let pool = pool(builder, 1);
    for leaves_a_child in [false, true] {
        let gate = Gate::new();
        let future = pool.submit(leave_and_become_another_program, (gate.name(), leaves_a_child)).unwrap();
        let worker = gate.next().pid;
        let Err(TaskError::WorkerDied(died)) = future.result() else { panic!("{future:?}") };
        assert_eq!((died.pid, died.cause), (worker, ExitCause::Signal(9)), "{died}");
        assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        until("the other program to be gone", || when(!is_alive(worker), worker));
    }
}

/// Moves this worker into a group that is neither its own nor its program's, where no terminal stops it.
pub(crate) fn join_a_group_of_others() {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    #[expect(clippy::disallowed_methods, reason = "stands for what a task may start")]
    let other = command.spawn().unwrap();
    setpgid(None, Some(Pid::from_child(&other))).unwrap();
    // It ends when this worker does, the only one with the other end of its pipe.
    std::mem::forget(other);
}
