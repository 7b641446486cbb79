//! The children of this process that run, and what becomes of them at its end.
//!
//! Keeps true: a child that was started is in the list until it was reaped, so it is reaped although its `Process` was
//! dropped. Never: waits in a worker (a task that calls `exit` is gone at once, and its children with it) or in a fork of
//! the process that started them.

use std::panic::catch_unwind;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::handle::Process;
use crate::worker;

/// The children of this process that run, in the order of their start. Those that have ended are reaped on the way, so
/// that a program which calls this, or starts processes, now and then has no zombies.
///
/// ```
/// use pool_core::{Process, active_children};
///
/// let child = Process::new(|| std::thread::sleep(std::time::Duration::from_secs(60)), ());
/// child.start()?;
/// assert!(active_children().contains(&child));
/// child.kill()?;
/// child.join()?;
/// assert!(!active_children().contains(&child));
/// # Ok::<(), pool_core::ProcessError>(())
/// ```
pub fn active_children() -> Vec<Process> {
    let own: Vec<Process> = CHILDREN.lock().iter().filter(|child| child.is_own()).cloned().collect();
    own.into_iter().filter(Process::is_alive).collect()
}

/// Notes a child that was started.
pub(super) fn add(child: Process) {
    static GUARD: Once = Once::new();
    GUARD.call_once(|| pool_ipc::at_exit(end_children));
    STARTER.store(std::process::id(), Ordering::Relaxed);
    CHILDREN.lock().push(child);
}

/// Takes a child off the list that was reaped.
pub(super) fn forget(child: &Process) {
    let mut children = CHILDREN.lock();
    let place = children.iter().position(|other| other == child);
    let forgotten = place.map(|place| children.remove(place));
    drop(children);
    drop(forgotten);
}

/// Needs no bound: each entry is a process, which the system has a limit for.
static CHILDREN: Mutex<Vec<Process>> = Mutex::new(Vec::new());

/// The process whose children they are. A fork of that must not even look at the list: its lock may be held there for ever,
/// by a thread that exists in the other process only.
static STARTER: AtomicU32 = AtomicU32::new(0);

/// How long daemons may take to follow SIGTERM. Python waits for them without end.
const DAEMON_GRACE: Duration = Duration::from_secs(2);

/// The end of the process: daemons are told to end, then the others are waited for, and then the daemons for a while.
///
/// 1. Those that outlive their parent are left alone.
/// 2. A daemon that does not follow SIGTERM in time is killed.
extern "C" fn end_children() {
    // Nothing of this may unwind into the C library.
    let _ = catch_unwind(|| {
        if STARTER.load(Ordering::Relaxed) != std::process::id() || worker::identity().is_some() {
            return;
        }
        let ours = active_children().into_iter().filter(|child| !child.outlives_parent());
        let (daemons, others): (Vec<Process>, Vec<Process>) = ours.partition(Process::daemon);
        for daemon in &daemons {
            let _ended_by_itself = daemon.terminate();
        }
        for child in &others {
            let _closed_by_a_thread = child.join();
        }
        let deadline = Instant::now() + DAEMON_GRACE;
        for daemon in &daemons {
            end_daemon(daemon, deadline);
        }
    });
}

fn end_daemon(daemon: &Process, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if !matches!(daemon.join_timeout(left), Ok(true)) {
        let _ended_by_itself = daemon.kill();
        let _closed_by_a_thread = daemon.join();
    }
}
