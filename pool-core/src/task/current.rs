//! What a task can ask about itself while it runs.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use pool_ipc::Assignment;

static OF_PROCESS: OnceLock<Arc<dyn Assignment>> = OnceLock::new();

thread_local! {
    static OF_THREAD: RefCell<Option<Arc<dyn Assignment>>> = const { RefCell::new(None) };
}

/// Makes this process a worker of this assignment.
pub(crate) fn assign_process(assignment: Arc<dyn Assignment>) {
    // Set once: a process becomes a worker once.
    let _ = OF_PROCESS.set(assignment);
}

/// Makes this thread a worker of this assignment.
pub(crate) fn assign_thread(assignment: Arc<dyn Assignment>) {
    OF_THREAD.set(Some(assignment));
}

/// Whether the task that runs here is to stop: it is past its time limit, or was killed. A task that minds this is given the
/// pool's grace to come to an end of its own, and its result is delivered then; one that never asks is ended at once.
///
/// Ask in a loop that can end early, and from the beginning of what may take long: the grace is given from the first
/// question on. Also threads that the task started may ask, where the worker is a process. False outside of a worker.
///
/// ```
/// use std::time::Duration;
/// use pool_core::{ProcessPoolExecutor, task};
///
/// fn count() -> u64 {
///     (0..).take_while(|_| !task::cancelled()).count() as u64
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let counted = pool.task().timeout(Duration::from_millis(50)).submit(count, ())?.result()?;
/// assert!(counted > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn cancelled() -> bool {
    let asked = own().is_some_and(|assignment| assignment.is_cancelled());
    // Also says that the signal is minded, whatever the answer is.
    (OF_PROCESS.get().is_some() && pool_ipc::heed_soft_stop()) || asked
}

/// When the task that runs here will be stopped, if it has a time limit or a deadline. None outside of a worker.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pool_core::{ProcessPoolExecutor, task};
///
/// fn seconds_left() -> u64 {
///     let left = task::deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
///     left.map_or(0, |left| left.as_secs())
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// assert!(pool.task().timeout(Duration::from_secs(3600)).submit(seconds_left, ())?.result()? > 3000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn deadline() -> Option<Instant> {
    own()?.stops_at()
}

/// Which attempt of the task this is, from 0: more where a retry policy has it run again. 0 outside of a worker.
pub fn attempt() -> u32 {
    own().map_or(0, |assignment| assignment.attempt())
}

/// The assignment of this thread's worker: its own, where it is one, or its process's.
fn own() -> Option<Arc<dyn Assignment>> {
    let of_thread = OF_THREAD.try_with(|own| own.borrow().clone()).ok().flatten();
    of_thread.or_else(|| OF_PROCESS.get().cloned())
}
