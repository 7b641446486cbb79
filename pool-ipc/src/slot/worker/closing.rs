//! How a worker hears that its link was closed.
//!
//! Keeps true: a worker that sleeps is woken. Never: takes from the worker what was posted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::slot::layout::{SLOTS, outcome};
use crate::slot::parent::Memory;
use crate::slot::word;

/// Tells a worker that its link was closed; shared with whoever learns of that first.
#[derive(Debug)]
pub(crate) struct Closing {
    closing: AtomicBool,
    memory: Arc<Memory>,
}

impl Closing {
    pub(crate) fn new(memory: Arc<Memory>) -> Arc<Self> {
        Arc::new(Self { closing: AtomicBool::new(false), memory })
    }

    /// Makes the worker end once it has run what was posted. `wake` wakes the sleeper of a word.
    pub(crate) fn close(&self, wake: impl Fn(&AtomicU64)) {
        self.closing.store(true, Ordering::SeqCst);
        for slot in 0..SLOTS {
            let word = self.memory.outcome.word(outcome::word(slot));
            if word::rouse(word) {
                wake(word);
            }
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}
