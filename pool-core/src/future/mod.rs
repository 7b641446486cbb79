//! Futures: what a task will have come to.
//!
//! Keeps true: a future is Clone, Send, Sync, Unpin and unwind-safe for every `T`, since it holds bytes and never a `T`;
//! each look at the result decodes it afresh, in the caller's thread. Never knows how a task runs: the pool brings the
//! outcome through `state::Shared`, anybody else through a [`Completer`].
//!
//! Read in this order: `snapshot` (the states), `desk` (where callbacks run), `value` (the bytes), `watch` and
//! `listeners` (who hears of the end), `retry` (what is run again), `pack` (what travels together), `state` (the steps),
//! `listening` (taking listeners on and calling them), this file, `completer`, `wait`, `as_completed`.

mod as_completed;
mod completer;
mod desk;
#[cfg(all(test, not(loom)))]
pub(crate) mod fake_link;
mod listeners;
mod listening;
mod origin;
mod pack;
mod place;
mod retry;
mod snapshot;
mod state;
mod value;
mod wait;
mod watch;

use std::any::type_name;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::error::{TaskError, WaitTimedOut};
use listeners::WakerKey;
use listening::Listening;
use state::NoOutcome;
use value::Conclusion;

pub use as_completed::{AsCompleted, as_completed};
pub use completer::Completer;
pub use retry::RetryPolicy;
pub use snapshot::{FutureState, InvalidState};
pub use wait::{ReturnWhen, WaitError, Waited, wait};

pub(crate) use desk::{Callback, Desk, panic_text, run_callback};
pub(crate) use listening::Sleepers;
pub(crate) use origin::Origin;
pub(crate) use pack::{Filling, Pack, Sending, addressed, addressee, last_rank, unpacked, unpacked_first};
pub(crate) use retry::{Judged, Retry};
pub(crate) use state::{Posting, Recall, Shared};
pub(crate) use value::{Encoded, decode_number, decode_value};

/// The result of a task that may still have to run.
///
/// Futures are handles: a clone is the same future, and equal to it, so that a future can be the key of a map (clippy's
/// `mutable_key_type` does not know that the hash is the identity, and never changes). Dropping all of them lets the task
/// run on unobserved. A future can be waited for, asked, given callbacks, and awaited under any async runtime.
///
/// ```
/// use pool_core::{Completer, Future};
///
/// let (completer, future): (Completer<u32>, Future<u32>) = Completer::new("answer");
/// assert!(!future.done());
/// completer.set_result(&42)?;
/// assert_eq!(future.result()?, 42);
/// assert_eq!(format!("{future:?}"), r#"Future { task: "answer", state: finished returned u32 }"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Future<T> {
    shared: Arc<Shared>,
    /// Under which key this handle's waker is registered. A clone has none.
    waker: Option<WakerKey>,
    /// A future gives values of `T` and holds none.
    value: PhantomData<fn() -> T>,
}

impl<T> Future<T> {
    /// Whether there is a result, an error among them, or the task was cancelled.
    pub fn done(&self) -> bool {
        let is_done = self.shared.is_done();
        if !is_done {
            self.shared.attend();
        }
        is_done
    }

    /// Whether the task is being run at this very moment.
    pub fn running(&self) -> bool {
        self.state() == FutureState::Running
    }

    /// Whether the task was cancelled before it began, or between two attempts of its
    /// [`RetryPolicy`](crate::RetryPolicy).
    pub fn cancelled(&self) -> bool {
        self.shared.is_cancelled()
    }

    /// All of the above, at one moment.
    pub fn state(&self) -> FutureState {
        self.shared.snapshot()
    }

