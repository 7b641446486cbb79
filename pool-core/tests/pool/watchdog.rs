//! What ends a test that hangs: it says what hangs, pool and all, and aborts the process, so that no run waits for ever.

use std::fmt::Debug;
use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use pool_core::{ProcessPoolExecutor, thread};

/// Long enough for a loaded machine; reached only when something hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Aborts the process unless it is dropped in time.
pub(crate) struct Watchdog {
    alive: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watchdog {
    /// Watches until it is dropped. `describe` tells what hangs.
    pub(crate) fn new(describe: impl FnOnce() -> String + Send + 'static) -> Self {
        let (alive, dropped) = mpsc::channel();
        let watch = move || {
            if dropped.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Past what the test harness captures: nobody would get to see that after an abort.
                let _ = writeln!(std::io::stderr(), "watchdog: nothing for {LIMIT:?}: {}", describe());
                std::process::abort();
            }
        };
        let thread = thread::Builder::new().name("watchdog").daemon(true).spawn(watch).unwrap();
        Self { alive: Some(alive), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A pool that is printed, and the process aborted, should the test hang while it is there. Its drop is watched, too.
pub(crate) struct Watched {
    /// Dropped first.
    pool: Arc<ProcessPoolExecutor>,
    _watchdog: Watchdog,
}

impl Watched {
    pub(crate) fn new(pool: ProcessPoolExecutor) -> Self {
        let pool = Arc::new(pool);
        let weak = Arc::downgrade(&pool);
        let test = std::thread::current().name().map(str::to_owned);
        let describe = move || match weak.upgrade() {
            Some(pool) => format!("{test:?} with {pool:#?}"),
            None => format!("{test:?}, whose pool is being dropped"),
        };
        Self { pool, _watchdog: Watchdog::new(describe) }
    }

    /// A second owner: for callbacks that own a pool.
    pub(crate) fn share(&self) -> Arc<ProcessPoolExecutor> {
        Arc::clone(&self.pool)
    }
}

impl Deref for Watched {
    type Target = ProcessPoolExecutor;

    fn deref(&self) -> &ProcessPoolExecutor {
        &self.pool
    }
}

/// Waits for something that nobody announces.
#[track_caller]
pub(crate) fn until<T: Debug>(what: &str, mut look: impl FnMut() -> Result<T, T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(found) => return found,
            Err(found) => assert!(Instant::now() < deadline, "waited {LIMIT:?} in vain for {what}: {found:?}"),
        }
        // So as not to keep those from running who are waited for.
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// For [`until`]: the value, and whether it is the one.
pub(crate) fn when<T>(is_it: bool, value: T) -> Result<T, T> {
    if is_it { Ok(value) } else { Err(value) }
}
