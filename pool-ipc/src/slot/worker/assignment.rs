//! What a worker can ask of the frame that it runs.
//!
//! Keeps true: between frames there is nothing to tell. Never: keeps a copy, which would miss what the parent changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::parent::Memory;
use crate::terms::{Assignment, Written};

/// What the parent wrote of the frame that is run, read when somebody asks.
pub(super) struct SlotAssignment {
    pub(super) memory: Arc<Memory>,
    /// The frame's sequence number plus 1; 0 between frames.
    pub(super) current: AtomicU64,
}

impl SlotAssignment {
    fn sequence(&self) -> Option<u64> {
        self.current.load(Ordering::Relaxed).checked_sub(1)
    }

    fn field(&self, sequence: u64, field: usize) -> u64 {
        let header = request::slot((sequence % SLOTS as u64) as usize);
        self.memory.request.word(header + field).load(Ordering::Relaxed)
    }

    fn terms(&self, sequence: u64) -> Written {
        let field = |field: usize| self.field(sequence, field);
        let attempt = (field(request::KIND) >> 32) as u32;
        Written { attempt, timeout: field(request::TIMEOUT), deadline: field(request::DEADLINE) }
    }
}

impl Assignment for SlotAssignment {
    fn attempt(&self) -> u32 {
        self.sequence().map_or(0, |sequence| self.terms(sequence).attempt)
    }

    fn stops_at(&self) -> Option<Instant> {
        let sequence = self.sequence()?;
        let area = outcome::area((sequence % SLOTS as u64) as usize);
        let begun = self.memory.outcome.word(area + outcome::BEGUN).load(Ordering::Relaxed);
        self.terms(sequence).stops_at(begun)
    }

    fn is_cancelled(&self) -> bool {
        self.sequence().is_some_and(|sequence| self.field(sequence, request::CANCELLED) == sequence + 1)
    }
}
