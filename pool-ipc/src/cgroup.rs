//! Which control group workers get, and why they do not get one. Values only: what is done with them is in `groups`.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A control group of its own for each worker, below one that this process may write to: version 2, of Linux.
///
/// ```
/// use pool_ipc::Cgroup;
///
/// let cgroup = Cgroup::at("/sys/fs/cgroup/pool.slice").memory_max(512 << 20).pids_max(64);
/// assert_eq!(cgroup.memory_max, Some(512 << 20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgroup {
    /// The folder of the group below which those of workers are made; none means the one that this process is in.
    pub folder: Option<PathBuf>,
    /// How much memory a worker and all that it starts may have together, in bytes.
    pub memory_max: Option<u64>,
    /// How many processes and threads a worker may be and start together.
    pub pids_max: Option<u32>,
    /// A folder of plain files stands for the group: for tests.
    #[doc(hidden)]
    pub imitated: bool,
}

impl Cgroup {
    /// Groups below the one that this process is in.
    ///
    /// The system allows no limits there, unless it is the root of all groups: a group that has processes cannot have
    /// limited groups below it. What it does allow is to end all that a worker has started.
    pub fn own() -> Self {
        Self::default()
    }

    /// Groups below this one, which has no processes of its own: `/sys/fs/cgroup/...`, with the right to write there and in
    /// the groups between it and this process's. systemd gives that by `Delegate=yes`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::default() }
    }

    /// How much memory a worker and all that it starts may have together, in bytes. Who wants more is killed by the kernel's
    /// OOM killer, and the error says so.
    #[must_use]
    pub fn memory_max(self, bytes: u64) -> Self {
        Self { memory_max: Some(bytes), ..self }
    }

    /// How many processes and threads a worker may be and start together. Who wants more gets EAGAIN. A worker that does
    /// nothing has two.
    #[must_use]
    pub fn pids_max(self, pids: u32) -> Self {
        Self { pids_max: Some(pids), ..self }
    }
}

/// Why a control group was not to be had.
#[derive(Debug)]
pub struct CgroupError {
    /// What was being done.
    pub doing: &'static str,
    /// To which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for CgroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for CgroupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
