//! The moment in which a process becomes a worker.
//!
//! Keeps true: it happens at most once, on the main thread, and ends in an orderly exit, so that coverage profiles are
//! written and what tasks printed comes out. Never: returns.

use std::io::{self, Write};
use std::process::exit;

use pool_ipc::Entry;

use crate::{process, worker};

pub(crate) use super::hook::keep_hook;

/// The exit code of a worker that could not come to itself.
const NO_ARRIVAL: i32 = 4;

pub(super) fn init() {
    if !pool_ipc::on_main_thread() {
        return;
    }
    pool_ipc::set_init_called();
    if pool_ipc::awaiting().is_some() {
        take_over();
    }
}

/// Ends this process if it was started as a worker and has not become one: it must not make a pool, whose workers would
/// come to this very point, and make pools. A worker that runs a task may.
pub(crate) fn refuse_in_worker() {
    process::refuse("make a pool of its own");
}

/// Becomes what this process was started as, works until the link is closed, and exits.
pub(super) fn take_over() -> ! {
    match pool_ipc::enter() {
        Ok(Entry::Worker(far)) => {
            worker::run_process(far);
            pool_ipc::end_own_group();
            exit(0)
        }
        Ok(Entry::Process(child)) => process::run(child),
        Err(error) => {
            say(&format!("process {} cannot become a worker: {error}", std::process::id()));
            exit(NO_ARRIVAL)
        }
    }
}

/// Not by `eprintln!`, which a test harness keeps to itself, and loses when the process ends.
fn say(what: &str) {
    // Where stderr is closed there is nobody to tell; the exit code says the rest.
    let _unheard = writeln!(io::stderr(), "pool_core: {what}");
}
