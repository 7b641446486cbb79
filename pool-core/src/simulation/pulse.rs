//! Where a simulation stands, for whoever watches it from another thread: one that waits for itself makes no more steps.

use std::sync::atomic::{AtomicU64, Ordering};

/// The steps of simulations that run one after the other in one thread.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The seed that is run, plus 1; 0 between two.
    seed: AtomicU64,
    beats: AtomicU64,
}

impl Pulse {
    /// One that stands within this seed, for who tests a watch.
    pub fn stuck_at(seed: u64) -> Self {
        let pulse = Self::default();
        pulse.begin(seed);
        pulse
    }

    /// The seed that is run now, if any, and how often anything has happened until now.
    pub fn now(&self) -> (Option<u64>, u64) {
        (self.seed.load(Ordering::Relaxed).checked_sub(1), self.beats.load(Ordering::Relaxed))
    }

    /// Something happens.
    pub(super) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn begin(&self, seed: u64) {
        self.seed.store(seed.wrapping_add(1), Ordering::Relaxed);
        self.beat();
    }

    pub(super) fn end(&self) {
        self.seed.store(0, Ordering::Relaxed);
        self.beat();
    }
}