    /// The name of the task.
    pub fn task_name(&self) -> &'static str {
        self.shared.task()
    }

    /// Cancels the task unless it has begun. True if it is cancelled, by this call or an earlier one; a cancelled future
    /// is done at once, and its callbacks run. Its error is [`TaskError::Cancelled`]; between two attempts of a
    /// [`RetryPolicy`](crate::RetryPolicy) it is [`TaskError::Exhausted`], with what the attempts came to and that at last.
    ///
    /// ```
    /// use pool_core::{Completer, TaskError};
    ///
    /// let (completer, future) = Completer::<u32>::new("answer");
    /// assert!(future.cancel());
    /// assert!(future.done());
    /// assert!(matches!(future.result(), Err(TaskError::Cancelled)));
    /// assert!(!completer.set_running_or_notify_cancel());
    /// ```
    pub fn cancel(&self) -> bool {
        self.shared.cancel()
    }

    /// Cancels the task if it has not begun, and has it stopped if it runs: its worker is asked to end, and after a grace
    /// ended, with all that it started and that stayed in its process group; a new worker takes its place. Returns at once,
    /// and true if the task was cancelled or is going to be stopped.
    ///
    /// A task that was stopped is [`TaskError::Killed`]. One that ended by itself before the worker did has its result: a
    /// task can mind [`task::cancelled`](crate::task::cancelled). Where workers are threads nothing can be ended: the
    /// future is completed after the grace, and the thread is left to itself.
    ///
    /// ```
    /// use pool_core::{ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::new(1)?;
    /// let stuck = pool.submit(|| loop { std::thread::park() }, ())?;
    /// while !stuck.running() {
    ///     std::thread::yield_now();
    /// }
    /// assert!(stuck.kill());
    /// let result: Result<(), TaskError> = stuck.result();
    /// assert!(matches!(result, Err(TaskError::Killed(_))));
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill(&self) -> bool {
        self.shared.kill()
    }

    /// Waits for the end and gives the error that stands in place of a value, a cancellation among them. The value is not
    /// decoded, so that one which cannot be decoded counts as a value here.
    ///
    /// On the thread that runs the pool's callbacks a future that is not done gives [`TaskError::WouldDeadlock`].
    pub fn exception(&self) -> Option<TaskError> {
        self.exception_by(None, Duration::MAX)
    }

    /// As [`exception`](Self::exception), or [`TaskError::WaitTimedOut`] when the limit has passed. A limit of zero does
    /// not wait, and is allowed in a callback.
    pub fn exception_timeout(&self, limit: Duration) -> Option<TaskError> {
        self.exception_by(deadline(limit), limit)
    }

    /// Has a function called with this future when it is done, or soon if it is done already.
    ///
    /// The callbacks of a pool's futures run on that pool's manager thread, one at a time and each future's in the order
    /// in which they were added; once the pool is gone, in the thread that adds or cancels. Those of a [`Completer`]'s
    /// future run in the thread that completes, cancels or adds. A callback that panics is logged, and changes nothing.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use pool_core::Completer;
    ///
    /// let (completer, future) = Completer::<u32>::new("answer");
    /// let (sender, receiver) = mpsc::channel();
    /// future.add_done_callback(move |future| sender.send(future.result().unwrap()).unwrap());
    /// completer.set_result(&42)?;
    /// assert_eq!(receiver.recv()?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_done_callback(&self, callback: impl FnOnce(&Future<T>) + Send + 'static)
    where
        T: 'static,
    {
        let future = self.clone();
        // The future holds the callback and the callback the future, until the end that every future comes to.
        let callback: Callback = Box::new(move || callback(&future));
        match self.shared.add_callback(callback) {
            Listening::Listening => {}
            Listening::Done(callback) => self.shared.hand_over(vec![callback]),
        }
    }

    /// The first handle of this future.
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self { shared, waker: None, value: PhantomData }
    }

    /// What the pool knows this future by.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn exception_by(&self, deadline: Option<Instant>, limit: Duration) -> Option<TaskError> {
        match self.shared.wait(deadline) {
            Ok(outcome) => outcome.error().cloned(),
            Err(why) => Some(why.into_error(limit)),
        }
    }
}

