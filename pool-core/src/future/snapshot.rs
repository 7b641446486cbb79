//! The states of a future as its users see them, in words.

use std::fmt;

use crate::error::TaskError;

/// The state of a [`Future`](crate::Future) at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FutureState {
    /// The task has not begun.
    Pending,
    /// The task is being run.
    Running,
    /// The task was cancelled and will not run.
    Cancelled,
    /// The same, and the [`Completer`](crate::Completer) has heard of it.
    CancelledAndNotified,
    /// The task returned a value.
    Returned,
    /// There is an error in place of a value.
    Failed,
}

impl FutureState {
    /// Whether nothing will change any more: the task was cancelled, returned or failed.
    pub fn is_done(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl fmt::Display for FutureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Cancelled | Self::CancelledAndNotified => "cancelled",
            Self::Returned => "finished with a value",
            Self::Failed => "finished with an error",
        })
    }
}

/// A result was brought to a future that has one already, or that was cancelled. The first one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidState {
    /// The task.
    pub task: &'static str,
    /// The state that the future is in.
    pub state: FutureState,
}

impl fmt::Display for InvalidState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the future of task {} is {} and takes no other result", self.task, self.state)
    }
}

impl std::error::Error for InvalidState {}

/// An error's kind, as `raised ...` tells it.
pub(super) fn kind(error: &TaskError) -> &'static str {
    match error {
        TaskError::Panicked(_) => "Panicked",
        TaskError::WorkerDied(_) => "WorkerDied",
        TaskError::TimedOut(_) => "TimedOut",
        TaskError::Killed(_) => "Killed",
        TaskError::Exhausted(_) => "Exhausted",
        TaskError::Unwanted(_) => "Unwanted",
        TaskError::WaitTimedOut(_) => "WaitTimedOut",
        TaskError::Cancelled => "Cancelled",
        TaskError::NotFound(_) => "NotFound",
        TaskError::Encode(_) => "Encode",
        TaskError::Decode(_) => "Decode",
        TaskError::Taken => "Taken",
        TaskError::NoMemory(_) => "NoMemory",
        TaskError::Broken(_) => "Broken",
        TaskError::ForcedShutdown(_) => "ForcedShutdown",
        TaskError::ShutDown => "ShutDown",
        TaskError::WouldDeadlock => "WouldDeadlock",
        TaskError::Abandoned => "Abandoned",
        TaskError::Forked => "Forked",
    }
}
