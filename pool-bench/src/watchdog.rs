//! Ends the run, with a message, when a figure does not come.
//!
//! Keeps true: what is started under its guard is killed with its group before the run ends. Never: touches a process
//! that is not on its list, or judges a figure.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

/// How long one figure may take, with the start of its side. The slowest take some seconds.
const PATIENCE: Duration = Duration::from_secs(120);

struct Watch {
    /// What is awaited, and since when.
    awaited: Option<(String, Instant)>,
    /// Leaders of groups that end with us.
    groups: Vec<Pid>,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch { awaited: None, groups: Vec::new() });
static CHANGED: Condvar = Condvar::new();

/// Starts watching.
pub(crate) fn start() -> io::Result<()> {
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
    Ok(())
}

/// From now on this is awaited.
pub(crate) fn expect(what: String) {
    lock().awaited = Some((what, Instant::now()));
    CHANGED.notify_all();
}

/// Nothing is awaited any more.
pub(crate) fn calm() {
    lock().awaited = None;
}

/// The group of this process ends with us.
pub(crate) fn guard(leader: Pid) {
    lock().groups.push(leader);
}

/// The process is about to be reaped.
pub(crate) fn let_go(leader: Pid) {
    lock().groups.retain(|&group| group != leader);
}

fn watch() {
    let mut watch = lock();
    loop {
        let left = watch.awaited.as_ref().map(|(_, since)| PATIENCE.saturating_sub(since.elapsed()));
        watch = match left {
            None => CHANGED.wait(watch).unwrap_or_else(PoisonError::into_inner),
            Some(Duration::ZERO) => end(&watch),
            Some(left) => CHANGED.wait_timeout(watch, left).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

/// An orderly exit would wait for what hangs, so this is none.
fn end(watch: &Watch) -> ! {
    let what = watch.awaited.as_ref().map_or("nothing", |(what, _)| what);
    eprintln!("pool-bench: {what} took more than {} s; the run ends here", PATIENCE.as_secs());
    for &group in &watch.groups {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}

fn lock() -> MutexGuard<'static, Watch> {
    WATCH.lock().unwrap_or_else(PoisonError::into_inner)
}
