//! The worker's view of recycled memory.
//!
//! Keeps true: an outcome's range is not used again before the parent has taken the outcome. Never: writes a request.

use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Payload, SlotJob, TakenBulk, TakenLarge, WorkerEnd, WorkerSide};
use crate::body::{Body, Frozen};
use crate::process::forks_made;
use crate::slot::arena::{Arena, Block};
use crate::slot::layout::{outcome, request};
use crate::slot::parent::Memory;
use crate::slot::region::{Lease, Region};

/// Memory that came from the parent, requests in one half of it.
pub(super) struct Bulk {
    pub(super) id: u32,
    pub(super) request: Arc<Region>,
    outcome: Region,
    arena: Arena,
    /// What the outcomes of slots occupy.
    held: Vec<(usize, Block)>,
    /// How many copies this process had made of itself when it received the last request.
    forks: u64,
}

impl Bulk {
    pub(super) fn new(id: u32, memory: Memory) -> Self {
        let Memory { request, outcome } = memory;
        let arena = Arena::new(0..outcome.len() as u64);
        Self { id, request: Arc::new(request), outcome, arena, held: Vec::new(), forks: 0 }
    }

    /// Whether outcomes that were taken meanwhile have to make room first.
    pub(super) fn is_short_of(&mut self, len: u64) -> bool {
        self.arena.take(len, |_, _| true).map(|block| self.arena.give(block)).is_none()
    }

    /// Writes an outcome, piece after piece, and tells where.
    pub(super) fn write(&mut self, slot: usize, pieces: &[&[u8]], len: u64) -> Option<usize> {
        let block = self.arena.take(len, |_, _| true)?;
        let offset = block.offset();
        let mut at = offset;
        for piece in pieces {
            self.outcome.copy_in(at, piece);
            at += piece.len();
        }
        self.held.push((slot, block));
        Some(offset)
    }

    /// Frees what the outcomes of a slot occupied.
    pub(super) fn release(&mut self, slot: usize) {
        for (_, block) in self.held.extract_if(.., |(held, _)| *held == slot) {
            self.arena.give(block);
        }
    }
}

impl<S: WorkerSide> WorkerEnd<S> {
    /// Lets go of recycled memory that the parent has let go of.
    pub(super) fn forget_released(&mut self) {
        let released = self.memory.request.word(request::RELEASED).load(Ordering::Acquire);
        self.bulk.take_if(|bulk| u64::from(bulk.id) == released);
    }

    /// The recycled memory of this number. `Some` error: why there is none.
    pub(super) fn bulk(&mut self, id: u32) -> Result<&mut Bulk, TakenLarge> {
        if self.bulk.as_ref().is_none_or(|bulk| bulk.id != id) {
            self.bulk = None;
            match self.side.take_bulk(id) {
                TakenBulk::Taken(memory) => self.bulk = Some(Bulk::new(id, memory)),
                TakenBulk::Failed(errno) => return Err(TakenLarge::Failed(errno)),
                TakenBulk::Gone => return Err(TakenLarge::Gone),
            }
        }
        self.bulk.as_mut().ok_or(TakenLarge::Gone)
    }

    /// Where the outcome of a frame was put in recycled memory.
    pub(super) fn write_bulk(&mut self, recycled: bool, pieces: &[&[u8]], len: u64) -> Option<usize> {
        if recycled && self.bulk.as_mut().is_some_and(|bulk| bulk.is_short_of(len)) {
            self.release_collected();
        }
        let slot = self.slot();
        self.bulk.as_mut().filter(|_| recycled)?.write(slot, pieces, len)
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    pub(super) fn take_large(&mut self, kind: u64, place: u64, len: usize) -> TakenLarge {
        if kind == request::KIND_LARGE {
            return self.end.side.take_large(place);
        }
        self.recycled = true;
        let header = request::slot(self.end.slot());
        let id = (self.memory.request.word(header + request::FIRST).load(Ordering::Relaxed) >> 32) as u32;
        match self.end.bulk(id) {
            Ok(bulk) => {
                bulk.forks = forks_made();
                // SAFETY: the parent writes this range before it posts the frame, and leaves it alone until the frame is
                // over, and for ever where `tell_kept` says before that that somebody here has a part of it.
                let lease = unsafe { Lease::new(Arc::clone(&bulk.request), place as usize, len) };
                TakenLarge::Taken(Body::frozen(Frozen::Lease(lease.expect("the parent keeps to the layout"))))
            }
            Err(taken) => taken,
        }
    }

    /// Tells the parent if parts of a recycled request are still in use, as they may be for ever. Before each publication:
    /// it may be the last word on this frame.
    #[inline]
    pub(super) fn tell_kept(&mut self) {
        if self.recycled {
            self.tell_if_kept();
        }
    }

    #[cold]
    fn tell_if_kept(&mut self) {
        let kept = match &mut self.payload {
            Payload::Body(Body::Frozen(memory)) => Arc::get_mut(&mut memory.0).is_none(),
            // It never came.
            _ => true,
        };
        // A copy of this process reads it, too, for as long as it lives.
        if kept || self.end.bulk.as_ref().is_none_or(|bulk| bulk.forks != forks_made()) {
            let area = outcome::area(self.end.slot());
            self.memory.outcome.word(area + outcome::KEPT).store(self.end.sequence + 1, Ordering::Relaxed);
        }
    }
}
