//! The executor: what callers hold of a pool.
//!
//! It encodes what it is given and hands it over; everything else is the manager's. Dropping it runs what was submitted and
//! waits for that, unless the thread is panicking: then a test that fails must not hang.

mod builder;
mod exit_guard;
mod map;
mod memory;
mod options;
mod shutdown;
mod staff;
mod submit;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

pub use self::builder::Builder;
pub use self::map::{Inputs, Map};
pub use self::options::{BatchOptions, TaskOptions};
pub use self::shutdown::{Shutdown, ShutdownReport};
use crate::error::{PoolError, SubmitError};
use crate::future::{Desk, Future};
pub use crate::manager::OnWorkerLoss;
use crate::manager::{Pool, Threads};
use crate::task::{Arguments, Task};

/// How long running tasks may go on when a pool is dropped by a thread that panics, and the program waits for what cannot
/// be killed.
const PANIC_GRACE: Duration = Duration::from_secs(2);

/// A pool of worker processes.
///
/// A task is any function; its arguments are a tuple. `submit` gives a [`Future`] at once, and a worker process runs the
/// task. A task that crashes, exits or is killed fails its own future with the reason and nothing else: the pool goes on
/// with a new worker.
///
/// Workers start when they are needed, up to `max_workers`. Dropping the pool runs what was submitted and waits for that; a
/// drop in a thread that panics cancels what has not begun, gives the rest two seconds, and then kills the workers. At the
/// end of the program all pools that are left are shut down in the same way as by [`shutdown`](Self::shutdown).
///
/// ```
/// use pool_core::ProcessPoolExecutor;
///
/// fn add(a: u32, b: u32) -> u32 {
///     a + b
/// }
///
/// let pool = ProcessPoolExecutor::new(2)?;
/// let future = pool.submit(add, (1, 2))?;
/// assert_eq!(future.result()?, 3);
/// let squares: Result<Vec<u64>, _> = pool.map(|n: u64| n * n, 0..5)?.collect();
/// assert_eq!(squares?, [0, 1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Limits
/// There is no limit to how many tasks may wait. Arguments and results may be as large as memory allows; those of more than
/// 256 KiB have shared memory of their own.
pub struct ProcessPoolExecutor {
    pool: Arc<Pool>,
    /// Taken by whoever joins them.
    threads: Mutex<Option<Threads>>,
}

impl ProcessPoolExecutor {
    /// A pool of at most `max_workers` worker processes. None is started yet.
    ///
    /// # Errors
    /// `max_workers` is 0, or the system refused a thread or a descriptor.
    pub fn new(max_workers: usize) -> Result<Self, PoolError> {
        Self::builder().max_workers(max_workers).build()
    }

    /// Sets more than the number of workers.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs `task(args...)` in a worker.
    ///
    /// # Errors
    /// The pool was shut down or is broken, or the arguments cannot be encoded or do not fit into memory. Nothing was
    /// queued then.
    pub fn submit<F, Args>(&self, task: F, args: Args) -> Result<Future<F::Output>, SubmitError>
    where
        F: Task<Args>,
        Args: Arguments,
    {
        self.task().submit(task, args)
    }

    /// Runs `task` on each of the inputs, in chunks, and gives the results in order. For several inputs, pass a tuple of
    /// iterables: `map(f, (a, b))` calls `f(x, y)` and ends with the shortest.
    ///
    /// All inputs are taken and submitted during the call. An item that fails is an error at its position, and iteration
    /// goes on. Dropping the iterator before its first item leaves the tasks alone; later, it cancels those that have not
    /// begun.
    ///
    /// # Errors
    /// The pool was shut down or is broken.
    pub fn map<'i, F, I, M>(&self, task: F, inputs: I) -> Result<Map<'i, F::Output>, SubmitError>
    where
        I: Inputs<M>,
        I::Iter: 'i,
        I::Args: Arguments,
        F: Task<I::Args>,
    {
        self.batch().map(task, inputs)
    }

    /// Options for one submit: `pool.task().name("thumbnail").submit(f, args)`.
    pub fn task(&self) -> TaskOptions<'_> {
        TaskOptions::new(&self.pool)
    }

    /// Options for one map: `pool.batch().chunksize(3).map(f, inputs)`.
    pub fn batch(&self) -> BatchOptions<'_> {
        BatchOptions::new(&self.pool)
    }

    /// A handle that can submit and does not keep the pool alive: for callbacks.
    pub fn handle(&self) -> Handle {
        Handle { pool: Arc::downgrade(&self.pool) }
    }

    /// The most workers that there will be at a time.
    pub fn max_workers(&self) -> usize {
        self.pool.max_workers()
    }

    /// The pids of the workers that are alive, in no order. Where workers are threads it is this process's, once each.
    /// In a fork of the pool's process it has none.
    pub fn worker_pids(&self) -> Vec<u32> {
        if self.pool.is_foreign() {
            return Vec::new();
        }
        // Who has ended is told by a turn.
        self.pool.attend();
        self.pool.links().iter().map(|link| link.pid()).collect()
    }
}

impl Drop for ProcessPoolExecutor {
    fn drop(&mut self) {
        if self.pool.is_foreign() {
            // This process is a fork of the pool's: its threads are not here, and its workers are not ours.
            std::mem::forget(self.threads.lock().take());
            return;
        }
        if self.threads.lock().is_none() {
            return;
        }
        if std::thread::panicking() {
            self.end_in_panic();
            return;
        }
        self.shutdown();
    }
}

impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolExecutor")
            .field("max_workers", &self.max_workers())
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// Submits to a pool without keeping it alive. Cheap to clone.
///
/// ```
/// use pool_core::ProcessPoolExecutor;
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let handle = pool.handle();
/// pool.submit(|n: u32| n + 1, (1,))?.add_done_callback(move |first| {
///     let next = first.result().expect("it does not fail");
///     let _ = handle.submit(|n: u32| println!("{n}"), (next,));
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle {
    pool: Weak<Pool>,
}

impl Handle {
    /// As [`ProcessPoolExecutor::submit`].
    ///
    /// # Errors
    /// As there; and [`SubmitError::Gone`] when the pool is no more.
    pub fn submit<F, Args>(&self, task: F, args: Args) -> Result<Future<F::Output>, SubmitError>
    where
        F: Task<Args>,
        Args: Arguments,
    {
        let pool = self.pool.upgrade().ok_or(SubmitError::Gone)?;
        TaskOptions::new(&pool).submit(task, args)
    }

    /// As [`ProcessPoolExecutor::map`].
    ///
    /// # Errors
    /// As there; and [`SubmitError::Gone`] when the pool is no more.
    pub fn map<'i, F, I, M>(&self, task: F, inputs: I) -> Result<Map<'i, F::Output>, SubmitError>
    where
        I: Inputs<M>,
        I::Iter: 'i,
        I::Args: Arguments,
        F: Task<I::Args>,
    {
        let pool = self.pool.upgrade().ok_or(SubmitError::Gone)?;
        BatchOptions::new(&pool).map(task, inputs)
    }
}

#[cfg(test)]
mod tests;
