//! What a process has: descriptors, threads, children and shared mappings. Only of use in a process of one's own.

use std::fs;

use crate::watchdog::{until, when};

/// What a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: Vec<String>,
    threads: Vec<String>,
    /// Mappings of memory that has no file.
    mappings: Vec<String>,
    children: Vec<u32>,
}

impl Holdings {
    pub(crate) fn count() -> Self {
        Self { descriptors: descriptors(), threads: threads(), mappings: mappings(), children: children() }
    }

    /// Waits until this process has again what it had: a thread that was joined may be listed a moment longer.
    #[track_caller]
    pub(crate) fn assert_as_before(&self) {
        until(&format!("what there was before: {self:#?}"), || {
            let now = Self::count();
            when(*self == now, now)
        });
    }
}

/// How many descriptors this process has.
pub(crate) fn descriptor_count() -> u64 {
    descriptors().len().try_into().unwrap()
}

/// The children of this process, zombies among them.
pub(crate) fn children() -> Vec<u32> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut children: Vec<u32> = pids.filter(|&pid| parent_of(pid) == Some(own)).collect();
    children.sort_unstable();
    children
}

/// Whether the process runs or sleeps: it is not gone, and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
}

fn parent_of(pid: u32) -> Option<u32> {
    stat(pid)?[1].parse().ok()
}

/// The fields behind the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = line.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn descriptors() -> Vec<String> {
    let numbers: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path()).collect();
    // The directory's own is closed by now.
    let targets = numbers.iter().flat_map(fs::read_link);
    let mut targets: Vec<String> = targets.map(|target| target.display().to_string()).collect();
    targets.sort();
    targets
}

fn threads() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok()).collect();
    names.sort();
    names
}

/// Waits until all other threads of this process sleep.
pub(crate) fn await_rest() {
    until("all other threads to sleep", || {
        let busy = busy_threads();
        when(busy.is_empty(), busy)
    });
}

/// The threads of this process that do not sleep, but for the calling one: of each the name and the state.
fn busy_threads() -> Vec<String> {
    let own = rustix::thread::gettid().as_raw_nonzero().get().to_string();
    let entries = fs::read_dir("/proc/self/task").unwrap().flatten();
    let others = entries.filter(|entry| entry.file_name().to_str() != Some(&own));
    let states = others.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    states.filter(|stat| stat.rsplit_once(") ").is_none_or(|(_, fields)| !fields.starts_with('S'))).collect()
}

fn mappings() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter_map(|line| line.split_once("/memfd:").map(|(_, name)| name.to_owned())).collect()
}
