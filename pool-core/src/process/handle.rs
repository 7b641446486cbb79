//! A process as its parent holds it.
//!
//! Keeps true: it is started once, however many threads try; no lock is held while arguments are encoded, the process is
//! started or waited for. Never: ends a process by being dropped.

#[cfg(all(target_os = "linux", not(pool_portable)))]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool_ipc::{ExitCause, ProcessHandle, ProcessOptions, WorkerCommand};

use super::builder::Builder;
use super::children;
use super::error::ProcessError;
use super::identity::{current_process, default_name, depth, next_lineage};
use super::look::Look;
use super::stage::{Call, Stage};
use super::target::Target;
use crate::task::{self, Arguments};
use crate::wire::ProcessBoot;

/// A process that runs one function: Python's `multiprocessing.Process`.
///
/// The function and its arguments are what a pool's tasks are too; what the function returns is the exit code
/// ([`ExitValue`](crate::process::ExitValue)). A panic is written to stderr and is exit code 1. The process ends when the
/// function has returned and all threads have ended that [`thread`](crate::thread) started there and that are no daemons,
/// or at once when somebody calls `std::process::exit`.
///
/// It ends with its parent, whatever becomes of that, unless it was built to
/// [outlive](crate::process::Builder::outlive_parent) it. When the parent ends in an orderly way it waits for its processes
/// first, but for [daemons](crate::process::Builder::daemon), which it ends.
///
/// This is a handle: a clone is the same process, and dropping it changes nothing.
///
/// ```
/// use pool_core::Process;
///
/// fn divide(a: i32, b: i32) -> Result<(), String> {
///     let quotient = a.checked_div(b).ok_or("division by zero")?;
///     println!("{quotient}");
///     Ok(())
/// }
///
/// let child = Process::new(divide, (6, 3));
/// child.start()?;
/// child.join()?;
/// assert_eq!(child.exitcode(), Some(0));
///
/// let child = Process::new(divide, (1, 0));
/// child.start()?;
/// child.join()?;
/// assert_eq!(child.exitcode(), Some(1));
/// # Ok::<(), pool_core::ProcessError>(())
/// ```
///
/// # Limits
/// The process is this program, started again, and needs [`init`](crate::init()) as the first line of `main` where the hook
/// that runs before `main` is turned off (`POOL_CORE_NO_HOOK=1`). Without either it runs `main` itself, and never the
/// function: where that ends, or is about to start a process or make a pool of its own, its exit code is 3, and its stderr
/// says what to do. The parent sees only the exit code.
///
/// stdin of the process is empty. What it prints with `println!` is written line by line, a line of up to 1 KiB (the
/// standard library's buffer) in one piece.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    lineage: Vec<u64>,
    plan: Plan,
    /// The process that made this. In any other one, a fork of that, it is somebody else's.
    owner: u32,
    stage: Mutex<Stage>,
}

/// What was chosen of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) name: Option<String>,
    pub(super) daemon: bool,
    pub(super) options: ProcessOptions,
    pub(super) command: WorkerCommand,
}

impl Process {
    /// A process for this function and these arguments. It is not started yet.
    pub fn new<F, Args>(target: F, args: Args) -> Self
    where
        F: Target<Args>,
        Args: Arguments + Send + 'static,
    {
        Self::builder().target(target, args)
    }

