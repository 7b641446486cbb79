//! One task's account: what it did, what its future said, and what may be together.
//!
//! Never knows of other tasks, or of signals.

use super::Phase;
use crate::ledger::Worker;

/// A task's account. Small, since there are millions.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) terms: Terms,
    pub(super) execution: Execution,
    /// How many attempts are known to have begun: one more than the number of the last.
    pub(super) attempts: u8,
    /// The process that began the last one.
    pub(super) by: u32,
    pub(super) end: Came,
    pub(super) cancel: Cancel,
    pub(super) kill_asked: bool,
    /// A death of its worker was its own doing.
    pub(super) has_aborted: bool,
}

/// The signal by which a task ends its worker.
const SIGABRT: i32 = 6;

/// What a task may come to beside its value, for it was submitted so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How often it is run at most.
    pub(crate) attempts: u8,
    /// The first attempt fails, if nothing else happens to it.
    pub(crate) fails_first: bool,
    /// That costs its worker.
    pub(crate) aborts_first: bool,
    /// It has a limit that it may not keep.
    pub(crate) is_limited: bool,
    /// Somebody kills it.
    pub(crate) is_killed: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self { attempts: 1, fails_first: false, aborts_first: false, is_limited: false, is_killed: false }
    }
}

impl Terms {
    /// How many workers it may cost by itself.
    pub(super) fn costs(self) -> u64 {
        u64::from(self.aborts_first || self.is_limited || self.is_killed)
    }
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
    /// Its first attempt failed as it was to, and nothing was tried again.
    Failed,
    Lost,
    NeverRan,
    /// It was stopped while it ran.
    Stopped,
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
    /// It failed so often, by the deaths of these workers, and else by the panic that belongs to it.
    Exhausted { attempts: usize, deaths: Vec<Death> },
    /// It was stopped at its limit.
    TimedOut,
    /// It had not begun at its limit.
    Late,
    /// It was killed while it ran.
    Killed,
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
            End::Panicked if self.terms.fails_first => Came::Failed,
            End::Right | End::Panicked => Came::Value,
            End::Lost(_) | End::Exhausted { .. } => Came::Lost,
            End::Cancelled | End::ShutDown | End::Late => Came::NeverRan,
            End::TimedOut | End::Killed => Came::Stopped,
            End::Unseen => Came::Unseen,
            End::Wrong(_) => Came::Wrong,
        };
        if before != Came::Nothing {
            return Err(format!("came to two ends, {before:?} and {end:?}"));
        }
        let was_asked = matches!(self.cancel, Cancel::Asked | Cancel::Granted) || self.kill_asked;
        // What has not begun is not tried again then, and neither is what fails.
        let gives_up = phase == Phase::Cancelling;
        match end {
            End::Cancelled if !was_asked && !gives_up => Err("was cancelled by nobody".to_owned()),
            End::ShutDown if phase == Phase::Open => Err("was refused by an open pool".to_owned()),
            End::TimedOut | End::Late if !self.terms.is_limited => Err("was stopped within its limit".to_owned()),
            End::Killed if !self.kill_asked => Err("was killed by nobody".to_owned()),
            End::Lost(_) | End::Panicked if self.terms.attempts > 1 && !gives_up => {
                Err("failed, and was not tried again".to_owned())
            }
            End::Exhausted { attempts, .. } if *attempts > usize::from(self.terms.attempts) => {
                Err(format!("was tried {attempts} times: {end:?}"))
            }
            End::Exhausted { attempts, .. } if *attempts < usize::from(self.terms.attempts) && !gives_up => {
                Err(format!("was tried only {attempts} times: {end:?}"))
            }
            _ => Ok(()),
        }
    }

    /// It says that it runs, for the so-manieth time, counted from 0.
    pub(super) fn begin(&mut self, worker: Worker, attempt: u32) -> Result<(), String> {
        if attempt < u32::from(self.attempts) {
            return Err(format!("ran twice in attempt {attempt}, now in {worker:?}: {self:?}"));
        }
        if attempt >= u32::from(self.terms.attempts) {
            return Err(format!("ran in attempt {attempt}, in {worker:?}: {self:?}"));
        }
        self.execution = Execution::Begun;
        self.attempts = u8::try_from(attempt + 1).unwrap_or(u8::MAX);
        self.by = worker.pid;
        match self.end {
            // What waits for a further attempt may be cancelled.
            Came::NeverRan if self.terms.attempts == 1 => {
                Err(format!("ran in {worker:?} although it was said that it would not: {self:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it may have killed this worker itself, as it does once.
    pub(super) fn takes_for_its_own(&mut self, death: &Death) -> bool {
        let is_its_own = self.terms.aborts_first && !self.has_aborted && death.signal == Some(SIGABRT);
        self.has_aborted |= is_its_own;
        is_its_own
    }

    /// Its worker has begun another one.
    pub(super) fn finished_by(&mut self, task: u64, worker: Worker) -> Result<(), String> {
        if self.by != worker.pid {
            // That was an earlier attempt.
            return Ok(());
        }
        self.execution = Execution::Finished;
        match self.end {
            Came::Stopped => Err(format!("comes after {task}, which was stopped in {worker:?}")),
            Came::Lost => Err(format!("comes after {task}, which was finished in {worker:?} and is lost")),
            _ => Ok(()),
        }
    }

    /// Whether everything fits together, when all has been said.
    pub(super) fn audit(&self) -> Result<(), &'static str> {
        match (self.end, self.execution) {
            (Came::Nothing, _) => Err("came to no end"),
            (Came::Value, Execution::None) => Err("has a value and never ran"),
            (Came::Failed, Execution::None) => Err("failed and never ran"),
            (Came::Value, _) if self.terms.fails_first && self.attempts < 2 => {
                Err("has the value of an attempt that fails")
            }
            (Came::NeverRan, Execution::Begun | Execution::Finished) if self.terms.attempts == 1 => {
                Err("ran and was said not to have")
            }
            (Came::Stopped, Execution::Finished) => Err("was stopped, and its worker went on"),
            (Came::Lost, Execution::Finished) => Err("was finished and is lost"),
            _ if self.cancel == Cancel::Granted && self.end != Came::NeverRan => Err("was cancelled and went on"),
            _ => Ok(()),
        }
    }
}
