//! The worker of a task that was stopped: which it was, how it ended, and what it said last.

use std::fmt;

use pool_ipc::ExitCause;

/// The worker that ran a task which was stopped.
#[derive(Clone, Debug)]
pub(crate) struct StoppedWorker {
    /// The process.
    pub(crate) pid: u32,
    /// How it ended. A worker that is a thread does not.
    pub(crate) cause: Option<ExitCause>,
    /// The last lines that it wrote to stderr, where they are kept.
    pub(crate) stderr: Option<String>,
}

impl StoppedWorker {
    /// What there is to tell of the worker, if there is one.
    pub(super) fn parts(worker: Option<Self>) -> (Option<u32>, Option<ExitCause>, Option<String>) {
        worker.map_or((None, None, None), |Self { pid, cause, stderr }| (Some(pid), cause, stderr))
    }
}

/// How a task was stopped, for the end of a sentence.
pub(super) struct Stopped(pub(super) u32, pub(super) Option<ExitCause>);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(pid, Some(cause)) => write!(f, "(worker {pid} ended: {cause})"),
            Self(_, None) => f.write_str("(its worker is a thread, which goes on)"),
        }
    }
}
