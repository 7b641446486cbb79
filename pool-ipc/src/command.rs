//! What a child process runs: the program, its arguments, its environment, its directory. Never starts anything.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use crate::groups::Groups;

/// Which program a worker process runs. The default is this very program, by the file that it was started from even if
/// another has taken its name since, with this process's own arguments and environment.
#[derive(Clone, Debug, Default)]
pub struct WorkerCommand {
    /// The executable; none means this one.
    pub program: Option<PathBuf>,
    /// Its arguments; none means this process's.
    pub arguments: Option<Vec<OsString>>,
    /// Variables to set, or with `None` to remove, beyond what is inherited.
    pub environment: BTreeMap<OsString, Option<OsString>>,
    /// The directory to start in; none means this process's.
    pub directory: Option<PathBuf>,
    /// How much private memory the worker may have, in bytes, and each process that it starts; none means what this process
    /// may. Memory that it shares with this process does not count.
    pub memory_limit: Option<NonZeroU64>,
    /// Where a control group is made for it; none means that it is in this process's.
    pub cgroup: Option<Arc<Groups>>,
}
