//! Why a task is stopped, and the error that stands in its place then.

use std::sync::Arc;
use std::time::Duration;

use pool_ipc::{Owner, Running, Ticket};

use crate::error::{Broken, ForcedBy, ForcedShutdown, Killed, StoppedWorker, TaskError, TimeLimit, TimedOut};

/// Why a task is to be stopped.
#[derive(Clone, Debug)]
pub(crate) enum Why {
    /// It has run for this long.
    Timeout(Duration),
    /// It is not done this long after its submit.
    Deadline(Duration),
    /// Somebody wants it.
    Killed,
    /// The pool is ended.
    Forced(ForcedBy),
    /// The pool is broken, and ends its workers.
    Broken(Arc<Broken>),
}

impl Why {
    /// The error of a task that was stopped: with the worker and how that ended, if one had begun the task.
    pub(crate) fn error(&self, task: &str, worker: Option<StoppedWorker>) -> TaskError {
        match *self {
            Self::Timeout(limit) => late(task, TimeLimit::Timeout, limit, worker),
            Self::Deadline(limit) => late(task, TimeLimit::Deadline, limit, worker),
            Self::Broken(ref broken) => TaskError::Broken(Arc::clone(broken)),
            Self::Forced(by) => TaskError::ForcedShutdown(Arc::new(ForcedShutdown::new(task, by, worker))),
            Self::Killed => match worker {
                Some(worker) => TaskError::Killed(Arc::new(Killed::new(task, worker))),
                None => TaskError::Cancelled,
            },
        }
    }
}

fn late(task: &str, kind: TimeLimit, limit: Duration, worker: Option<StoppedWorker>) -> TaskError {
    TaskError::TimedOut(Arc::new(TimedOut::new(task, kind, limit, worker)))
}

/// The item that is to be stopped at a link.
pub(crate) struct Sentence {
    ticket: Ticket,
    owner: Owner,
    item: u32,
    pub(crate) why: Why,
}

impl Sentence {
    pub(crate) fn on(running: Running, why: Why) -> Self {
        let Running { ticket, owner, item, .. } = running;
        Self { ticket, owner, item, why }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Whether what runs now is still what is to be stopped.
    pub(crate) fn is_about(&self, running: &Running) -> bool {
        running.ticket == self.ticket && self.names(&running.owner, running.item)
    }

    /// Whether this is the item that a dead worker is blamed for.
    pub(crate) fn names(&self, owner: &Owner, item: u32) -> bool {
        is_same(&self.owner, owner) && self.item == item
    }

    pub(crate) fn item(&self) -> (Owner, u32) {
        (Owner::clone(&self.owner), self.item)
    }
}

/// Whether two owners are one.
pub(crate) fn is_same(one: &Owner, other: &Owner) -> bool {
    Arc::as_ptr(one).cast::<()>() == Arc::as_ptr(other).cast::<()>()
}