impl<T: DeserializeOwned> Future<T> {
    /// Waits for the end and gives the result, decoded afresh by each call.
    ///
    /// # Errors
    /// Whatever became of the task instead; [`TaskError::Decode`] where the bytes are no `T`; and
    /// [`TaskError::WouldDeadlock`] on the thread that runs the pool's callbacks if the future is not done.
    pub fn result(&self) -> Result<T, TaskError> {
        self.result_by(None, Duration::MAX)
    }

    /// As [`result`](Self::result), for at most this long. A limit of zero does not wait, and is allowed in a callback.
    ///
    /// # Errors
    /// Also [`TaskError::WaitTimedOut`] when the limit has passed; the task goes on.
    pub fn result_timeout(&self, limit: Duration) -> Result<T, TaskError> {
        self.result_by(deadline(limit), limit)
    }

    /// Waits for the end and gives the result, used up, if this is the last handle of the future. A callback that has yet
    /// to run holds a handle, too.
    ///
    /// ```
    /// use pool_core::Completer;
    ///
    /// let (completer, future) = Completer::<String>::new("name");
    /// completer.set_result(&"pool".to_owned())?;
    /// let clone = future.clone();
    /// let future = future.into_result().expect_err("there is a clone");
    /// drop(clone);
    /// assert_eq!(future.into_result().expect("there is none")?, "pool");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future, while other handles of it exist or where waiting for it would wait for ever; in it, as
    /// [`result`](Self::result).
    pub fn into_result(self) -> Result<Result<T, TaskError>, Self> {
        if self.shared.wait(None).is_err() || !self.shared.has_one_handle() {
            return Err(self);
        }
        Ok(self.result())
    }

    /// As [`result_timeout`](Self::result_timeout), for callers that have a deadline of their own.
    pub(crate) fn result_by(&self, deadline: Option<Instant>, limit: Duration) -> Result<T, TaskError> {
        self.shared.wait(deadline).map_err(|why| why.into_error(limit))?.decode(self.task_name())
    }
}

impl NoOutcome {
    fn into_error(self, limit: Duration) -> TaskError {
        match self {
            Self::TooLate => TaskError::WaitTimedOut(WaitTimedOut::new(limit)),
            Self::WouldDeadlock => TaskError::WouldDeadlock,
            Self::Forked => TaskError::Forked,
        }
    }
}

/// When a wait of this length ends; never, if that is beyond what the clock can tell.
fn deadline(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// Whether there is a deadline, and it has passed.
fn is_past(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

impl<T: DeserializeOwned> std::future::Future for Future<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !this.shared.is_done()
            && let Listening::Listening = this.shared.set_waker(&mut this.waker, context.waker())
        {
            return Poll::Pending;
        }
        match this.shared.outcome() {
            Some(outcome) => Poll::Ready(outcome.decode(this.task_name())),
            None => Poll::Pending,
        }
    }
}

impl<T: DeserializeOwned> IntoFuture for &Future<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Future<T>;

    fn into_future(self) -> Future<T> {
        self.clone()
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        self.shared.add_handle();
        Self::of(Arc::clone(&self.shared))
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        if let Some(key) = self.waker {
            self.shared.remove_waker(key);
        }
        self.shared.remove_handle();
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.shared.outcome();
        let state = match (self.state(), outcome.as_ref().and_then(Conclusion::error)) {
            (FutureState::Returned, _) => format!("finished returned {}", type_name::<T>()),
            (FutureState::Failed, Some(error)) => format!("finished raised {}", snapshot::kind(error)),
            (state, _) => state.to_string(),
        };
        f.debug_struct("Future").field("task", &self.task_name()).field("state", &format_args!("{state}")).finish()
    }
}

impl<T> PartialEq for Future<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Eq for Future<T> {}

impl<T> Hash for Future<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.shared).hash(state);
    }
}

// A panic cannot leave a future half changed: its state is only changed under its lock, by code that calls nobody.
impl<T> UnwindSafe for Future<T> {}
impl<T> RefUnwindSafe for Future<T> {}

#[cfg(all(test, not(loom)))]
mod tests;
