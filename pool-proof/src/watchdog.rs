//! What ends a run that hangs: when nothing has got on for half a minute, it says what stands where, and ends the process
//! with 1.
//!
//! Keeps true: the end does not wait for the pool, which may be what hangs.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use pool_core::thread;

/// After so long without progress a run hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Counts whatever gets a run on.
#[derive(Debug)]
pub(crate) struct Progress(AtomicU64);

impl Progress {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Something got on.
    pub(crate) fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    alive: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Watches the progress. `describe` prints what hangs.
    pub(crate) fn new(progress: Arc<Progress>, describe: impl Fn() + Send + 'static) -> Self {
        let (alive, dropped) = mpsc::channel();
        let (awake, woken) = mpsc::channel();
        let watch = move || {
            let _ = awake.send(());
            let mut seen = progress.count();
            while dropped.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                if progress.count() == seen {
                    println!("VIOLATION: nothing got on for {LIMIT:?}");
                    describe();
                    end_at_once();
                }
                seen = progress.count();
            }
        };
        let thread = thread::spawn(watch);
        // A thread that has not begun does not have its name yet, which would be missed when threads are counted.
        let _ = woken.recv();
        Self { alive: Some(alive), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends the process with 1, and without its exit handlers, which would wait for the pool: it becomes a program that does
/// nothing else. The workers see their parent's end.
pub(crate) fn end_at_once() -> ! {
    let error = Command::new("false").exec();
    eprintln!("pool-proof: false: {error}");
    std::process::abort()
}
