//! One task's account: what it did, what its future said, and what may be together.
//!
//! Never knows of other tasks, or of signals.

use super::Phase;
use crate::ledger::Worker;

/// A task's account. Small, since there are millions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) execution: Execution,
    pub(super) end: Came,
    pub(super) cancel: Cancel,
}

/// What the task did, by its own word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Execution {
    /// It has not said anything.
    #[default]
    None,
    /// It began.
    Begun,
    /// Its worker has begun another one since.
    Finished,
}

/// Which end its future came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Came {
    #[default]
    Nothing,
    Value,
    Lost,
    NeverRan,
    Unseen,
    Wrong,
}

/// What a future said, judged by what the task was.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The right value.
    Right,
    /// The panic that belongs to the task.
    Panicked,
    /// Its worker died.
    Lost(Death),
    /// It was cancelled.
    Cancelled,
    /// The pool was shut down before it ran, or before it was submitted.
    ShutDown,
    /// Nobody looked.
    Unseen,
    /// Anything else.
    Wrong(String),
}

/// How a worker ended, as a future tells it.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    pub(crate) pid: u32,
    /// The signal that ended it; none if it ended in another way.
    pub(crate) signal: Option<i32>,
    /// As it is printed.
    pub(crate) text: String,
}

/// What was said of cancelling it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cancel {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// Somebody asks.
    Asked,
    /// The answer was that it is cancelled.
    Granted,
    /// The answer was that it is too late.
    Declined,
}

impl Account {
    /// Its future has come to an end.
    pub(super) fn settle(&mut self, end: &End, phase: Phase) -> Result<(), String> {
        let before = self.end;
        self.end = match end {
            End::Right | End::Panicked => Came::Value,
            End::Lost(_) => Came::Lost,
            End::Cancelled | End::ShutDown => Came::NeverRan,
            End::Unseen => Came::Unseen,
            End::Wrong(_) => Came::Wrong,
        };
        if before != Came::Nothing {
            return Err(format!("came to two ends, {before:?} and {end:?}"));
        }
        let was_asked = matches!(self.cancel, Cancel::Asked | Cancel::Granted);
        match end {
            End::Cancelled if !was_asked && phase != Phase::Cancelling => Err("was cancelled by nobody".to_owned()),
            End::ShutDown if phase == Phase::Open => Err("was refused by an open pool".to_owned()),
            _ => Ok(()),
        }
    }

    /// It says that it runs.
    pub(super) fn begin(&mut self, worker: Worker) -> Result<(), String> {
        if self.execution != Execution::None {
            return Err(format!("ran twice, now in {worker:?}: {self:?}"));
        }
        self.execution = Execution::Begun;
        match self.end {
            Came::NeverRan => Err(format!("ran in {worker:?} although it was said that it would not: {self:?}")),
            _ => Ok(()),
        }
    }

    /// Its worker has begun another one.
    pub(super) fn finished_by(&mut self, task: u64, worker: Worker) -> Result<(), String> {
        self.execution = Execution::Finished;
        match self.end {
            Came::Lost => Err(format!("comes after {task}, which was finished in {worker:?} and is lost")),
            _ => Ok(()),
        }
    }

    /// Whether everything fits together, when all has been said.
    pub(super) fn audit(&self) -> Result<(), &'static str> {
        match (self.end, self.execution) {
            (Came::Nothing, _) => Err("came to no end"),
            (Came::Value, Execution::None) => Err("has a value and never ran"),
            (Came::NeverRan, Execution::Begun | Execution::Finished) => Err("ran and was said not to have"),
            (Came::Lost, Execution::Finished) => Err("was finished and is lost"),
            _ if self.cancel == Cancel::Granted && self.end != Came::NeverRan => Err("was cancelled and went on"),
            _ => Ok(()),
        }
    }
}
