//! Options come before the verb: `pool.task().name("x").submit(f, args)`, `pool.batch().chunksize(3).map(f, inputs)`.

use std::sync::Arc;
use std::time::Duration;

use crate::error::SubmitError;
use crate::executor::map::{Inputs, Map, Plan};
use crate::executor::{map, submit};
use crate::future::{Future, RetryPolicy};
use crate::manager::Pool;
use crate::manager::TimeLimits;
use crate::task::{Arguments, Task};

/// Options of one submit. Made by [`ProcessPoolExecutor::task`](crate::ProcessPoolExecutor::task).
#[derive(Clone, Debug)]
#[must_use = "options do nothing before submit()"]
pub struct TaskOptions<'p> {
    pool: &'p Arc<Pool>,
    name: Option<&'static str>,
    limits: TimeLimits,
    retry: Option<RetryPolicy>,
}

impl<'p> TaskOptions<'p> {
    pub(super) fn new(pool: &'p Arc<Pool>) -> Self {
        Self { pool, name: None, limits: TimeLimits::default(), retry: None }
    }

    /// What errors call the task. By default its function's path.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// How long the task may run, counted from when a worker begins it; the pool's limit else, if that has one. A task that is
    /// over it is stopped, and its future is [`TaskError::TimedOut`](crate::TaskError::TimedOut).
    ///
    /// Its worker is asked to end by SIGTERM, which a task may mind ([`task::cancelled`](crate::task::cancelled)), and killed
    /// after the pool's grace, with all that stayed in its process group. A task that ends by itself meanwhile has its
    /// result. The limit is precise to about a millisecond, and more on a busy machine. More than 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pool_core::{ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let endless = pool.task().timeout(Duration::from_millis(20)).submit(|| loop { std::hint::spin_loop() }, ())?;
    /// let result: Result<(), TaskError> = endless.result();
    /// assert!(matches!(result, Err(TaskError::TimedOut(late)) if late.limit == Duration::from_millis(20)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits.timeout = Some(limit);
        self
    }

    /// How long after its submit the task is to be done, also while it waits for a worker. One that has not begun by then is
    /// not run; one that runs is stopped as at a [`timeout`](Self::timeout). Both are
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut). More than 0.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.limits.deadline = Some(limit);
        self
    }

    /// When the task is run again after it failed. By default it is not.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Submits, as [`ProcessPoolExecutor::submit`](crate::ProcessPoolExecutor::submit) does.
    ///
    /// # Errors
    /// As there; and [`SubmitError::Option`] if the timeout or the deadline is 0, or the retry policy makes no sense.
    pub fn submit<F, Args>(self, task: F, args: Args) -> Result<Future<F::Output>, SubmitError>
    where
        F: Task<Args>,
        Args: Arguments,
    {
        submit::submit(self.pool, self.name.unwrap_or(std::any::type_name::<F>()), self.limits, self.retry, task, &args)
    }
}

/// Options of one map. Made by [`ProcessPoolExecutor::batch`](crate::ProcessPoolExecutor::batch).
///
/// ```
/// use pool_core::ProcessPoolExecutor;
///
/// let pool = ProcessPoolExecutor::new(2)?;
/// // Endless input, of which at most eight items are under way.
/// let squares = pool.batch().buffersize(8).map(|n: u64| n * n, 0..)?;
/// let first: Result<Vec<u64>, _> = squares.take(3).collect();
/// assert_eq!(first?, [0, 1, 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing before map()"]
pub struct BatchOptions<'p> {
    plan: Plan<'p>,
}

impl<'p> BatchOptions<'p> {
    pub(super) fn new(pool: &'p Arc<Pool>) -> Self {
        let max_workers = pool.max_workers();
        let limits = TimeLimits::default();
        let plan = Plan {
            pool,
            max_workers,
            name: None,
            chunksize: None,
            buffersize: None,
            result_timeout: None,
            limits,
            retry: None,
        };
        Self { plan }
    }

    /// What errors call the task. By default its function's path.
    pub fn name(mut self, name: &'static str) -> Self {
        self.plan.name = Some(name);
        self
    }

    /// How many items travel together, at least 1; more than 32767 are that many. By default the pool chooses, such that
    /// no worker that is allowed goes without.
    pub fn chunksize(mut self, items: usize) -> Self {
        self.plan.chunksize = Some(items);
        self
    }

    /// How many items are taken from the input ahead of what was read from the results, at least 1. By default all of them,
    /// during the call of `map`. If the pool is shut down or breaks meanwhile, no more are taken: the results end
    /// with that error.
    pub fn buffersize(mut self, items: usize) -> Self {
        self.plan.buffersize = Some(items);
        self
    }

    /// How long each item may run, as [`TaskOptions::timeout`]. The items around one that is stopped are not concerned. More
    /// than 0.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.plan.limits.timeout = Some(limit);
        self
    }

    /// When an item is run again after it failed, each by itself. By default none is.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.plan.retry = Some(policy);
        self
    }

    /// When all items are to be done, counted from the call of `map`, as [`TaskOptions::deadline`]; for items that are taken
    /// later from a lazy input, from when they are taken. More than 0.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.plan.limits.deadline = Some(limit);
        self
    }

    /// How long results may be waited for, counted from the call of `map`. An item that is not there by then is
    /// [`TaskError::WaitTimedOut`](crate::TaskError::WaitTimedOut), the last item of the iterator; what has not begun is
    /// cancelled.
    pub fn result_timeout(mut self, limit: Duration) -> Self {
        self.plan.result_timeout = Some(limit);
        self
    }

    /// Maps, as [`ProcessPoolExecutor::map`](crate::ProcessPoolExecutor::map) does.
    ///
    /// # Errors
    /// As there; and [`SubmitError::Option`] if `chunksize`, `buffersize`, the timeout or the deadline is 0, or the retry
    /// policy makes no sense.
    pub fn map<'i, F, I, M>(self, task: F, inputs: I) -> Result<Map<'i, F::Output>, SubmitError>
    where
        I: Inputs<M>,
        I::Iter: 'i,
        I::Args: Arguments,
        F: Task<I::Args>,
    {
        map::map(&self.plan, task, inputs)
    }
}
