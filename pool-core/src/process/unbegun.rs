//! A process that was started as a child and runs its program's `main` instead, since that did not call `init`.
//!
//! Keeps true: it starts no process, which would come to this very point and start another; where it ends in an orderly way,
//! however well `main` did, its exit code says that its function never ran; and the user is told once, though a pool has
//! many workers. Never: does anything in a process that nobody started as a child, or that has become one.

use std::process::exit;
use std::sync::atomic::{AtomicU32, Ordering};

use pool_ipc::Entry;

use super::child::say;
use crate::worker;

/// The exit code of a process that waited to be a child and never became one.
const NO_INIT: i32 = 3;

/// Ends this process if it is such a one, before it does what it is about to do.
pub(crate) fn refuse(about_to: &str) {
    if pool_ipc::awaiting().is_none() {
        return;
    }
    let advise = || {
        say(&format!(
            "pool_core: this process was started as a child of another one and is about to {about_to}; \
             call pool_core::init() first in main\n"
        ));
    };
    match pool_ipc::enter() {
        Ok(Entry::Worker(mut far)) => worker::resign(&mut *far, advise),
        Ok(Entry::Process(_)) | Err(_) => advise(),
    }
    exit(NO_INIT)
}

/// Has the exit code changed of a process that was started for one function, if it is such a one when it ends. A worker's end
/// is told by its pool.
pub(crate) fn watch_end() {
    if pool_ipc::awaits_one_function() {
        WATCHED.store(std::process::id(), Ordering::Relaxed);
        pool_ipc::at_exit(end);
    }
}

/// The process whose end is watched: not those that it forks.
static WATCHED: AtomicU32 = AtomicU32::new(0);

extern "C" fn end() {
    let pid = std::process::id();
    if WATCHED.load(Ordering::Relaxed) == pid && pool_ipc::awaiting().is_some() {
        say(&format!(
            "pool_core: process {pid} was started for one function, which never ran, as main ended before; \
             call pool_core::init() first in main\n"
        ));
        pool_ipc::exit_at_once(NO_INIT);
    }
}
