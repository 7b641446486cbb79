//! The other end of a future, for those who run work without a pool.
//!
//! Keeps true: every future whose completer is gone is done.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use serde::Serialize;

use crate::error::TaskError;
use crate::future::Future;
use crate::future::desk::{no_desk, run_callback};
use crate::future::snapshot::{FutureState, InvalidState};
use crate::future::state::Shared;
use crate::future::value::Encoded;

/// Brings the result to one [`Future`], once. Whoever implements an executor holds one a task; a completer that is
/// dropped before leaves [`TaskError::Abandoned`] behind.
///
/// ```
/// use pool_core::Completer;
///
/// let (completer, future) = Completer::new("sum");
/// let worker = pool_core::thread::spawn(move || {
///     if completer.set_running_or_notify_cancel() {
///         completer.set_result(&(1..=10).sum::<u32>()).expect("nobody else completes it");
///     }
/// });
/// assert_eq!(future.result()?, 55);
/// worker.join().unwrap();
/// # Ok::<(), pool_core::TaskError>(())
/// ```
pub struct Completer<T> {
    shared: Arc<Shared>,
    /// A completer takes values of `T` and holds none.
    value: PhantomData<fn(T)>,
}

impl<T> Completer<T> {
    /// A future that is pending, and its completer. The name is what errors and logs call the task.
    pub fn new(task: &'static str) -> (Self, Future<T>) {
        let shared = Shared::new(task, no_desk());
        let future = Future::of(Arc::clone(&shared));
        (Self { shared, value: PhantomData }, future)
    }

    /// Says that the task begins: from now on it cannot be cancelled. False means that it was cancelled, or has a result
    /// already, and need not be run.
    pub fn set_running_or_notify_cancel(&self) -> bool {
        self.shared.set_running_or_notify_cancel()
    }

    /// Completes the future with a value. Callbacks run before this returns.
    ///
    /// A value that cannot be encoded completes the future, too: with [`TaskError::Encode`].
    ///
    /// # Errors
    /// The future is done already; it keeps what it has.
    pub fn set_result(&self, value: &T) -> Result<(), InvalidState>
    where
        T: Serialize,
    {
        self.complete(Encoded::new(self.shared.task(), value))
    }

    /// Completes the future with an error. Callbacks run before this returns.
    ///
    /// # Errors
    /// The future is done already; it keeps what it has.
    pub fn set_error(&self, error: TaskError) -> Result<(), InvalidState> {
        self.complete(Err(error))
    }

    /// The state of the future.
    pub fn state(&self) -> FutureState {
        self.shared.snapshot()
    }

    /// The name of the task.
    pub fn task_name(&self) -> &'static str {
        self.shared.task()
    }

    fn complete(&self, outcome: Result<Encoded, TaskError>) -> Result<(), InvalidState> {
        match self.shared.try_complete(outcome) {
            Ok(callbacks) => {
                callbacks.into_iter().for_each(run_callback);
                Ok(())
            }
            Err(state) => Err(InvalidState { task: self.shared.task(), state }),
        }
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        if !self.shared.is_done() {
            // It may have been cancelled since; then there is nothing to do.
            let _ = self.complete(Err(TaskError::Abandoned));
        }
    }
}

impl<T> fmt::Debug for Completer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Completer").field("task", &self.task_name()).field("state", &state).finish()
    }
}

// As for the future: no panic can leave the state half changed.
impl<T> UnwindSafe for Completer<T> {}
impl<T> RefUnwindSafe for Completer<T> {}
