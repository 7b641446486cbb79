//! Looking for the next frame for a moment, where the parent wants that, before the sleep is announced.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{WorkerEnd, WorkerSide};
use crate::slot::layout::{outcome, request};
use crate::slot::ledger::lap_of;
use crate::slot::parent::Memory;
use crate::slot::word::Word;
use crate::spin::{Spin, Waiting};

/// Tells the worker, before it is there, how long it is to look for a frame before it sleeps.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) fn have_worker_spin(memory: &Memory, limit: Duration) {
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    memory.request.word(request::SPIN).store(nanos, Ordering::Relaxed);
}

/// As the parent wants it.
pub(super) fn spin(memory: &Memory) -> Spin {
    Spin::new(Duration::from_nanos(memory.request.word(request::SPIN).load(Ordering::Relaxed)))
}

impl<S: WorkerSide> WorkerEnd<S> {
    pub(super) fn linger(&mut self) {
        if self.spin.is_off() {
            return;
        }
        let start = loop {
            match self.spin.begin() {
                Waiting::Look(start) => break start,
                Waiting::Nap(span) => std::thread::sleep(span),
                Waiting::Sleep => return,
            }
        };
        let (slot, lap) = (self.slot(), lap_of(self.sequence));
        let Self { spin, memory, closing, .. } = self;
        let word = memory.outcome.word(outcome::word(slot));
        // Whether there was something is seen by the look that follows.
        let _ = spin.until(start, || Word::load(word).lap() == lap || closing.is_closing());
    }
}
