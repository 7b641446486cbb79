//! How many workers a pool has, and how long each of them lives: the builder's options about that.
//!
//! Keeps true: an option that makes no sense is refused when the pool is made, with its name. Decides nothing about a
//! running pool.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::PoolError;
use crate::executor::{Builder, ProcessPoolExecutor};
use crate::future::Desk;
use crate::manager::{OnWorkerLoss, RestartLimit, Staffing};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StaffOptions {
    max_tasks: Option<usize>,
    max_age: Option<Duration>,
    pub(super) soft_memory: Option<u64>,
    pub(super) memory_limit: Option<u64>,
    min_workers: usize,
    idle_timeout: Option<Duration>,
    spares: usize,
    restarts: Option<RestartLimit>,
    on_worker_loss: OnWorkerLoss,
}

impl StaffOptions {
    /// What it amounts to, with the most tasks that a worker runs.
    ///
    /// # Errors
    /// An option makes no sense.
    pub(super) fn check(self, max_workers: usize) -> Result<(Staffing, Option<u32>), PoolError> {
        let at_least_1 = |name| PoolError::Option { name, allowed: "at least 1" };
        let more_than_0 = |name| PoolError::Option { name, allowed: "more than 0" };
        if self.max_tasks == Some(0) {
            return Err(at_least_1("max_tasks_per_worker"));
        }
        if self.max_age == Some(Duration::ZERO) {
            return Err(more_than_0("max_worker_age"));
        }
        if self.idle_timeout == Some(Duration::ZERO) {
            return Err(more_than_0("idle_timeout"));
        }
        if self.soft_memory == Some(0) {
            return Err(more_than_0("soft_memory_limit"));
        }
        let memory_limit = self.memory_limit.map(|bytes| NonZeroU64::new(bytes).ok_or(more_than_0("memory_limit")));
        let memory_limit = memory_limit.transpose()?;
        if self.min_workers > max_workers {
            return Err(PoolError::Option { name: "min_workers", allowed: "at most max_workers" });
        }
        let max_tasks = self.max_tasks.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        let Self { max_age, soft_memory, min_workers, idle_timeout, spares, on_worker_loss, .. } = self;
        let restarts = self.restarts.unwrap_or(RestartLimit::DEFAULT);
        if restarts.within == Duration::ZERO {
            return Err(more_than_0("the time of restart_limit"));
        }
        Ok((
            Staffing {
                max_age,
                soft_memory,
                memory_limit,
                min_workers,
                idle_timeout,
                spares,
                restarts,
                on_worker_loss,
            },
            max_tasks,
        ))
    }
}

/// What the loss of a worker means.
impl Builder {
    /// What the loss of a worker does to the pool: by default a new one takes its place. A worker that the pool stopped, for a
    /// time limit or a kill, is not lost. A pool that breaks so runs nothing again, whatever a
    /// [`RetryPolicy`](crate::RetryPolicy) says.
    ///
    /// ```
    /// use pool_core::{OnWorkerLoss, ProcessPoolExecutor, SubmitError, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).on_worker_loss(OnWorkerLoss::Break).build()?;
    /// let crash = pool.submit(|| -> u32 { std::process::abort() }, ())?;
    /// let behind = pool.submit(u32::pow, (2, 8))?;
    /// assert!(matches!(crash.result(), Err(TaskError::WorkerDied(_))));
    /// assert!(matches!(behind.result(), Err(TaskError::Broken(_))));
    /// assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_worker_loss(mut self, policy: OnWorkerLoss) -> Self {
        self.staff.on_worker_loss = policy;
        self
    }
}

