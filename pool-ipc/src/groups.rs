//! A control group for each worker: made before it starts, entered before it runs anything, ended with it, and removed.
//!
//! What holds: a group is removed once its worker is reaped, or as soon after that as the last one in it is dead; those of a
//! program that was killed are removed by the next one that makes groups at the same place. A fork of the program touches no
//! group. What never happens here: a wait, but for the dead at the very end.

mod own;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

pub(crate) use self::own::own_folder;
use crate::cgroup::{Cgroup, CgroupError};

/// The names of groups begin so; the number of the process that made it follows, and one of its own.
const PREFIX: &str = "pool-core-";

/// How long a killed process may take to be gone before its group is left behind at the end. A busy machine takes its time
/// over that, more than a second at times. Only one that does not die at all costs this much.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// The files of a group that are written to.
const PROCESSES: &str = "cgroup.procs";
const KILL: &str = "cgroup.kill";
const MEMORY_MAX: &str = "memory.max";
const PIDS_MAX: &str = "pids.max";

/// A place where the groups of a pool's workers are made.
#[derive(Debug)]
pub struct Groups {
    folder: PathBuf,
    options: Cgroup,
    /// The process that opened it. In a fork of that it is a shell.
    home: u32,
    /// Groups that could not be removed yet, as somebody in them was still dying.
    left: Mutex<Vec<PathBuf>>,
}

impl Cgroup {
    /// Sees whether groups with these limits can be made there, by making one.
    ///
    /// # Errors
    /// They cannot: there is no such group, no right to write to it, or no controller for a limit.
    pub fn open(&self) -> Result<Arc<Groups>, CgroupError> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => own_folder().ok_or_else(|| {
                let source = io::Error::other("this process is in no control group of version 2 that is mounted");
                failed("finding the control group of this process", Path::new("/proc/self/cgroup"))(source)
            })?,
        };
        if !self.imitated {
            check_file_system(&folder)?;
            check_way(&folder)?;
        }
        remove_stale(&folder);
        let (options, home) = (self.clone(), std::process::id());
        let groups = Arc::new(Groups { folder, options, home, left: Mutex::default() });
        groups.turn_controllers_on()?;
        groups.make()?;
        Ok(groups)
    }

    /// The limits, by the files that they are written to.
    fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let memory = self.memory_max.map(|bytes| (MEMORY_MAX, bytes));
        memory.into_iter().chain(self.pids_max.map(|pids| (PIDS_MAX, pids.into())))
    }
}

impl Groups {
    /// How much memory each group may have.
    pub fn memory_max(&self) -> Option<u64> {
        self.options.memory_max
    }

