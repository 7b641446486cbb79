//! Why a pool, or a worker of it, or a submit, was not to be had.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::{CgroupError, CommandError, ExitCause, OpenError, Size, StartError};

use crate::error::last_lines::write_last_lines;
use crate::error::loss::write_losses;
use crate::error::{CodecError, Loss, NoMemory, RemoteError};

/// Why a pool can run nothing any more.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Broken {
    /// No worker could be started, and none was left.
    Start(Arc<StartFailure>),
    /// Workers were lost again and again, without one finished task between and without a task to blame.
    Restarts {
        /// Which, oldest first. Of several that ended side by side, one.
        losses: Arc<[Loss]>,
        /// The time within which they were too many.
        within: Duration,
    },
    /// A worker was lost, and the pool was made to [break](crate::OnWorkerLoss::Break) then.
    WorkerLost {
        /// The worker process.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// The task that it ran, if it ran one.
        task: Option<String>,
        /// The last lines that it wrote to stderr, where the pool [keeps](crate::WorkerStderr::Kept) them.
        stderr: Option<String>,
    },
    /// The initializer failed in a worker.
    Initializer {
        /// The worker process.
        pid: u32,
        /// What it failed with.
        error: RemoteError,
    },
    /// A thread of the pool panicked. This is a bug of ours.
    Internal {
        /// Which thread.
        thread: String,
        /// What it said.
        message: String,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(failure) => write!(f, "the pool is broken: a worker could not be started: {failure}"),
            Self::Restarts { losses, within } => write_losses(f, losses, *within),
            Self::WorkerLost { pid, cause, task, stderr } => {
                match task {
                    Some(task) => write!(f, "the pool is broken: worker {pid} died while it ran task {task}: {cause}")?,
                    None => write!(f, "the pool is broken: worker {pid} died while it ran nothing: {cause}")?,
                }
                write_last_lines(f, stderr.as_deref())
            }
            Self::Initializer { pid, error } => {
                write!(f, "the pool is broken: the initializer failed in worker {pid}: {error}")
            }
            Self::Internal { thread, message } => {
                write!(f, "the pool is broken: its thread {thread} panicked, which is a bug of the pool: {message}")
            }
        }
    }
}

impl Error for Broken {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(failure) => Some(&**failure),
            Self::Initializer { error, .. } => Some(error),
            Self::Restarts { .. } | Self::WorkerLost { .. } | Self::Internal { .. } => None,
        }
    }
}

/// Why a worker did not come up.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartFailure {
    /// The system did not start it.
    System(StartError),
    /// It ended before it said hello.
    EndedEarly {
        /// Its pid.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// The last lines that it wrote to stderr, where the pool [keeps](crate::WorkerStderr::Kept) them.
        stderr: Option<String>,
    },
    /// The same, with a limit of its memory that may have been too small for it to come up.
    EndedUnderLimit {
        /// Its pid.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// The [limit](crate::Builder::memory_limit), in bytes.
        memory_limit: u64,
        /// The last lines that it wrote to stderr, as above.
        stderr: Option<String>,
    },
    /// It did not say hello in time: its initializer, which runs before that, or its `main` did not come to an end.
    NoHello {
        /// Its pid.
        pid: u32,
        /// The time that it had.
        limit: Duration,
        /// The last lines that it wrote to stderr, as above.
        stderr: Option<String>,
    },
    /// It is another build, or another program, and does not have the same tasks.
    OtherBuild {
        /// Its pid.
        pid: u32,
    },
    /// It was not taken over before `main`, and `main` made a pool or a process before it called
    /// [`init`](crate::init()).
    NoInit {
        /// Its pid.
        pid: u32,
    },
    /// Its greeting made no sense.
    Garbled {
        /// Its pid.
        pid: u32,
    },
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::EndedEarly { pid, cause, stderr } => {
                write!(f, "process {pid} ended before it said hello ({cause})")?;
                if let ExitCause::Code(_) = cause {
                    f.write_str(
                        "; does its main call pool_core::init() first, before anything that may exit, \
                         and does an initializer end the process?",
                    )?;
                }
                write_last_lines(f, stderr.as_deref())
            }
            Self::EndedUnderLimit { pid, cause, memory_limit, stderr } => {
                let limit = Size(*memory_limit);
                write!(
                    f,
                    "process {pid} ended before it said hello ({cause}); is its memory limit of {limit} too small "
                )?;
                f.write_str(match cause {
                    ExitCause::Code(_) => "for a worker, or does its main not call pool_core::init() first?",
                    _ => "for a worker, or for its initializer?",
                })?;
                write_last_lines(f, stderr.as_deref())
            }
            Self::NoHello { pid, limit, stderr } => {
                write!(f, "process {pid} did not say hello within {limit:?}; ")?;
                f.write_str(
                    "does its initializer hang, or take longer than hello_timeout allows, \
                     or does its main not call pool_core::init() first, before anything that may block?",
                )?;
                write_last_lines(f, stderr.as_deref())
            }
            Self::OtherBuild { pid } => {
                write!(f, "process {pid} runs another build than this one and cannot be sent its tasks")
            }
            Self::NoInit { pid } => {
                write!(f, "process {pid} was about to start processes of its own instead of becoming a worker; ")?;
                f.write_str("call pool_core::init() first in main")
            }
            Self::Garbled { pid } => write!(f, "process {pid} sent a greeting that makes no sense"),
        }
    }
}

