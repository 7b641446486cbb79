//! What this process has: descriptors, threads, children, and memory that it shares or maps.

use std::fs;

use crate::processes;

/// What this process has, but for memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: Vec<String>,
    threads: Vec<String>,
    /// Mappings of memory that has no file.
    shared_mappings: Vec<String>,
    children: Vec<u32>,
}

impl Holdings {
    /// As of now.
    pub(crate) fn now() -> Self {
        Self {
            descriptors: descriptors(),
            threads: threads(),
            shared_mappings: shared_mappings(),
            children: processes::children(),
        }
    }

    /// How many of each, in a line.
    pub(crate) fn counts(&self) -> String {
        let [descriptors, threads, mappings] = [&self.descriptors, &self.threads, &self.shared_mappings].map(Vec::len);
        format!("{descriptors} fds, {threads} threads, {mappings} shared mappings, {} children", self.children.len())
    }
}

/// The memory of this process that is in use, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let numbers: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    // The directory's own is closed by now.
    sorted(numbers.iter().flat_map(fs::read_link).map(|target| target.display().to_string()))
}

fn threads() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/task").expect("/proc is mounted");
    sorted(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok()))
}

fn shared_mappings() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    sorted(maps.lines().filter_map(|line| Some(line.split_once("/memfd:")?.1.to_owned())))
}

fn sorted(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}
