//! Running a task again after it failed: for which causes, how often, and after which pause.
//!
//! Keeps true: only an execution that failed by itself counts; what the pool takes back for reasons of its own (a worker
//! that is recycled, another one's death, a resize) is run as if nothing had happened. Failed attempts are counted, and the
//! causes of the first and the last of them kept. Never decides when a task waits: that is the manager's.

mod backoff;

use std::any::type_name;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pool_ipc::{Body, Terms};
use serde::de::DeserializeOwned;

use self::backoff::Backoff;
use crate::error::{Causes, TaskError, TimeLimit, is_death};
use crate::future::value::Encoded;

/// When a failed task is run again. Made for one submit or one map, where it goes for each item by itself.
///
/// A task is run again only where a policy says so: what it did before it failed was done, so it has to be one that can
/// be repeated. It may ask [`task::attempt`](crate::task::attempt).
///
/// ```
/// use std::time::Duration;
/// use pool_core::{ProcessPoolExecutor, RetryPolicy, task};
///
/// fn fragile() -> u32 {
///     if task::attempt() < 2 {
///         std::process::abort();
///     }
///     task::attempt()
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// let policy = RetryPolicy::new(3).backoff(Duration::from_millis(1), Duration::from_millis(10));
/// assert_eq!(pool.task().retry(policy).submit(fragile, ())?.result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "a policy does nothing before it is given to a submit"]
pub struct RetryPolicy {
    attempts: u32,
    worker_died: bool,
    timed_out: bool,
    panicked: bool,
    poison_limit: u32,
    backoff: Backoff,
    unwanted: Option<Unwanted>,
}

/// A predicate on values, and the type that it takes.
#[derive(Clone)]
struct Unwanted {
    type_name: &'static str,
    is: Arc<dyn Fn(&Encoded) -> bool + Send + Sync>,
}

impl RetryPolicy {
    /// At most so many attempts in all, where a worker dies under the task. Not after a time limit, a panic, or a value,
    /// unless that is asked for; never after [`Future::kill`](crate::Future::kill), a cancellation, or a value that cannot be
    /// encoded or decoded. At least 1: what is submitted with 0 is refused by
    /// [`SubmitError::Option`](crate::SubmitError::Option).
    pub fn new(attempts: u32) -> Self {
        let (timed_out, panicked, unwanted) = (false, false, None);
        let (poison_limit, backoff) = (POISON_LIMIT, Backoff::default());
        Self { attempts, worker_died: true, timed_out, panicked, poison_limit, backoff, unwanted }
    }

    /// Whether the task is run again after its worker died. It is by default.
    pub fn on_worker_died(mut self, again: bool) -> Self {
        self.worker_died = again;
        self
    }

    /// Whether the task is run again after it was stopped at its [`timeout`](crate::TaskOptions::timeout). A deadline goes
    /// for all attempts together.
    pub fn on_timeout(mut self, again: bool) -> Self {
        self.timed_out = again;
        self
    }

    /// Whether the task is run again after it panicked.
    pub fn on_panic(mut self, again: bool) -> Self {
        self.panicked = again;
        self
    }

    /// Runs the task again after it returned a value for which this is true: `|result: &Result<Page, Error>| ...`. The value
    /// of the last attempt is the future's.
    ///
    /// It is called on a thread of the pool's, or on one that waits for a result, and has to be quick; it cannot wait for the
    /// pool. One that panics has said no. The value's type has to be what the task returns: another one is an error of the
    /// submit.
    pub fn on_value<R: DeserializeOwned>(mut self, unwanted: impl Fn(&R) -> bool + Send + Sync + 'static) -> Self {
        let is = move |encoded: &Encoded| {
            let value = encoded.decode::<R>("").ok();
            let judge = std::panic::AssertUnwindSafe(|| value.is_some_and(|value| unwanted(&value)));
            std::panic::catch_unwind(judge).unwrap_or_else(|payload| {
                pool_ipc::tell!(Error, "a retry policy's predicate panicked");
                pool_ipc::discard(payload);
                false
            })
        };
        self.unwanted = Some(Unwanted { type_name: type_name::<R>(), is: Arc::new(is) });
        self
    }

