//! Promises that were found broken.
//!
//! Keeps true: each is counted, and the first ones are printed at once, with the time, so that a run that hangs
//! afterwards has said them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// After so many the rest is only counted.
const MOST_PRINTED: u64 = 20;

/// What was found, in the whole run.
#[derive(Debug)]
pub(crate) struct Findings {
    count: AtomicU64,
    since: Instant,
}

impl Findings {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { count: AtomicU64::new(0), since: Instant::now() }
    }

    /// A promise was broken, and how.
    pub(crate) fn report(&self, violation: &str) {
        if self.count.fetch_add(1, Ordering::SeqCst) < MOST_PRINTED {
            println!("VIOLATION after {:.3} s: {violation}", self.since.elapsed().as_secs_f64());
        }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}
