//! Who this process is, and who started it: by name, as processes of this library know each other.
//!
//! Keeps true: a process that nobody of ours started is `MainProcess`; what a process is called never changes. Never:
//! takes a number for the process that it once named: the parent is asked by pidfd.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pool_ipc::ParentHandle;

use crate::worker;

/// The process that asks.
///
/// ```
/// use pool_core::{Process, current_process};
///
/// assert_eq!(current_process().name(), "MainProcess");
/// let child = Process::new(|| assert!(current_process().name().starts_with("Process-")), ());
/// child.start()?;
/// child.join()?;
/// assert_eq!(child.exitcode(), Some(0));
/// # Ok::<(), pool_core::ProcessError>(())
/// ```
pub fn current_process() -> CurrentProcess {
    let pid = std::process::id();
    match (worker::identity(), OWN.get()) {
        (Some(worker), _) => CurrentProcess { name: worker.name, pid, daemon: false },
        (None, Some(own)) => CurrentProcess { name: own.name.clone(), pid, daemon: own.daemon },
        (None, None) => CurrentProcess { name: MAIN.to_owned(), pid, daemon: false },
    }
}

/// The process that started this one, where this library did: none in a main process.
pub fn parent_process() -> Option<ParentProcess> {
    match (worker::identity(), OWN.get()) {
        (Some(worker), _) => Some(ParentProcess { name: worker.parent_name, pid: worker.parent_pid }),
        (None, Some(own)) => Some(ParentProcess { name: own.parent_name.clone(), pid: own.parent_pid }),
        (None, None) => None,
    }
}

/// What [`current_process`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentProcess {
    name: String,
    pid: u32,
    daemon: bool,
}

impl CurrentProcess {
    /// `MainProcess`, `Process-1`, a child of that `Process-1:2`, or for a pool's worker `SpawnProcess-1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it ends with its parent's main function.
    pub fn daemon(&self) -> bool {
        self.daemon
    }
}

/// What [`parent_process`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentProcess {
    name: String,
    pid: u32,
}

impl ParentProcess {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process number. Once it has ended, the number may be another process's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    ///
    /// A process ends with its parent unless it was started to outlive it, so only such a one will ever see `false`.
    pub fn is_alive(&self) -> bool {
        // Where the system has no descriptor left to ask by, it is taken to live: nothing has told of its end.
        self.join_timeout(Duration::ZERO).map_or(true, |ended| !ended)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The system has no descriptor or memory for the wait.
    pub fn join(&self) -> io::Result<()> {
        self.wait(None).map(drop)
    }

    /// Waits for its end no longer than this, and says whether it has ended.
    ///
    /// # Errors
    /// The system has no descriptor or memory for the wait.
    pub fn join_timeout(&self, timeout: Duration) -> io::Result<bool> {
        self.wait(Some(timeout))
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        match ParentHandle::find(self.pid)? {
            Some(handle) => handle.wait(timeout),
            None => Ok(true),
        }
    }
}

/// How many processes were started one by another down to this one: 0 in a main process. Pools in a worker that is a
/// thread count it, too.
pub(crate) fn depth() -> u32 {
    match (worker::identity(), OWN.get()) {
        (Some(worker), _) => worker.depth,
        (None, Some(own)) => own.depth,
        (None, None) => 0,
    }
}

/// Who a process is that runs one function, as its parent said.
#[derive(Debug)]
pub(super) struct Own {
    /// `Process-1`.
    pub(super) name: String,
    /// What the names of its children begin with.
    pub(super) lineage: Vec<u64>,
    /// Whether it is one.
    pub(super) daemon: bool,
    /// The name of the process that started it.
    pub(super) parent_name: String,
    /// The pid of that.
    pub(super) parent_pid: u32,
    /// How many it is away from the main process.
    pub(super) depth: u32,
}

/// Takes the name that the parent gave. Once in a process.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(super) fn become_process(own: Own) {
    let name = own.name.clone();
    OWN.set(own).unwrap_or_else(|_| unreachable!("a process becomes {name} once"));
}

/// The numbers of the next child, the last one being its own among this process's children.
pub(super) fn next_lineage() -> Vec<u64> {
    let mut lineage = match (worker::identity(), OWN.get()) {
        (Some(worker), _) => lineage_of_worker(&worker.name),
        (None, Some(own)) => own.lineage.clone(),
        (None, None) => Vec::new(),
    };
    lineage.push(NEXT_CHILD.fetch_add(1, Ordering::Relaxed));
    lineage
}

/// `Process-1:2` for 1 and 2.
pub(super) fn default_name(lineage: &[u64]) -> String {
    let numbers: Vec<String> = lineage.iter().map(u64::to_string).collect();
    format!("Process-{}", numbers.join(":"))
}

/// The number in `SpawnProcess-3`. A worker of a pool with a name of its own has none: its children count from 1.
fn lineage_of_worker(name: &str) -> Vec<u64> {
    name.strip_prefix("SpawnProcess-").and_then(|number| number.parse().ok()).into_iter().collect()
}

const MAIN: &str = "MainProcess";

static OWN: OnceLock<Own> = OnceLock::new();
static NEXT_CHILD: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_line_of_parents() {
        assert_eq!(default_name(&[3]), "Process-3");
        assert_eq!(default_name(&[1, 2, 10]), "Process-1:2:10");
        assert_eq!(lineage_of_worker("SpawnProcess-3"), [3]);
        assert_eq!(lineage_of_worker("pool_0"), [0; 0]);
    }

    #[test]
    fn a_main_process_has_no_parent_that_we_know() {
        let pid = std::process::id();
        assert_eq!(current_process(), CurrentProcess { name: MAIN.to_owned(), pid, daemon: false });
        assert_eq!(parent_process(), None);
    }
}