    /// How long to wait before the second attempt, and at most; the pause doubles with each further one, and half of it is
    /// random. By default 10 ms and one second. The equal jitter of Marc Brooker's "Exponential Backoff And Jitter".
    ///
    /// A pool that is shut down, also at the program's end, waits for what is due, unless it is to cancel what is pending.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = Backoff::new(first, most);
        self
    }

    /// How many workers a task may cost, whatever its other attempts came to: 3 by default, at least 1. One that has killed so
    /// many is not given another one.
    pub fn poison_limit(mut self, workers: u32) -> Self {
        self.poison_limit = workers;
        self
    }

    /// What makes no sense about it for values of type `R`, if anything does: the option's name and what is allowed.
    pub(crate) fn nonsense<R>(&self) -> Option<(&'static str, &'static str)> {
        if self.attempts == 0 {
            return Some(("the attempts of a RetryPolicy", "at least 1"));
        }
        if self.poison_limit == 0 {
            return Some(("poison_limit", "at least 1"));
        }
        let another = self.unwanted.as_ref().is_some_and(|unwanted| unwanted.type_name != type_name::<R>());
        another.then_some(("on_value", "of the type that the task returns"))
    }

    /// Whether an outcome is one to be tried again, if there is an attempt left.
    fn minds(&self, outcome: &Result<Encoded, TaskError>) -> bool {
        match outcome {
            Ok(encoded) => self.unwanted.as_ref().is_some_and(|unwanted| (unwanted.is)(encoded)),
            Err(TaskError::WorkerDied(_)) => self.worker_died,
            Err(TaskError::TimedOut(late)) => self.timed_out && late.kind == TimeLimit::Timeout,
            Err(TaskError::Panicked(_)) => self.panicked,
            Err(_) => false,
        }
    }
}

/// How many workers a task may cost, unless its policy says otherwise.
const POISON_LIMIT: u32 = 3;

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("attempts", &self.attempts)
            .field("on_worker_died", &self.worker_died)
            .field("on_timeout", &self.timed_out)
            .field("on_panic", &self.panicked)
            .field("on_value", &self.unwanted.as_ref().map(|unwanted| unwanted.type_name))
            .field("poison_limit", &self.poison_limit)
            .field("backoff", &self.backoff)
            .finish()
    }
}

/// A policy at work: what the items of one frame have come to so far.
pub(crate) struct Retry {
    policy: RetryPolicy,
    payload: Body,
    terms: Terms,
    /// Tells the pauses of one task from those of another.
    seed: u64,
    /// The attempts that failed, by item.
    failed: Mutex<HashMap<u32, Causes>>,
}

/// What is to become of an outcome.
pub(crate) enum Judged {
    /// It is the future's.
    Final(Result<Encoded, TaskError>),
    /// The item is to be run again on these terms, after a pause.
    Again { payload: Body, terms: Arc<Terms>, pause: Duration },
}

impl Retry {
    /// `payload` is one that may be shared.
    pub(crate) fn new(policy: RetryPolicy, payload: Body, terms: Option<&Terms>) -> Box<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let seed = COUNT.fetch_add(1, Ordering::Relaxed);
        Box::new(Self { policy, payload, terms: terms.copied().unwrap_or_default(), seed, failed: Mutex::default() })
    }

    /// The same with pauses that follow from this seed, whatever was submitted before.
    #[cfg(feature = "simulation")]
    pub(crate) fn seeded(mut self: Box<Self>, seed: u64) -> Box<Self> {
        self.seed = seed;
        self
    }

    /// Judges the outcome of an execution.
    pub(crate) fn judge(&self, task: &str, item: u32, outcome: Result<Encoded, TaskError>) -> Judged {
        let minded = self.policy.minds(&outcome);
        let mut failed = self.failed.lock();
        let causes = failed.entry(item).or_default();
        let attempt = causes.attempts();
        let deaths = causes.deaths() + u32::from(outcome.as_ref().err().is_some_and(is_death));
        let poisons = deaths >= self.policy.poison_limit;
        if !minded || poisons || attempt.saturating_add(1) >= self.policy.attempts {
            drop(failed);
            return Judged::Final(self.conclude(task, item, outcome));
        }
        // An unwanted value has no cause but itself.
        causes.add(outcome.err().unwrap_or_else(|| TaskError::Unwanted(task.to_owned())));
        drop(failed);
        let pause = self.policy.backoff.pause(attempt, self.seed ^ u64::from(item) << 32);
        let terms = Terms { attempt: attempt + 1, ..self.terms };
        Judged::Again { payload: self.payload.clone(), terms: Arc::new(terms), pause }
    }

    /// The outcome of an item's last attempt, with the causes of those before.
    pub(crate) fn conclude(
        &self,
        task: &str,
        item: u32,
        outcome: Result<Encoded, TaskError>,
    ) -> Result<Encoded, TaskError> {
        let causes = self.failed.lock().remove(&item).unwrap_or_default();
        outcome.map_err(|last| causes.conclude(task, last))
    }
}

impl Retry {
    /// The last error of an item that is not judged: it is not run again, whatever its policy says. It has the causes of the
    /// attempts before with it, also where it came between two of them; that the pool is broken is said as it is.
    pub(crate) fn last_error(&self, task: &str, item: u32, error: TaskError) -> TaskError {
        match error {
            TaskError::Broken(_) => error,
            _ => {
                let causes = self.failed.lock().remove(&item).unwrap_or_default();
                causes.conclude(task, error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
