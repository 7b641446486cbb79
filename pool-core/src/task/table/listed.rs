//! The table as a vector that fills as tasks are submitted, where no linker builds one.
//!
//! Keeps true: a task has the same number for the life of the process. Never: serves another process, where the numbers
//! would differ; workers are threads here.

use std::hash::{DefaultHasher, Hash};

use parking_lot::Mutex;

use super::{name, trampoline};
use crate::task::{Arguments, Entry, Task};

/// The tasks that have been submitted so far.
static TABLE: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

pub(super) fn number_of<F: Task<Args>, Args: Arguments>() -> u32 {
    let entry = Entry { run: trampoline::<F, Args>, name: name::<F> };
    let same = |known: &Entry| known.run as usize == entry.run as usize && known.name as usize == entry.name as usize;
    let mut table = TABLE.lock();
    let number = table.iter().position(same).unwrap_or_else(|| {
        table.push(entry);
        table.len() - 1
    });
    u32::try_from(number).expect("a table of 4 billion entries does not fit into memory")
}

pub(super) fn entry(number: u32) -> Option<Entry> {
    TABLE.lock().get(number as usize).copied()
}

/// Workers are threads here, so that there is nothing that could differ.
pub(super) fn hash(hasher: &mut DefaultHasher) {
    "threads only".hash(hasher);
}
