//! What a future holds instead of a value, and the accounts in it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::{Corrupt, ExitCause, Postmortem, RefusedWhy};
use serde::{Deserialize, Serialize};

use crate::error::last_lines::write_last_lines;
use crate::error::stopped::{Stopped, StoppedWorker};
use crate::error::{Broken, CodecError, Exhausted, ForcedShutdown, SubmitError};

/// Why a future has no value.
///
/// ```
/// use pool_core::{ProcessPoolExecutor, TaskError};
///
/// fn divide(a: u32, b: u32) -> u32 {
///     a / b
/// }
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// match pool.submit(divide, (1, 0))?.result() {
///     Err(TaskError::Panicked(panic)) => assert!(panic.message.contains("divide by zero")),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task panicked. Its worker goes on.
    Panicked(Arc<Panic>),
    /// The worker process ended while it ran this task.
    WorkerDied(Arc<WorkerDied>),
    /// The task was stopped because it ran past its limit.
    TimedOut(Arc<TimedOut>),
    /// The task was stopped by [`Future::kill`](crate::Future::kill) while it ran.
    Killed(Arc<Killed>),
    /// The task failed, or was cancelled or given up, and had failed before: it was run again by its
    /// [`RetryPolicy`](crate::RetryPolicy), or was to be. What came of it in the end is [`Exhausted::last`].
    Exhausted(Arc<Exhausted>),
    /// The task returned a value that its [`RetryPolicy`](crate::RetryPolicy) did not want: the cause of an attempt, never
    /// of a future, which has the last attempt's value.
    Unwanted(String),
    /// The wait for the result ended before there was one. The task goes on.
    WaitTimedOut(WaitTimedOut),
    /// The task was cancelled before it started. One that was cancelled between two attempts is
    /// [`Exhausted`](Self::Exhausted), with this at last.
    Cancelled,
    /// The worker's executable has no such task.
    NotFound(NotFound),
    /// A value could not be encoded.
    Encode(Arc<CodecError>),
    /// Bytes could not be decoded.
    Decode(Arc<CodecError>),
    /// The value was taken before and is not to be had again. No call of a pool or a future ends so, as
    /// [`Future::into_result`](crate::Future::into_result) uses up the last handle and the items of a map come once.
    Taken,
    /// The arguments or the result did not fit into memory.
    NoMemory(NoMemory),
    /// The pool is broken: no worker can be started, an initializer failed, or a part of the pool panicked.
    Broken(Arc<Broken>),
    /// The pool was shut down before the task could run.
    ShutDown,
    /// The pool was ended by force before the task was done:
    /// [`terminate_workers`](crate::ProcessPoolExecutor::terminate_workers) and its like.
    ForcedShutdown(Arc<ForcedShutdown>),
    /// Waiting here would wait for oneself: a callback runs on the manager's thread and must not block on a future that
    /// is not done. Nor must what the pool calls besides: a waker, a logger, a policy's
    /// [`on_value`](crate::RetryPolicy::on_value).
    WouldDeadlock,
    /// The [`Completer`](crate::Completer) was dropped without a result.
    Abandoned,
    /// The process was forked, and the pool is the other process's.
    Forked,
}

