//! Workers that were lost without a task to blame.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use pool_ipc::ExitCause;

use crate::error::StartFailure;
use crate::error::last_lines::{write_last_lines, write_last_lines_of};

/// The end of a worker that no task is blamed for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The process.
    pub pid: u32,
    /// How it ended.
    pub cause: ExitCause,
    /// In which part of its life.
    pub time: LossTime,
    /// The last lines that it wrote to stderr, where the pool [keeps](crate::WorkerStderr::Kept) them.
    pub stderr: Option<String>,
}

/// When a worker was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossTime {
    /// Before it said hello: in its main, or in its initializer.
    Starting,
    /// The same, by the pool's hand, as it did not say hello in time.
    TooLate,
    /// While it ran nothing.
    Idle,
}

impl fmt::Display for LossTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "before it said hello",
            Self::TooLate => "for want of a hello",
            Self::Idle => "while it ran nothing",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} ended {}: {}", self.pid, self.time, self.cause)?;
        write_last_lines(f, self.stderr.as_deref())
    }
}

impl Loss {
    /// The same, of a worker that did not come up.
    pub(crate) fn into_failure(self, limit: Duration, memory_limit: Option<NonZeroU64>) -> StartFailure {
        let Self { pid, cause, time, stderr } = self;
        match (time, memory_limit) {
            (LossTime::TooLate, _) => StartFailure::NoHello { pid, limit, stderr },
            (LossTime::Starting | LossTime::Idle, Some(memory_limit)) if !is_kill(cause) => {
                StartFailure::EndedUnderLimit { pid, cause, memory_limit: memory_limit.get(), stderr }
            }
            (LossTime::Starting | LossTime::Idle, _) => StartFailure::EndedEarly { pid, cause, stderr },
        }
    }
}

/// Whether somebody ended the process, by SIGKILL or SIGTERM: then it was not for want of memory under a limit.
fn is_kill(cause: ExitCause) -> bool {
    matches!(cause, ExitCause::Signal(9 | 15))
}

/// Says what the losses were, those of one kind together.
pub(super) fn write_losses(f: &mut fmt::Formatter<'_>, losses: &[Loss], within: Duration) -> fmt::Result {
    let count = losses.len();
    write!(f, "the pool is broken: {count} workers were lost within {within:?} without one finished task between: ")?;
    let mut kinds: Vec<(usize, &Loss)> = Vec::new();
    for loss in losses {
        match kinds.iter_mut().find(|(_, kind)| (kind.cause, kind.time) == (loss.cause, loss.time)) {
            Some((count, _)) => *count += 1,
            None => kinds.push((1, loss)),
        }
    }
    for (index, (count, kind)) in kinds.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{count} {} ({})", kind.time, kind.cause)?;
    }
    losses.last().map_or(Ok(()), |last| write_last_lines_of(f, last.pid, last.stderr.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Broken;

    #[test]
    fn losses_of_one_kind_are_told_together() {
        let loss = |pid, code, time| Loss { pid, cause: ExitCause::Code(code), time, stderr: None };
        let mut losses = [loss(1, 1, LossTime::Starting), loss(2, 3, LossTime::Idle), loss(3, 1, LossTime::Starting)];
        let broken = Broken::Restarts { losses: losses.clone().into(), within: Duration::from_secs(10) };
        assert_eq!(
            broken.to_string(),
            "the pool is broken: 3 workers were lost within 10s without one finished task between: \
             2 before it said hello (exit code 1), 1 while it ran nothing (exit code 3)"
        );
        assert_eq!(losses[1].to_string(), "worker 2 ended while it ran nothing: exit code 3");
        losses[2].stderr = Some("no config\ngiving up".to_owned());
        let broken = Broken::Restarts { losses: losses.into(), within: Duration::from_secs(10) };
        let said = "(exit code 3)\n  the last lines of worker 3 on stderr:\n    no config\n    giving up";
        assert!(broken.to_string().ends_with(said), "{broken}");
    }

    #[test]
    fn worker_that_does_not_come_up_under_a_limit_may_have_had_too_little() {
        let limit = NonZeroU64::new(1 << 20);
        let said =
            |cause, time| Loss { pid: 7, cause, time, stderr: None }.into_failure(Duration::ZERO, limit).to_string();
        let starting = |cause| said(cause, LossTime::Starting);
        assert_eq!(
            starting(ExitCause::Signal(6)),
            "process 7 ended before it said hello (signal 6 (SIGABRT)); \
             is its memory limit of 1 MiB too small for a worker, or for its initializer?"
        );
        assert_eq!(
            starting(ExitCause::Code(4)),
            "process 7 ended before it said hello (exit code 4); \
             is its memory limit of 1 MiB too small for a worker, or does its main not call pool_core::init() first?"
        );
        assert_eq!(starting(ExitCause::Signal(9)), "process 7 ended before it said hello (signal 9 (SIGKILL))");
        assert!(said(ExitCause::Signal(9), LossTime::TooLate).contains("did not say hello within"));
    }
}
