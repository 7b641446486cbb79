//! The end of a pool: drained, cancelled, at a deadline, or by force; and what became of its tasks.
//!
//! Keeps true: whoever may be waited for never waits for itself, so that each of these calls may be made from a callback,
//! and by many threads at once. Of several ends that are asked for, the one that comes first counts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::ForcedBy;
use crate::executor::{PANIC_GRACE, ProcessPoolExecutor};
use crate::future::Desk;
use crate::manager::{Demand, Force, Means};

/// Options of [`ProcessPoolExecutor::shutdown_with`].
///
/// ```
/// use std::time::Duration;
/// use pool_core::{ProcessPoolExecutor, Shutdown};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let done = pool.submit(|n: u32| n + 1, (1,))?;
/// let stuck = pool.submit(|| -> u32 { loop { std::hint::spin_loop() } }, ())?;
/// let behind = pool.submit(|n: u32| n + 1, (1,))?;
/// let report = pool.shutdown_with(Shutdown::new().deadline(Duration::from_millis(200)));
/// assert_eq!(done.result()?, 2);
/// assert!(stuck.exception().is_some() && behind.cancelled());
/// assert_eq!((report.stopped, report.cancelled, report.workers_left), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    no_wait: bool,
    cancel_pending: bool,
    deadline: Option<Duration>,
    kill: bool,
}

impl Shutdown {
    /// Runs what was submitted, and waits for it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns at once. The rest happens meanwhile; the end of the program waits for it.
    #[must_use]
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Cancels what has not begun.
    #[must_use]
    pub fn cancel_pending(mut self) -> Self {
        self.cancel_pending = true;
        self
    }

    /// What is not done by then is ended, counted from the call: what waits is cancelled, and what runs is stopped as by a
    /// time limit, with SIGTERM, the pool's [`stop_grace`](crate::Builder::stop_grace), and SIGKILL. Its futures fail with
    /// [`TaskError::ForcedShutdown`](crate::TaskError::ForcedShutdown).
    ///
    /// Workers that are threads cannot be ended: their tasks fail, and they are waited for no longer than two seconds.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Cancels what has not begun, and kills the workers: at the deadline, without a grace, or where there is none at once.
    #[must_use]
    pub fn kill(mut self) -> Self {
        self.kill = true;
        self
    }

    fn force(self) -> Option<Force> {
        let means = if self.kill { Means::Kill } else { Means::Ladder };
        match self.deadline {
            // One beyond the clock never comes.
            Some(limit) => pool_ipc::running_now().checked_add(limit).map(|at| Force {
                by: ForcedBy::Deadline(limit),
                means,
                at: Some(at),
            }),
            None => self.kill.then_some(Force { by: ForcedBy::Kill, means, at: None }),
        }
    }
}

/// What became of a pool that was shut down, as far as it was known when the shutdown returned.
///
/// Tasks are counted from the first shutdown of the pool on, each item of a map by itself. Those that somebody cancelled or
/// that failed without the pool's doing before they could be posted are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Everything has ended: the figures are final, and nothing of the pool is left.
    pub is_over: bool,
    /// Tasks that came to an end by themselves: with a value, a panic, or a value that could not be sent.
    pub finished: usize,
    /// Tasks that had not begun, and will not. One that was given up between two attempts is counted by what the last of them
    /// came to.
    pub cancelled: usize,
    /// Tasks that were stopped while they ran.
    pub stopped: usize,
    /// Tasks that died with their worker, which nobody had asked to end.
    pub lost: usize,
    /// Workers that were ended by a signal of the pool's end.
    pub workers_stopped: usize,
    /// Workers that have not ended.
    pub workers_left: usize,
}

impl ProcessPoolExecutor {
    /// Takes no further tasks, runs those that were submitted, and waits for that.
    ///
    /// From a callback, which runs on the thread that it would wait for, it returns at once, and the rest happens
    /// meanwhile. Many threads may call it; each waits for the end.
    pub fn shutdown(&self) {
        self.shutdown_with(Shutdown::new());
    }