impl TaskError {
    /// Whether the task was cancelled, before its first attempt or a later one.
    pub(crate) fn is_cancellation(&self) -> bool {
        match self {
            Self::Cancelled => true,
            Self::Exhausted(exhausted) => matches!(exhausted.last(), Self::Cancelled),
            _ => false,
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => panic.fmt(f),
            Self::WorkerDied(died) => died.fmt(f),
            Self::TimedOut(late) => late.fmt(f),
            Self::Killed(killed) => killed.fmt(f),
            Self::Exhausted(exhausted) => exhausted.fmt(f),
            Self::Unwanted(task) => write!(f, "task {task} returned a value that was not wanted"),
            Self::WaitTimedOut(wait) => wait.fmt(f),
            Self::Cancelled => f.write_str("the task was cancelled"),
            Self::NotFound(not_found) => not_found.fmt(f),
            Self::Encode(codec) | Self::Decode(codec) => codec.fmt(f),
            Self::Taken => f.write_str("the result has been taken already"),
            Self::NoMemory(memory) => memory.fmt(f),
            Self::Broken(broken) => broken.fmt(f),
            Self::ForcedShutdown(forced) => forced.fmt(f),
            Self::ShutDown => f.write_str("the pool was shut down before the task could run"),
            Self::WouldDeadlock => f.write_str("waiting for a future on the manager's thread would wait for ever"),
            Self::Abandoned => f.write_str("the future was abandoned: nobody is left to complete it"),
            Self::Forked => f.write_str("the pool belongs to the process that this one was forked from"),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(broken) => broken.source(),
            Self::Exhausted(exhausted) => Some(exhausted.last()),
            _ => None,
        }
    }
}

/// A task's panic, as its worker saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Panic {
    /// The task's name.
    pub task: String,
    /// The panic's message, or a note that its payload was no string: with control characters escaped, but for the ends of
    /// lines, and of one with more than 64 KiB the beginning.
    pub message: String,
    /// `file:line:column`, where known.
    pub location: Option<String>,
    /// The stack, where `RUST_BACKTRACE` asks for one: the task's own frames, and with `RUST_BACKTRACE=full` all of them.
    pub backtrace: Option<String>,
    /// The thread that panicked.
    pub thread: String,
    /// The worker process.
    pub pid: u32,
}

impl Panic {
    /// A panic of a task, for who implements an executor.
    pub fn new(task: impl Into<String>, message: impl Into<String>) -> Self {
        let (task, message) = (task.into(), message.into());
        let thread = "MainThread".to_owned();
        Self { task, message, location: None, backtrace: None, thread, pid: std::process::id() }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} panicked", self.task)?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, " (worker {}, thread {}): {}", self.pid, self.thread, self.message)?;
        match &self.backtrace {
            Some(backtrace) => write!(f, "\n{backtrace}"),
            None => Ok(()),
        }
    }
}

/// The death of a worker with a task in its hands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerDied {
    /// The task that it ran, and that is blamed.
    pub task: String,
    /// The worker process.
    pub pid: u32,
    /// How it ended.
    pub cause: ExitCause,
    /// Set when the worker was stopped because it broke the protocol.
    pub corrupt: Option<Corrupt>,
    /// What memory it had, and who may have killed it, as far as that is known.
    pub postmortem: Postmortem,
    /// The last lines that it wrote to stderr, in whatever task, with control characters escaped. Where the pool
    /// [keeps](crate::WorkerStderr::Kept) them, and there are any.
    pub stderr: Option<String>,
}

impl WorkerDied {
    pub(crate) fn new(task: impl Into<String>, pid: u32, cause: ExitCause, corrupt: Option<Corrupt>) -> Self {
        Self { task: task.into(), pid, cause, corrupt, postmortem: Postmortem::default(), stderr: None }
    }

    /// The same, with what is known beyond the cause.
    pub(crate) fn with_postmortem(self, postmortem: Postmortem) -> Self {
        Self { postmortem, ..self }
    }

    /// The same, with what the worker said last.
    pub(crate) fn with_stderr(self, stderr: Option<String>) -> Self {
        Self { stderr, ..self }
    }
}

impl fmt::Display for WorkerDied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} died while it ran task {}: {}", self.pid, self.task, self.cause)?;
        write!(f, "{}", self.postmortem.hint(self.cause))?;
        if let Some(corrupt) = &self.corrupt {
            write!(f, " (stopped by the pool: {corrupt})")?;
        }
        write_last_lines(f, self.stderr.as_deref())
    }
}

/// Which limit a task came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeLimit {
    /// How long it may run.
    Timeout,
    /// When it is to be done, counted from its submit.
    Deadline,
}

