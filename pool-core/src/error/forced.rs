//! Tasks that ended, or did not begin, because their pool was ended by force.

use std::fmt;
use std::time::Duration;

use pool_ipc::ExitCause;

use crate::error::last_lines::write_last_lines;
use crate::error::stopped::{Stopped, StoppedWorker};

/// What ended a pool before its tasks were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForcedBy {
    /// [`ProcessPoolExecutor::terminate_workers`](crate::ProcessPoolExecutor::terminate_workers).
    TerminateWorkers,
    /// [`ProcessPoolExecutor::kill_workers`](crate::ProcessPoolExecutor::kill_workers).
    KillWorkers,
    /// A shutdown that [kills](crate::Shutdown::kill).
    Kill,
    /// The [deadline](crate::Shutdown::deadline) of a shutdown.
    Deadline(Duration),
    /// It was dropped by a thread that panicked.
    Panic,
}

impl fmt::Display for ForcedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TerminateWorkers => f.write_str("by terminate_workers"),
            Self::KillWorkers => f.write_str("by kill_workers"),
            Self::Kill => f.write_str("by a shutdown that kills"),
            Self::Deadline(limit) => write!(f, "at the shutdown's deadline of {limit:?}"),
            Self::Panic => f.write_str("by a thread that panicked"),
        }
    }
}

/// A task that the end of its pool stopped, or did not let begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForcedShutdown {
    /// The task.
    pub task: String,
    /// What ended the pool.
    pub by: ForcedBy,
    /// The worker that ran it; none if it had not begun.
    pub pid: Option<u32>,
    /// How that worker ended. A worker that is a thread does not.
    pub cause: Option<ExitCause>,
    /// The last lines that it wrote to stderr, as in [`WorkerDied`](crate::WorkerDied).
    pub stderr: Option<String>,
}

impl ForcedShutdown {
    pub(crate) fn new(task: impl Into<String>, by: ForcedBy, worker: Option<StoppedWorker>) -> Self {
        let (pid, cause, stderr) = StoppedWorker::parts(worker);
        Self { task: task.into(), by, pid, cause, stderr }
    }
}

impl fmt::Display for ForcedShutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, by, pid, cause, stderr } = self;
        match pid {
            Some(pid) => {
                let stopped = Stopped(*pid, *cause);
                write!(f, "task {task} was stopped as its pool was forcefully shut down {by} {stopped}")?;
            }
            None => write!(f, "task {task} had not begun when its pool was forcefully shut down {by}")?,
        }
        write_last_lines(f, stderr.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_who_ended_the_pool_and_how_the_worker_ended() {
        let worker = Some(StoppedWorker { pid: 7, cause: Some(ExitCause::Signal(9)), stderr: Some("no".to_owned()) });
        assert_eq!(
            ForcedShutdown::new("work", ForcedBy::KillWorkers, worker).to_string(),
            "task work was stopped as its pool was forcefully shut down by kill_workers \
             (worker 7 ended: signal 9 (SIGKILL))\n  its last lines on stderr:\n    no"
        );
        assert_eq!(
            ForcedShutdown::new("work", ForcedBy::Deadline(Duration::from_secs(3)), None).to_string(),
            "task work had not begun when its pool was forcefully shut down at the shutdown's deadline of 3s"
        );
    }
}