impl Error for StartFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a task was not accepted. Nothing was queued, and nothing else is affected.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SubmitError {
    /// The pool was shut down.
    ShutDown,
    /// The pool is broken.
    Broken(Arc<Broken>),
    /// The arguments could not be encoded.
    Encode(Arc<CodecError>),
    /// The arguments did not fit into memory.
    NoMemory(NoMemory),
    /// The pool that the [`Handle`](crate::Handle) belonged to is gone.
    Gone,
    /// The process was forked, and the pool is the other process's.
    Forked,
    /// An option makes no sense: its name and what is allowed.
    Option {
        /// Which.
        name: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShutDown => f.write_str("cannot submit after shutdown"),
            Self::Broken(broken) => broken.fmt(f),
            Self::Encode(codec) => codec.fmt(f),
            Self::NoMemory(memory) => memory.fmt(f),
            Self::Gone => f.write_str("the pool is gone"),
            Self::Forked => f.write_str("the pool belongs to the process that this one was forked from"),
            Self::Option { name, allowed } => write!(f, "{name} must be {allowed}"),
        }
    }
}

impl Error for SubmitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(broken) => broken.source(),
            _ => None,
        }
    }
}

/// Why a pool was not made.
#[derive(Debug)]
#[non_exhaustive]
pub enum PoolError {
    /// `max_workers` was 0.
    ZeroWorkers,
    /// Another option makes no sense: its name and what is allowed.
    Option {
        /// Which.
        name: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Its workers would be further from the main process than they may be, which is what becomes of a task that makes a
    /// pool and runs itself there.
    TooDeep {
        /// How deep they would be.
        depth: u32,
        /// How deep they may be: [`Builder::max_depth`](crate::Builder::max_depth).
        limit: u32,
    },
    /// No worker process can have such a program, argument, directory or environment.
    Command(CommandError),
    /// The backend could not be opened.
    Backend(OpenError),
    /// Workers cannot have control groups of their own, or not there.
    Cgroup(CgroupError),
    /// A thread could not be started.
    Thread {
        /// Which.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The initializer's arguments could not be encoded.
    Initializer(Arc<CodecError>),
    /// This process is a fork of the pool's.
    Forked,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWorkers => f.write_str("max_workers must be at least 1"),
            Self::Option { name, allowed } => write!(f, "{name} must be {allowed}"),
            Self::TooDeep { depth, limit } => write!(
                f,
                "a pool here would have workers at depth {depth}, and the limit is {limit}: does a task make a pool that runs it again?"
            ),
            Self::Command(error) => write!(f, "workers cannot be started: {error}"),
            Self::Backend(error) => write!(f, "the backend could not be opened: {error}"),
            Self::Cgroup(error) => write!(f, "workers cannot have control groups: {error}"),
            Self::Thread { name, source } => write!(f, "thread {name} could not be started: {source}"),
            Self::Initializer(codec) => write!(f, "the initializer cannot be sent: {codec}"),
            Self::Forked => f.write_str("the pool belongs to the process that this one was forked from"),
        }
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::ZeroWorkers | Self::Option { .. } | Self::TooDeep { .. } | Self::Forked => None,
            Self::Command(error) => Some(error),
            Self::Backend(error) => Some(error),
            Self::Cgroup(error) => Some(error),
            Self::Thread { source, .. } => Some(source),
            Self::Initializer(codec) => Some(&**codec),
        }
    }
}