/// A task that was stopped at its limit, or not begun before it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimedOut {
    /// The task.
    pub task: String,
    /// Which limit it was.
    pub kind: TimeLimit,
    /// The limit.
    pub limit: Duration,
    /// The worker that ran it; none if it had not begun.
    pub pid: Option<u32>,
    /// How that worker ended. A worker that is a thread does not.
    pub cause: Option<ExitCause>,
    /// The last lines that it wrote to stderr, as in [`WorkerDied`].
    pub stderr: Option<String>,
}

impl TimedOut {
    pub(crate) fn new(
        task: impl Into<String>,
        kind: TimeLimit,
        limit: Duration,
        worker: Option<StoppedWorker>,
    ) -> Self {
        let (pid, cause, stderr) = StoppedWorker::parts(worker);
        Self { task: task.into(), kind, limit, pid, cause, stderr }
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, kind, limit, pid, cause, stderr } = self;
        let limited = match kind {
            TimeLimit::Timeout => "its time limit",
            TimeLimit::Deadline => "the deadline",
        };
        match pid {
            Some(pid) => write!(f, "task {task} was stopped at {limited} of {limit:?} {}", Stopped(*pid, *cause))?,
            None => write!(f, "task {task} had not begun by {limited} of {limit:?} from its submit")?,
        }
        write_last_lines(f, stderr.as_deref())
    }
}

/// A task that somebody stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Killed {
    /// The task.
    pub task: String,
    /// The worker that ran it.
    pub pid: u32,
    /// How that worker ended. A worker that is a thread does not.
    pub cause: Option<ExitCause>,
    /// The last lines that it wrote to stderr, as in [`WorkerDied`].
    pub stderr: Option<String>,
}

impl Killed {
    pub(crate) fn new(task: impl Into<String>, worker: StoppedWorker) -> Self {
        let StoppedWorker { pid, cause, stderr } = worker;
        Self { task: task.into(), pid, cause, stderr }
    }
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} was killed {}", self.task, Stopped(self.pid, self.cause))?;
        write_last_lines(f, self.stderr.as_deref())
    }
}

/// A wait that ended before its future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitTimedOut {
    /// How long the wait was allowed to last.
    pub limit: Duration,
}

impl WaitTimedOut {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl fmt::Display for WaitTimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no result within {:?}; the task goes on", self.limit)
    }
}

/// A task that the worker's executable does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotFound {
    /// What was asked for.
    pub task: String,
    /// The worker process.
    pub pid: u32,
}

impl NotFound {
    pub(crate) fn new(task: impl Into<String>, pid: u32) -> Self {
        Self { task: task.into(), pid }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} has no task {}: its executable is not the one that submitted it", self.pid, self.task)
    }
}

/// Arguments or a result that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMemory {
    /// The task concerned.
    pub task: String,
    /// The size in bytes that was asked for.
    pub size: u64,
    /// The system's error number.
    pub errno: i32,
}

impl NoMemory {
    pub(crate) fn new(task: impl Into<String>, size: u64, errno: i32) -> Self {
        Self { task: task.into(), size, errno }
    }
}

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, size, errno } = self;
        write!(f, "no room for {size} bytes of task {task}: {}", std::io::Error::from_raw_os_error(*errno))
    }
}

impl From<SubmitError> for TaskError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::ShutDown | SubmitError::Gone | SubmitError::Option { .. } => Self::ShutDown,
            SubmitError::Broken(broken) => Self::Broken(broken),
            SubmitError::Encode(codec) => Self::Encode(codec),
            SubmitError::NoMemory(memory) => Self::NoMemory(memory),
            SubmitError::Forked => Self::Forked,
        }
    }
}

/// A refusal of a link, in the words of the task that it hit.
pub(crate) fn refused(task: &str, why: &RefusedWhy) -> TaskError {
    match *why {
        RefusedWhy::NoMemory { size, errno } => TaskError::NoMemory(NoMemory::new(task, size, errno)),
        _ => TaskError::ShutDown,
    }
}
