//! Tests that need a process for themselves, because they count what a process has, or change what it has once.
//!
//! Such a test runs in a worker of the shared memory backend, before `main`, whose only other thread is its watcher. The
//! worker says what went wrong, if anything did.

use std::any::Any;
use std::collections::BTreeMap;

use pool_ipc::{Backend, ExitCause, FarEnd, InProcess, IpcChannel, SharedMemory};
use rustix::process::{WaitId, WaitIdOptions};

use crate::rig::Rig;
use crate::{attacks, kernels, limits, starting};

/// Runs a test of [`test_named`] on a backend, in a process of its own.
pub(crate) fn run(name: &str, backend: &dyn Backend) {
    let mut rig = Rig::new(&SharedMemory::new());
    let link = rig.start_with(&format!("isolated {name} {}", backend.name()));
    let said = rig.said(&link);
    assert_eq!(String::from_utf8_lossy(&said), "passed");
    assert_eq!(rig.end(&link).cause, ExitCause::Code(0));
}

/// The worker's side.
pub(crate) fn run_here(far: &mut dyn FarEnd, name_and_backend: &str) {
    let (name, backend) = name_and_backend.split_once(' ').expect("a test and a backend");
    let (test, backend) = (test_named(name), backend_named(backend));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&*backend)));
    let words = result.map_or_else(|panic| message(&*panic), |()| "passed".to_owned());
    far.say(words.as_bytes()).expect("the test listens");
}

fn test_named(name: &str) -> fn(&dyn Backend) {
    match name {
        "leaks" => starting::count_what_links_and_hubs_leave_behind,
        "start-without-descriptors" => starting::start_with_ever_more_descriptors,
        "post-without-descriptors" => limits::post_without_descriptors,
        "post-without-memory" => kernels::post_without_memory,
        "commit-by-descriptors" => kernels::commit_by_descriptors,
        "change-requests" => attacks::change_requests,
        "collect-without-descriptors" => limits::collect_without_descriptors,
        _ => panic!("there is no test called {name}"),
    }
}

fn backend_named(name: &str) -> Box<dyn Backend> {
    match name {
        "shared_memory" => Box::new(SharedMemory::new()),
        "ipc_channel" => Box::new(IpcChannel::new()),
        "in_process" => Box::new(InProcess::new()),
        _ => panic!("there is no backend called {name}"),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// What this process has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: Vec<String>,
    threads: Vec<String>,
    /// Mappings of memfds, by name.
    mappings: BTreeMap<String, usize>,
    has_children: bool,
}

impl Holdings {
    pub(crate) fn count() -> Self {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let has_children = !matches!(rustix::process::waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD));
        Self { descriptors: descriptors(), threads: threads(), mappings: mappings(), has_children }
    }

    /// How many more descriptors of shared memory there are than before.
    pub(crate) fn more_memory_than(&self, before: &Self) -> usize {
        let count = |holdings: &Self| holdings.descriptors.iter().filter(|target| target.contains("memfd:")).count();
        count(self) - count(before)
    }

    /// Waits until this process has again what it had. A thread that was joined may still be listed for a moment.
    pub(crate) fn wait_until_as_before(&self, what: &str) {
        let limit = std::time::Instant::now() + crate::rig::LIMIT;
        loop {
            let now = Self::count();
            if *self == now {
                return;
            }
            let late = std::time::Instant::now() > limit;
            assert!(!late, "{what}: there was {self:#?}, and now there is {now:#?}");
            std::thread::yield_now();
        }
    }
}

fn descriptors() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is there");
    let numbers: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    // The directory's own is closed by now.
    let mut targets: Vec<String> =
        numbers.iter().flat_map(std::fs::read_link).map(|target| target.display().to_string()).collect();
    targets.sort();
    targets
}

fn threads() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/task").expect("/proc is there").flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok()).collect();
    names.sort();
    names
}

fn mappings() -> BTreeMap<String, usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc is there");
    let mut counts = BTreeMap::new();
    for name in maps.lines().filter_map(|line| line.split_once("/memfd:").map(|(_, name)| name)) {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}
