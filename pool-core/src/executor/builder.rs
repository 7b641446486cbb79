//! Makes pools.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pool_ipc::{Abilities, Backend, Cgroup, HELLO_TIMEOUT, SharedMemory, StartOrder, WorkerCommand, WorkerStderr};

use crate::error::{CodecError, Coded, PoolError, Reason};
use crate::executor::staff::StaffOptions;
use crate::executor::{ProcessPoolExecutor, exit_guard, memory};
use crate::manager::feeder::Packing;
use crate::manager::{Limits, Pool, Recruiter, Strength, Threads, TimeLimits};
use crate::task::{self, Arguments, EncodeFailure, Initializer};
use crate::wire::{Boot, encode_single};

/// Sets up a pool. Made by [`ProcessPoolExecutor::builder`].
///
/// ```
/// use pool_core::{InProcess, ProcessPoolExecutor};
///
/// // In a test, without any process.
/// let pool = ProcessPoolExecutor::builder().max_workers(2).backend(InProcess::new()).build()?;
/// assert_eq!(pool.submit(|n: u32| n + 1, (1,))?.result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing before build()"]
pub struct Builder {
    max_workers: Option<usize>,
    backend: Arc<dyn Backend>,
    initializer: Option<Result<Vec<u8>, Arc<CodecError>>>,
    command: WorkerCommand,
    name: Option<String>,
    stderr: WorkerStderr,
    hello: Duration,
    pub(super) staff: StaffOptions,
    pub(super) cgroup: Option<Cgroup>,
    limits: TimeLimits,
    stop_grace: Duration,
    max_depth: u32,
}