    /// Makes a group for one worker.
    pub(crate) fn make(self: &Arc<Self>) -> Result<WorkerGroup, CgroupError> {
        /// Counts the groups of all pools of this process.
        static MADE: AtomicU64 = AtomicU64::new(0);
        self.remove_left();
        let name = format!("{PREFIX}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = self.folder.join(name);
        fs::create_dir(&folder).map_err(failed("making a control group", &folder))?;
        let group = WorkerGroup { groups: Arc::clone(self), folder };
        for (file, limit) in self.options.limits() {
            group.write(file, limit).map_err(failed("limiting a control group", &group.folder.join(file)))?;
        }
        Ok(group)
    }

    /// Limits need what the kernel calls a controller, which the group above has to turn on for those below it.
    fn turn_controllers_on(&self) -> Result<(), CgroupError> {
        let path = self.folder.join("cgroup.subtree_control");
        let on = fs::read_to_string(&path).unwrap_or_default();
        let names = self.options.limits().filter_map(|(file, _)| file.split('.').next());
        let missing: Vec<String> = names
            .filter(|name| on.split_whitespace().all(|word| word != *name))
            .map(|name| format!("+{name}"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let written = write(&path, &missing.join(" "), self.options.imitated);
        written.map_err(failed("turning a controller on for the groups below", &path))
    }

    fn remove(&self, folder: &Path) {
        if self.home != std::process::id() {
            return;
        }
        self.remove_left();
        if !self.is_removed(folder) {
            self.left.lock().push(folder.to_path_buf());
        }
    }

    fn remove_left(&self) {
        self.left.lock().retain(|folder| !self.is_removed(folder));
    }

    /// Removes a group unless somebody is in it.
    fn is_removed(&self, folder: &Path) -> bool {
        if self.options.imitated {
            // On the real file system these go with their folder.
            for file in [PROCESSES, KILL, MEMORY_MAX, PIDS_MAX] {
                let _absent = fs::remove_file(folder.join(file));
            }
        }
        match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Groups {
    /// Who was killed last may not be gone yet.
    fn drop(&mut self) {
        if self.home != std::process::id() {
            return;
        }
        let deadline = Instant::now() + LAST_WAIT;
        for folder in std::mem::take(&mut *self.left.lock()) {
            while !self.is_removed(&folder) {
                if await_change(&folder, deadline).is_none() {
                    crate::tell!(Warn, "the control group {} cannot be removed: it has processes", folder.display());
                    break;
                }
            }
        }
    }
}

/// The group of one worker. Removed when it is dropped.
#[derive(Debug)]
pub(crate) struct WorkerGroup {
    groups: Arc<Groups>,
    folder: PathBuf,
}

impl WorkerGroup {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn memory_max(&self) -> Option<u64> {
        self.groups.memory_max()
    }

    /// Puts a process into it, which all that it starts from then on inherit. One that has ended is as good.
    pub(crate) fn admit(&self, pid: u32) -> Result<(), CgroupError> {
        match self.write(PROCESSES, pid.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
            written => written.map_err(failed("putting a worker into its control group", &self.folder.join(PROCESSES))),
        }
    }

    /// Kills all that are in it. Kernels before 5.14 cannot.
    pub(crate) fn kill(&self) {
        if let Err(error) = self.write(KILL, 1) {
            crate::tell!(Debug, "the control group {} was not killed: {error}", self.folder.display());
        }
    }

    /// Removes it, now or later.
    pub(crate) fn remove(&self) {
        self.groups.remove(&self.folder);
    }

    fn write(&self, file: &str, value: u64) -> io::Result<()> {
        write(&self.folder.join(file), &value.to_string(), self.groups.options.imitated)
    }
}

impl Drop for WorkerGroup {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Such files take each write as a whole, and none can be made.
fn write(path: &Path, text: &str, imitated: bool) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create(imitated).truncate(imitated).open(path)?.write_all(text.as_bytes())
}

/// Elsewhere the files would be made, and nobody would be limited by them.
fn check_file_system(folder: &Path) -> Result<(), CgroupError> {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    let doing = failed("finding a control group", folder);
    match rustix::fs::statfs(folder) {
        Ok(found) if u64::try_from(found.f_type) == Ok(CGROUP2_SUPER_MAGIC) => Ok(()),
        Ok(_) => Err(doing(io::Error::other("it is no control group of version 2"))),
        Err(errno) => Err(doing(errno.into())),
    }
}

/// Who moves a process needs the right to write to the group that both groups are in.
fn check_way(folder: &Path) -> Result<(), CgroupError> {
    let Some(above) = own_folder().and_then(|own| common_ancestor(&own, folder)) else { return Ok(()) };
    let processes = above.join(PROCESSES);
    let allowed = rustix::fs::access(&processes, Access::WRITE_OK).map_err(io::Error::from);
    allowed.map_err(failed("moving workers to another control group", &processes))
}

/// The innermost folder that holds both, or is one of them.
fn common_ancestor(one: &Path, other: &Path) -> Option<PathBuf> {
    one.ancestors().find(|ancestor| other.starts_with(ancestor)).map(Path::to_path_buf)
}

/// Removes the groups of programs that are no more. Nobody is in them, or this does nothing.
fn remove_stale(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok());
        if maker.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH)) {
            let _occupied = fs::remove_dir(entry.path());
        }
    }
}

/// Waits until the group's list of processes may have become empty; `None` where that takes too long.
fn await_change(folder: &Path, deadline: Instant) -> Option<()> {
    let events = fs::File::open(folder.join("cgroup.events")).ok()?;
    if io::read_to_string(&events).ok()?.lines().any(|line| line == "populated 0") {
        // Removed by now, or for another reason not to be.
        return if fs::remove_dir(folder).is_ok() { Some(()) } else { None };
    }
    let left = deadline.checked_duration_since(Instant::now())?;
    let mut fds = [PollFd::new(&events, PollFlags::PRI)];
    rustix::event::poll(&mut fds, Timespec::try_from(left).ok().as_ref()).ok()?;
    Some(())
}

/// An error of this module.
fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_path_buf();
    move |source| CgroupError { doing, path, source }
}

#[cfg(test)]
mod tests;
