//! How long tasks may take: what the pool says, and what a submit says instead.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pool_ipc::{Owner, Terms};

use crate::manager::pool::Pool;
use crate::manager::sentence::Why;
use crate::manager::stopping::Stop;

/// The time limits of a task, or those of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeLimits {
    /// How long it may run.
    pub(crate) timeout: Option<Duration>,
    /// How long after its submit it is to be done.
    pub(crate) deadline: Option<Duration>,
}

impl TimeLimits {
    /// Whether there are none.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The name of one that leaves no time at all, which no task could keep.
    pub(crate) fn impossible(self) -> Option<&'static str> {
        match self {
            Self { timeout: Some(Duration::ZERO), .. } => Some("timeout"),
            Self { deadline: Some(Duration::ZERO), .. } => Some("deadline"),
            _ => None,
        }
    }

    /// These, and where they say nothing, those.
    pub(crate) fn or(self, those: Self) -> Self {
        Self { timeout: self.timeout.or(those.timeout), deadline: self.deadline.or(those.deadline) }
    }

    /// What frames that are submitted now carry along.
    pub(crate) fn terms(self, now: Instant) -> Option<Arc<Terms>> {
        if self == Self::default() {
            return None;
        }
        let deadline = self.deadline.and_then(|deadline| now.checked_add(deadline));
        Some(Arc::new(Terms { attempt: 0, timeout: self.timeout, deadline }))
    }
}

/// Has the pool stop what this frame is for at the frame's deadline.
pub(crate) fn watch_deadline(pool: &Pool, owner: &Owner, terms: Option<&Terms>, limit: Option<Duration>) {
    if let (Some(at), Some(limit)) = (terms.and_then(|terms| terms.deadline), limit) {
        let owner: Weak<_> = Arc::downgrade(owner);
        pool.stop(Stop { owner, why: Why::Deadline(limit), at: Some(pool_ipc::in_running_time(at)) });
    }
}
