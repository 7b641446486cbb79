//! What a future's end means for the book.

use std::fmt::Debug;

use pool_core::{ExitCause, SubmitError, TaskError};

use crate::book::{Death, End};
use crate::tasks;

/// What a task comes to if nothing happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Value,
    Panic,
}

/// The end that this is.
pub(super) fn end_of<R: Debug>(
    result: Result<R, TaskError>,
    expected: Expected,
    is_right: impl FnOnce(&R) -> bool,
) -> End {
    match result {
        Ok(value) if expected == Expected::Value && is_right(&value) => End::Right,
        Ok(value) => End::Wrong(format!("the value {value:?}")),
        Err(TaskError::Panicked(panic)) if expected == Expected::Panic && panic.message == tasks::PANIC => {
            End::Panicked
        }
        Err(TaskError::WorkerDied(died)) => {
            let signal = match died.cause {
                ExitCause::Signal(signal) if died.corrupt.is_none() => Some(signal),
                _ => None,
            };
            End::Lost(Death { pid: died.pid, signal, text: died.to_string() })
        }
        Err(TaskError::Cancelled) => End::Cancelled,
        Err(TaskError::ShutDown) => End::ShutDown,
        Err(other) => End::Wrong(other.to_string()),
    }
}

/// The end of a task that the pool did not take.
pub(super) fn refusal(error: &SubmitError) -> End {
    match error {
        SubmitError::ShutDown | SubmitError::Gone => End::ShutDown,
        other => End::Wrong(other.to_string()),
    }
}
