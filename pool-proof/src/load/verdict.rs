//! What a future's end means for the book.

use std::fmt::Debug;

use pool_core::{Exhausted, ExitCause, SubmitError, TaskError, WorkerDied};

use crate::book::{Death, End};
use crate::tasks;

/// What a task comes to if nothing happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Value,
    /// One, after a first attempt that panics, which is the end where nothing is tried again: the book knows when.
    ValueAtLast,
    Panic,
    /// It has to be stopped.
    Stop,
}

/// The end that this is.
pub(super) fn end_of<R: Debug>(
    result: Result<R, TaskError>,
    expected: Expected,
    is_right: impl FnOnce(&R) -> bool,
) -> End {
    match result {
        Ok(value) if matches!(expected, Expected::Value | Expected::ValueAtLast) && is_right(&value) => End::Right,
        Ok(value) => End::Wrong(format!("the value {value:?}")),
        Err(TaskError::Panicked(panic))
            if matches!(expected, Expected::Panic | Expected::ValueAtLast) && panic.message == tasks::PANIC =>
        {
            End::Panicked
        }
        Err(TaskError::WorkerDied(died)) => End::Lost(death(&died)),
        Err(TaskError::TimedOut(late)) if late.pid.is_some() => End::TimedOut,
        Err(TaskError::TimedOut(_)) => End::Late,
        Err(TaskError::Killed(_)) => End::Killed,
        Err(TaskError::Exhausted(exhausted)) if matches!(exhausted.last(), TaskError::Cancelled) => End::Cancelled,
        Err(TaskError::Exhausted(exhausted)) => exhaustion(&exhausted),
        Err(TaskError::Cancelled) => End::Cancelled,
        Err(TaskError::ShutDown) => End::ShutDown,
        Err(other) => End::Wrong(other.to_string()),
    }
}

fn death(died: &WorkerDied) -> Death {
    let signal = match died.cause {
        ExitCause::Signal(signal) if died.corrupt.is_none() => Some(signal),
        _ => None,
    };
    Death { pid: died.pid, signal, text: died.to_string() }
}

/// A task that failed in each of its attempts: by its worker's death, or in the first one by the panic that belongs to it.
fn exhaustion(exhausted: &Exhausted) -> End {
    let is_its_panic = |(attempt, cause): &(usize, &TaskError)| match cause {
        TaskError::Panicked(panic) => *attempt == 0 && panic.message == tasks::PANIC,
        _ => false,
    };
    let mut deaths = Vec::new();
    for numbered in exhausted.causes.iter().enumerate() {
        match numbered.1 {
            TaskError::WorkerDied(died) => deaths.push(death(died)),
            _ if is_its_panic(&numbered) => {}
            _ => return End::Wrong(exhausted.to_string()),
        }
    }
    End::Exhausted { attempts: exhausted.attempts as usize, deaths }
}

/// The end of a task that the pool did not take.
pub(super) fn refusal(error: &SubmitError) -> End {
    match error {
        SubmitError::ShutDown | SubmitError::Gone => End::ShutDown,
        other => End::Wrong(other.to_string()),
    }
}
