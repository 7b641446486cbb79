//! The victim: this very program, started again with a pool that has much to do, until it is killed.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::ProcessPoolExecutor;

use crate::book::Book;
use crate::findings::Findings;
use crate::load::Load;
use crate::readiness::is_readable;
use crate::targets::Target;
use crate::watchdog::Progress;
use crate::{processes, tasks, tokens};

/// What it is called in the arguments.
pub(crate) const NAME: &str = "parent-kill-victim";

/// How many workers it has.
const WORKERS: usize = 3;

/// After so many tasks a worker ends, with what they started.
const TASKS_A_WORKER: usize = 50;

/// How often one of its tasks starts a process and leaves it behind, besides what the load does.
const BETWEEN_CHILDREN: Duration = Duration::from_millis(10);

/// A victim that was started.
#[derive(Debug)]
pub(super) struct Victim {
    process: Target,
    /// At its end when nobody writes to it any more.
    pipe: File,
}

impl Victim {
    /// Starts one.
    ///
    /// # Errors
    /// The system does not.
    pub(super) fn start(token: &str, seed: u64, temporary: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("it cannot be started: {error}");
        let (read, write) = std::io::pipe().map_err(failed)?;
        let mut command = Command::new("/proc/self/exe");
        command.args([NAME, &seed.to_string()]).env(tokens::VARIABLE, token).env("TMPDIR", temporary);
        // A first backtrace takes longer than a victim lives.
        command.env_remove("RUST_BACKTRACE");
        // A group that has a number here, whatever that of this process is: its workers go there as they end.
        command.process_group(0);
        // Its stdout is everybody's who works for it.
        command.stdin(Stdio::null()).stdout(Stdio::from(OwnedFd::from(write)));
        #[expect(
            clippy::disallowed_methods,
            reason = "a victim is no worker; all children of \
                 this process are reaped together"
        )]
        let pid = command.spawn().map_err(failed)?.id();
        // Drops our copy of the pipe's other end.
        drop(command);
        let process = Target::worker(pid).ok_or("it ended before it was killed")?;
        Ok(Self { process, pipe: File::from(OwnedFd::from(read)) })
    }

    /// Whether it is no more.
    pub(super) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// Kills it.
    pub(super) fn kill(&self) {
        self.process.kill();
    }

    /// Waits until it has ended, whoever else is left. False: it has not.
    pub(super) fn wait_for_end(&self, limit: Duration) -> bool {
        self.process.wait(limit)
    }

    /// What it does and waits for.
    pub(super) fn describe(&self) -> String {
        processes::describe(self.process.pid)
    }

    /// Waits until nobody holds the pipe any more. False: somebody does.
    pub(super) fn wait_until_all_let_go(mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut said = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if !is_readable(self.pipe.as_fd(), left) {
                return false;
            }
            match self.pipe.read(&mut said) {
                Ok(0) => return true,
                // What its tasks print.
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// What the victim does.
///
/// # Errors
/// It was called by somebody who does not know it.
pub(crate) fn be_the_victim(words: &[String]) -> Result<ExitCode, String> {
    let seed = words.first().and_then(|word| word.parse().ok()).ok_or("the victim needs a seed")?;
    let pool = Arc::new(
        ProcessPoolExecutor::builder()
            .max_workers(WORKERS)
            .max_tasks_per_worker(TASKS_A_WORKER)
            .build()
            .map_err(|error| error.to_string())?,
    );
    let book = Arc::new(Book::new(Arc::new(Findings::new()), Arc::new(Progress::new())));
    // What a worker that crashed has started is its pool's to end, which is killed here before it may have seen the crash.
    let _load = Load::start_sparing_workers(&pool, &book, seed);
    loop {
        // More of these than the load has, since there is so little time.
        let _ = pool.submit(tasks::leave_child, (book.open(),));
        std::thread::park_timeout(BETWEEN_CHILDREN);
    }
}