/// How long a worker that was asked to end may take to, unless the pool is told otherwise.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// How deep pools nest unless they are told otherwise.
const MAX_DEPTH: u32 = 10;

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            max_workers: None,
            backend: Arc::new(SharedMemory::new()),
            initializer: None,
            command: WorkerCommand::default(),
            name: None,
            stderr: WorkerStderr::Inherit,
            hello: HELLO_TIMEOUT,
            staff: StaffOptions::default(),
            cgroup: None,
            limits: TimeLimits::default(),
            stop_grace: STOP_GRACE,
            max_depth: MAX_DEPTH,
        }
    }

    /// The most workers at a time, at least 1. By default what this process may use in parallel, its CPU affinity and
    /// cgroup quota minded.
    pub fn max_workers(mut self, max_workers: usize) -> Self {
        self.max_workers = Some(max_workers);
        self
    }

    /// What runs the workers: [`SharedMemory`] by default.
    pub fn backend(mut self, backend: impl Backend + 'static) -> Self {
        self.backend = Arc::new(backend);
        self
    }

    /// Runs in each worker before its first task, and may return a `Result<(), E>`. One that fails breaks the pool: what is
    /// pending fails with its error inside, and so does every later submit.
    pub fn initializer<F, Args>(mut self, _initializer: F, args: Args) -> Self
    where
        F: Initializer<Args>,
        Args: Arguments,
    {
        let request = encode_single(task::initializer_id_of::<F, Args>(), &args, 0);
        let failed = |failure| {
            let reason = match failure {
                EncodeFailure::Codec { reason } => reason,
                EncodeFailure::NoMemory { size } => Reason::of_type(format!("no room for {size} bytes")),
            };
            let (task, type_name) = (std::any::type_name::<F>(), std::any::type_name::<Args>());
            Arc::new(CodecError::new(task, Coded::ArgumentsInCaller, type_name, reason))
        };
        self.initializer = Some(request.map_err(failed));
        self
    }

    /// Sets a variable in the workers' environment. A name that is empty or has a `=`, and a NUL byte anywhere, are refused by
    /// [`build`](Self::build).
    pub fn worker_env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.command.environment.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable from the workers' environment.
    pub fn worker_env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.command.environment.insert(name.into(), None);
        self
    }

    /// The directory that workers start in. By default this process's.
    pub fn worker_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.command.directory = Some(directory.into());
        self
    }

    /// The program that workers run, with its arguments. By default this very program, by the file that it was started
    /// from, with this process's own arguments.
    ///
    /// It has to be the same build, and call [`init`](crate::init) or leave the hook on: one that has other tasks is turned
    /// away with a typed error.
    ///
    /// So one may have its tasks run under valgrind: `worker_command("valgrind", [program])`, where `program` is
    /// [`current_exe`](std::env::current_exe), beside a long [`hello_timeout`](Self::hello_timeout).
    pub fn worker_command<A: Into<OsString>>(
        mut self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.command.program = Some(program.into());
        self.command.arguments = Some(arguments.into_iter().map(Into::into).collect());
        self
    }

    /// What becomes of what workers write to stderr. By default it is this program's own.
    ///
    /// With [`WorkerStderr::Kept`] errors about a worker that died, or was stopped, say what it said last: a C library that
    /// aborts, an allocation that failed, what a task waited for until its time was over. See there what workers notice of it. Workers that are threads write to this program's stderr
    /// whatever is said here, and do not die.
    ///
    /// ```
    /// use pool_core::{ProcessPoolExecutor, TaskError, WorkerStderr};
    ///
    /// fn decode(picture: String) -> usize {
    ///     if picture == "broken.png" {
    ///         eprintln!("libpicture: bad chunk, giving up"); // as a decoder in C might
    ///         std::process::abort();
    ///     }
    ///     picture.len()
    /// }
    ///
    /// let stderr = WorkerStderr::Kept { lines: 10 };
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).worker_stderr(stderr).build()?;
    /// let error = pool.submit(decode, ("broken.png".to_owned(),))?.result().unwrap_err();
    /// let TaskError::WorkerDied(died) = &error else { panic!("{error}") };
    /// assert_eq!(died.stderr.as_deref(), Some("libpicture: bad chunk, giving up"));
    /// assert!(error.to_string().ends_with("\n  its last lines on stderr:\n    libpicture: bad chunk, giving up"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_stderr(mut self, stderr: WorkerStderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// Workers are called `NAME_0`, `NAME_1` and so on, instead of `SpawnProcess-1`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long a worker may take to say hello, 30 seconds by default. Its initializer runs before that. More than 0.
    pub fn hello_timeout(mut self, limit: Duration) -> Self {
        self.hello = limit;
        self
    }

    /// How long each task may run, unless its submit says so: see [`TaskOptions::timeout`](crate::TaskOptions::timeout). More
    /// than 0.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limits.timeout = Some(limit);
        self
    }

    /// How long after its submit each task is to be done, unless that says so: see
    /// [`TaskOptions::deadline`](crate::TaskOptions::deadline). More than 0.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.limits.deadline = Some(limit);
        self
    }

    /// How long a worker has between SIGTERM and SIGKILL when its task is stopped, one second by default. Without any it is
    /// killed at once.
    pub fn stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// How many processes may be started one by another down to the workers of this pool, 10 by default and at least 1: the
    /// workers of a pool in the main process are at depth 1, those of a pool that a task of theirs makes at depth 2, and so on.
    /// A [`Process`](crate::Process) in between counts.
    ///
    /// No more than 16 processes start one by another, whatever is said here.
    ///
    /// A task may have a pool of its own. The limit is there for the task that, by mistake, makes a pool that runs the same
    /// task: it ends with [`PoolError::TooDeep`] and not with a machine full of processes.
    pub fn max_depth(mut self, max_depth: u32) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// Makes the pool and its two threads. No worker is started yet, but for those of [`min_workers`](Self::min_workers).
    ///
    /// In a worker that was started for another pool and never called [`init`](crate::init), this does not return: it
    /// exits with code 3, lest every worker start workers, and the other pool says what to do about that.
    ///
    /// # Errors
    /// An option makes no sense, no process can have such a program, arguments or environment, the initializer's arguments cannot be encoded, or the system refused a thread, a descriptor or
    /// a control group.
    pub fn build(self) -> Result<ProcessPoolExecutor, PoolError> {
        crate::init::keep_hook();
        crate::init::refuse_in_worker();
        let max_workers = match self.max_workers {
            Some(0) => return Err(PoolError::ZeroWorkers),
            Some(max_workers) => max_workers,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        if self.stderr == (WorkerStderr::Kept { lines: 0 }) {
            return Err(PoolError::Option { name: "the lines of worker_stderr", allowed: "at least 1" });
        }
        let depth = self.check_depth()?;
        self.check_times()?;
        let (staffing, max_tasks) = self.staff.check(max_workers)?;
        let Abilities { frames_a_link, processes, recall } = self.backend.abilities();
        if !processes {
            memory::refuse_for_threads(&staffing, self.cgroup.as_ref())?;
        }
        self.command.check().map_err(PoolError::Command)?;
        let cgroup = self.cgroup.as_ref().map(memory::open_cgroup).transpose()?;
        let command = WorkerCommand { memory_limit: staffing.memory_limit, cgroup, ..self.command };
        let initializer = self.initializer.transpose().map_err(PoolError::Initializer)?;
        let hub = self.backend.open().map_err(PoolError::Backend)?;
        let packing = Packing::of(recall);
        let recruiter = recruiter(command, self.name, depth, initializer, self.stderr);
        let pool = Arc::new(Pool::new(hub, recruiter, self.limits, Strength { max_workers, max_tasks, packing }));
        let stop_grace = self.stop_grace;
        let processors = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
        let items_ahead = packing.items_ahead(frames_a_link);
        let limits = Limits {
            max_workers,
            frames_a_link,
            items_ahead,
            hello: self.hello,
            stop_grace,
            processes,
            processors,
            staffing,
        };
        let threads = Threads::start(&pool, limits);
        let threads = threads.map_err(|(name, source)| PoolError::Thread { name: name.to_owned(), source })?;
        exit_guard::watch(&pool);
        if staffing.min_workers > 0 {
            pool.resize(max_workers);
        }
        Ok(ProcessPoolExecutor { pool, threads: Mutex::new(Some(threads)) })
    }

    /// How deep the workers will be.
    fn check_depth(&self) -> Result<u32, PoolError> {
        let limit = self.max_depth;
        match crate::process::depth().saturating_add(1) {
            _ if limit == 0 => Err(PoolError::Option { name: "max_depth", allowed: "at least 1" }),
            depth if depth > limit => Err(PoolError::TooDeep { depth, limit }),
            depth => Ok(depth),
        }
    }

    /// A limit of no time at all could not be kept.
    fn check_times(&self) -> Result<(), PoolError> {
        match self.limits.impossible().or(self.hello.is_zero().then_some("hello_timeout")) {
            Some(name) => Err(PoolError::Option { name, allowed: "more than 0" }),
            None => Ok(()),
        }
    }
}

/// Names workers and tells them what they are to know.
fn recruiter(
    command: WorkerCommand,
    prefix: Option<String>,
    depth: u32,
    initializer: Option<Vec<u8>>,
    stderr: WorkerStderr,
) -> Recruiter {
    /// Counts the workers of all pools of this process that have no name of their own.
    static WORKERS: AtomicU64 = AtomicU64::new(1);
    let own = AtomicU64::new(0);
    Box::new(move || {
        let number = own.fetch_add(1, Ordering::Relaxed);
        let name = match &prefix {
            Some(prefix) => format!("{prefix}_{number}"),
            None => format!("SpawnProcess-{}", WORKERS.fetch_add(1, Ordering::Relaxed)),
        };
        let boot = Boot {
            name: name.clone(),
            parent_name: crate::process::current_process().name().to_owned(),
            parent_pid: std::process::id(),
            depth,
            is_first: number == 0,
            log_level: log::max_level() as usize,
            initializer: initializer.clone(),
        };
        let boot =
            boot.encode(task::fingerprint()).expect("a boot message is small, and its initializer was encoded before");
        StartOrder { boot: boot.into(), command: command.clone(), thread_main: crate::worker::run, name, stderr }
    })
}