    /// The same, but with a say in what happens to tasks that wait or run, and whether to wait. Tells what became of them.
    ///
    /// A pool that is shut down already may be shut down again, by stronger means.
    pub fn shutdown_with(&self, shutdown: Shutdown) -> ShutdownReport {
        if self.pool.is_foreign() {
            return ShutdownReport::default();
        }
        self.pool.shut();
        if shutdown.cancel_pending {
            self.pool.demand(Demand::CancelPending);
        }
        if let Some(force) = shutdown.force() {
            self.pool.force(force);
        }
        let is_over = self.wait_for_end(shutdown.no_wait);
        self.report(is_over)
    }

    /// Asks all workers to end, by SIGTERM to them and what they started, and shuts the pool down. Nobody waits for that.
    ///
    /// What runs fails with [`TaskError::ForcedShutdown`](crate::TaskError::ForcedShutdown) once its worker has ended, and
    /// what waits fails with it at once. A task that minds SIGTERM (see [`task::cancelled`](crate::task::cancelled)) may
    /// still come to its own end; on a worker that is a thread it has the grace for that, and is given up then. On a pool
    /// without workers, or one that was shut down or is broken, there is nobody to end.
    ///
    /// ```
    /// use pool_core::{ProcessPoolExecutor, SubmitError, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let stuck = pool.submit(|| -> u32 { loop { std::hint::spin_loop() } }, ())?;
    /// pool.terminate_workers();
    /// assert!(matches!(stuck.result(), Err(TaskError::ForcedShutdown(_))));
    /// assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::ShutDown)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate_workers(&self) {
        self.end_workers(ForcedBy::TerminateWorkers, Means::Terminate);
    }

    /// Kills all workers and what they started, by SIGKILL, and shuts the pool down. Nobody waits for that.
    ///
    /// For the futures see [`terminate_workers`](Self::terminate_workers). A task on a worker that is a thread goes on,
    /// while its future fails.
    ///
    /// ```
    /// use pool_core::{ForcedBy, ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let stuck = pool.submit(|| -> u32 { loop { std::hint::spin_loop() } }, ())?;
    /// pool.kill_workers();
    /// assert!(matches!(stuck.result(), Err(TaskError::ForcedShutdown(end)) if end.by == ForcedBy::KillWorkers));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill_workers(&self) {
        self.end_workers(ForcedBy::KillWorkers, Means::Kill);
    }

    fn end_workers(&self, by: ForcedBy, means: Means) {
        if !self.pool.is_foreign() {
            self.pool.shut();
            self.pool.force(Force { by, means, at: None });
        }
    }

    /// Whether the end has come.
    fn wait_for_end(&self, no_wait: bool) -> bool {
        let threads = self.threads.lock().take();
        if no_wait || self.pool.is_current_thread() {
            // Joined by nobody; the exit guard waits for them, should the program end before they do.
            return self.pool.has_ended();
        }
        let is_over = self.pool.wait_unless_it_hangs(PANIC_GRACE);
        if is_over && let Some(threads) = threads {
            threads.join();
        }
        is_over
    }

    fn report(&self, is_over: bool) -> ShutdownReport {
        let account = &self.pool.account;
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        ShutdownReport {
            is_over,
            finished: count(&account.finished),
            cancelled: count(&account.cancelled),
            stopped: count(&account.stopped),
            lost: count(&account.lost),
            workers_stopped: count(&account.stopped_workers),
            workers_left: self.pool.links().len(),
        }
    }

    /// What a drop does in a thread that panics: it must come to an end.
    pub(super) fn end_in_panic(&self) {
        self.shutdown_with(Shutdown::new().no_wait().cancel_pending());
        if !self.pool.is_current_thread() && !self.pool.wait_for_end(Some(PANIC_GRACE)) {
            self.pool.force(Force { by: ForcedBy::Panic, means: Means::Kill, at: None });
        }
    }
}