/// How long workers live.
impl Builder {
    /// A worker that has run this many tasks ends, and a new one takes its place: for tasks that leak. At least 1.
    ///
    /// An item of a map counts as a task. So that workers which were started together do not all end together, each has a
    /// limit of its own, up to an eighth below this one: 1000 stands for 876 to 1000, and below 8 all have the limit itself.
    /// No worker runs more, and one from which tasks are taken for another may run fewer. The new worker starts when the
    /// old one is given the last of its tasks, and the old one ends when the new one is up. The end of a worker in this
    /// manner blames no task.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).max_tasks_per_worker(2).build()?;
    /// let pids: Vec<u32> = pool.map(|_: u8| std::process::id(), 0..4)?.collect::<Result<_, _>>()?;
    /// assert!(pids.iter().all(|pid| pids.iter().filter(|other| *other == pid).count() <= 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_tasks_per_worker(mut self, limit: usize) -> Self {
        self.staff.max_tasks = Some(limit);
        self
    }

    /// A worker that has been up for this long makes room for a new one. More than 0.
    ///
    /// It works on until the new one is up. Then it finishes the task that it runs, however long that takes, and tasks that
    /// wait behind that one go elsewhere. As with [`max_tasks_per_worker`](Self::max_tasks_per_worker), workers have ages
    /// of their own, up to an eighth less than this.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_worker_age(Duration::from_secs(3600)).build()?;
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_worker_age(mut self, limit: Duration) -> Self {
        self.staff.max_age = Some(limit);
        self
    }
}

/// How many workers there are.
impl Builder {
    /// So many workers are started at once, when the pool is made, and are there whatever happens. At most `max_workers`; 0
    /// by default, which means that workers start when they are needed.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(4).min_workers(2).build()?;
    /// // Two workers are on their way, so this need not wait for one to be started.
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn min_workers(mut self, min_workers: usize) -> Self {
        self.staff.min_workers = min_workers;
        self
    }

    /// A worker that has had nothing to do for this long ends, unless there would be less than
    /// [`min_workers`](Self::min_workers). More than 0. By default workers stay until the pool is shut down.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().idle_timeout(Duration::from_secs(60)).build()?;
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.staff.idle_timeout = Some(limit);
        self
    }

    /// Keeps so many further workers ready, initialized, which get no tasks until one of the others is lost or makes room
    /// for a new one. Then one of them takes its place at once, and another one is started to be ready. By default none.
    ///
    /// So a crash costs the pool none of its strength, also where an initializer takes long. There are up to
    /// `max_workers + spares` processes then, and never more than `max_workers` tasks run at a time. The spares are started
    /// after the pool's first worker, and end when idle workers were told to end and none is left.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).spares(1).build()?;
    /// assert!(pool.submit(|| -> () { std::process::abort() }, ())?.result().is_err());
    /// // The other worker is up already, or nearly so.
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spares(mut self, spares: usize) -> Self {
        self.staff.spares = spares;
        self
    }
}

/// When a pool gives up.
impl Builder {
    /// How many workers may be lost within such a time, without one finished task between and without a task to blame, before
    /// the pool starts no more of them: 50 within 10 seconds by default. More than these, and what is pending fails with
    /// [`Broken::Restarts`](crate::Broken::Restarts), which tells all the causes. While another worker is up, the pool goes
    /// on with it instead, and starts more when the time has passed.
    ///
    /// A worker that dies in a task does not count, since that task has an error of its own: a map whose every item crashes
    /// its worker gives as many errors. Nor does what the pool ends itself, for whatever reason. Workers that end side by
    /// side, as by `killall`, count as one. Apart from this limit, three in a row that end by themselves before they even
    /// say hello break a pool that has no other worker.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().restart_limit(5, Duration::from_secs(60)).build()?;
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restart_limit(mut self, losses: usize, within: Duration) -> Self {
        self.staff.restarts = Some(RestartLimit { losses, within });
        self
    }
}

impl ProcessPoolExecutor {
    /// Allows so many workers from now on. More of them start when they are needed. Where there are too many, idle ones end
    /// at once, and others when they have finished the task that they run: none is interrupted, and what waits behind it
    /// goes elsewhere. Below the builder's `min_workers`, that counts as so many, too. A pool that was shut down does not
    /// become smaller any more: it ends with what it has left.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// pool.resize(2)?;
    /// assert_eq!(pool.max_workers(), 2);
    /// assert_eq!(pool.resize(0).unwrap_err().to_string(), "max_workers must be at least 1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `max_workers` is 0, or this process is a fork of the pool's.
    pub fn resize(&self, max_workers: usize) -> Result<(), PoolError> {
        if max_workers == 0 {
            return Err(PoolError::ZeroWorkers);
        }
        if self.pool.is_foreign() {
            return Err(PoolError::Forked);
        }
        self.pool.resize(max_workers);
        Ok(())
    }
}
