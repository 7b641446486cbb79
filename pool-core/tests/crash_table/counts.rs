//! How much a process has, which is of use in a process of one's own, and whether another one is there.

use std::fs;

use crate::watchdog::{until, when};

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    descriptors: usize,
    threads: usize,
    /// Zombies among them.
    children: usize,
    /// Of memory without a file.
    mappings: usize,
}

impl Counts {
    pub(crate) fn now() -> Self {
        Self {
            // The directory's own is among them, each time.
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
            children: children(),
            mappings: fs::read_to_string("/proc/self/maps").unwrap().matches("/memfd:").count(),
        }
    }

    /// The same with so many descriptors more.
    pub(crate) fn and_descriptors(self, more: usize) -> Self {
        Self { descriptors: self.descriptors + more, ..self }
    }

    /// Waits until it is as it was: what is ended by others is gone a moment later.
    #[track_caller]
    pub(crate) fn await_again(self, when_was_it: &str) {
        until(&format!("what there was {when_was_it}: {self:?}"), || {
            let now = Self::now();
            when(now == self, now)
        });
    }
}

/// Whether the process is there, and no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    line.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

fn children() -> usize {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    // Behind the name, which may hold anything: the state, then the parent.
    stats.filter(|stat| stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(1)) == Some(&own)).count()
}