    /// Chooses a name and other things first.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn make(plan: Plan, call: Call) -> Self {
        let lineage = next_lineage();
        let name = plan.name.clone().unwrap_or_else(|| default_name(&lineage));
        let stage = Mutex::new(Stage::Initial(call));
        Self { inner: Arc::new(Inner { name, lineage, plan, owner: std::process::id(), stage }) }
    }

    /// Starts it, once. Returns when the process exists, not when it runs its function. The arguments are encoded now, and
    /// dropped here.
    ///
    /// # Errors
    /// It was started or closed before, this process is a daemon or a fork, the arguments cannot be encoded, or the system
    /// refused. After an error of the last two kinds it may be tried again.
    pub fn start(&self) -> Result<(), ProcessError> {
        #[cfg(all(target_os = "linux", not(pool_portable)))]
        super::unbegun::refuse("start a process of its own");
        self.check_start()?;
        // As Python does: children that have ended are reaped when the next one starts.
        let _running = children::active_children();
        let call = self.take_call()?;
        match self.launch(&call) {
            Ok(handle) => {
                *self.inner.stage.lock() = Stage::Started(Arc::new(handle));
                children::add(self.clone());
                Ok(())
            }
            Err(error) => {
                *self.inner.stage.lock() = Stage::Initial(call);
                Err(error)
            }
        }
    }

    /// Waits for its end. May be repeated.
    ///
    /// # Errors
    /// It was not started, it was closed, or this process is a fork of its parent.
    pub fn join(&self) -> Result<(), ProcessError> {
        let handle = self.started()?;
        // Where the system has no memory for this wait, reaping waits as well.
        let _ended = handle.wait(None);
        self.reap(&handle);
        Ok(())
    }

    /// Waits for its end no longer than this, and says whether it has ended.
    ///
    /// # Errors
    /// It was not started, it was closed, this process is a fork of its parent, or the system has no memory for the wait.
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, ProcessError> {
        let handle = self.started()?;
        let ended = handle.wait(Some(timeout)).map_err(|source| {
            let (name, pid) = (self.name().to_owned(), handle.pid());
            ProcessError::Wait { name, pid, source }
        })?;
        if ended {
            self.reap(&handle);
        }
        Ok(ended)
    }

    /// How it ended: its exit code, or minus the number of the signal that ended it. None while it has not ended, and where
    /// the program reaps every child by itself and so came first.
    pub fn exitcode(&self) -> Option<i32> {
        self.exit_cause().and_then(ExitCause::code)
    }

    /// How it ended, once it has.
    pub fn exit_cause(&self) -> Option<ExitCause> {
        match self.look() {
            Look::Ended(_, cause) => Some(cause),
            Look::Closed(cause) => cause,
            Look::Initial | Look::Running(_) | Look::Foreign => None,
        }
    }

    /// Whether it was started and has not ended.
    pub fn is_alive(&self) -> bool {
        matches!(self.look(), Look::Running(_))
    }

    /// What becomes readable at its end: for [`process::wait`](crate::process::wait), poll(2) or an event loop. It may be
    /// kept when the process is closed.
    ///
    /// # Errors
    /// It was not started, it was closed, or this process is a fork of its parent.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub fn sentinel(&self) -> Result<Sentinel, ProcessError> {
        self.started().map(Sentinel)
    }

    /// Asks it to end, by SIGTERM. Nothing happens once it has ended.
    ///
    /// # Errors
    /// It was not started, it was closed, or this process is a fork of its parent.
    pub fn terminate(&self) -> Result<(), ProcessError> {
        self.signal(ProcessHandle::terminate)
    }

    /// Ends it by SIGKILL. Nothing happens once it has ended.
    ///
    /// # Errors
    /// It was not started, it was closed, or this process is a fork of its parent.
    pub fn kill(&self) -> Result<(), ProcessError> {
        self.signal(ProcessHandle::kill)
    }

    /// Interrupts it as Ctrl-C does, by SIGINT, which ends a process that has not set up a handler. Nothing happens once it
    /// has ended.
    ///
    /// # Errors
    /// It was not started, it was closed, or this process is a fork of its parent.
    pub fn interrupt(&self) -> Result<(), ProcessError> {
        self.signal(ProcessHandle::interrupt)
    }

    /// Its process number, from its start on.
    pub fn pid(&self) -> Option<u32> {
        match &*self.inner.stage.lock() {
            Stage::Initial(_) | Stage::Starting => None,
            Stage::Started(handle) => Some(handle.pid()),
            Stage::Closed { pid, .. } => *pid,
        }
    }

    /// Its name: `Process-1` unless another was chosen.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether it is ended with its parent's main function.
    pub fn daemon(&self) -> bool {
        self.inner.plan.daemon
    }

    /// Gives back what it holds of the system. Its name, pid and exit code stay known; every other call is an error from
    /// now on. Closing it once more does nothing.
    ///
    /// # Errors
    /// It still runs.
    pub fn close(&self) -> Result<(), ProcessError> {
        let (pid, cause) = match self.look() {
            Look::Closed(_) => return Ok(()),
            Look::Foreign => return Err(self.forked()),
            Look::Running(pid) => return Err(self.still_running(Some(pid))),
            Look::Initial => (None, None),
            Look::Ended(pid, cause) => (Some(pid), Some(cause)),
        };
        let former = {
            let mut stage = self.inner.stage.lock();
            match (&*stage, pid) {
                (Stage::Initial(_), None) | (Stage::Started(_), Some(_)) => {
                    std::mem::replace(&mut *stage, Stage::Closed { pid, cause })
                }
                (Stage::Closed { .. }, _) => return Ok(()),
                // Another thread has started it since.
                _ => return Err(self.still_running(None)),
            }
        };
        // Arguments may run code of the program's when they are dropped.
        drop(former);
        Ok(())
    }

    /// The process that made this one.
    pub(super) fn owner(&self) -> u32 {
        self.inner.owner
    }

    /// Whether this process is the one that made it.
    pub(super) fn is_own(&self) -> bool {
        self.owner() == std::process::id()
    }

    /// Whether nobody waits for it at the end of its parent.
    pub(super) fn outlives_parent(&self) -> bool {
        self.inner.plan.options.outlive_parent
    }

    fn check_start(&self) -> Result<(), ProcessError> {
        let name = || self.name().to_owned();
        let current = current_process();
        if !self.is_own() {
            return Err(self.forked());
        }
        if current.daemon() {
            return Err(ProcessError::DaemonParent { name: name(), daemon: current.name().to_owned() });
        }
        if self.daemon() && self.outlives_parent() {
            return Err(ProcessError::DaemonOutlives { name: name() });
        }
        Ok(())
    }

    /// From `Initial` to `Starting`.
    fn take_call(&self) -> Result<Call, ProcessError> {
        let mut stage = self.inner.stage.lock();
        let name = || self.name().to_owned();
        match std::mem::replace(&mut *stage, Stage::Starting) {
            Stage::Initial(call) => Ok(call),
            other => {
                let closed = matches!(other, Stage::Closed { .. });
                *stage = other;
                if closed { Err(self.closed()) } else { Err(ProcessError::AlreadyStarted { name: name() }) }
            }
        }
    }

    fn launch(&self, call: &Call) -> Result<ProcessHandle, ProcessError> {
        let Inner { name, lineage, plan, .. } = &*self.inner;
        plan.command.check().map_err(|source| ProcessError::Command { name: name.clone(), source })?;
        let request = call.encode(name)?;
        let boot = ProcessBoot {
            name: name.clone(),
            lineage: lineage.clone(),
            daemon: plan.daemon,
            parent_name: current_process().name().to_owned(),
            depth: depth().saturating_add(1),
            log_level: log::max_level() as usize,
        };
        let boot = boot.encode(task::fingerprint(), &request).map_err(|failure| call.refused(name, failure))?;
        drop(request);
        ProcessHandle::start(&boot, &plan.command, plan.options)
            .map_err(|source| ProcessError::Start { name: name.clone(), source })
    }

    /// The running or ended process, for what only its parent may do.
    fn started(&self) -> Result<Arc<ProcessHandle>, ProcessError> {
        if !self.is_own() {
            return Err(self.forked());
        }
        match &*self.inner.stage.lock() {
            Stage::Started(handle) => Ok(Arc::clone(handle)),
            Stage::Initial(_) | Stage::Starting => Err(ProcessError::NotStarted { name: self.name().to_owned() }),
            Stage::Closed { .. } => Err(self.closed()),
        }
    }

    /// Sends a signal, which finds nobody where it has ended.
    fn signal(&self, send: fn(&ProcessHandle) -> bool) -> Result<(), ProcessError> {
        let handle = self.started()?;
        let _found_somebody = send(&handle);
        Ok(())
    }

    /// Looks whether it has ended, and reaps it if it has.
    pub(super) fn look(&self) -> Look {
        let handle = match &*self.inner.stage.lock() {
            Stage::Initial(_) => return Look::Initial,
            Stage::Closed { cause, .. } => return Look::Closed(*cause),
            _ if !self.is_own() => return Look::Foreign,
            Stage::Starting => return Look::Initial,
            Stage::Started(handle) => Arc::clone(handle),
        };
        if handle.has_ended() { Look::Ended(handle.pid(), self.reap(&handle)) } else { Look::Running(handle.pid()) }
    }

    fn reap(&self, handle: &ProcessHandle) -> ExitCause {
        let cause = handle.reap();
        children::forget(self);
        cause
    }

    fn still_running(&self, pid: Option<u32>) -> ProcessError {
        ProcessError::StillRunning { name: self.name().to_owned(), pid }
    }

    fn closed(&self) -> ProcessError {
        ProcessError::Closed { name: self.name().to_owned() }
    }

    fn forked(&self) -> ProcessError {
        ProcessError::Forked { name: self.name().to_owned(), owner: self.inner.owner }
    }
}

/// Two are equal when they are the same process.
impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Process {}

/// A descriptor that becomes readable when a process has ended. It is not to be read from.
#[cfg(all(target_os = "linux", not(pool_portable)))]
#[derive(Clone, Debug)]
pub struct Sentinel(Arc<ProcessHandle>);

#[cfg(all(target_os = "linux", not(pool_portable)))]
impl AsFd for Sentinel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
