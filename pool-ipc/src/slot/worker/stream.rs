//! The way of an outcome into shared memory: into its frame's stream, in one copy where it is short.
//!
//! Keeps true: an outcome lies where the parent will look for it, and the stream's length says so, before the slot's word
//! does. Never: writes beyond the stream.

use std::ops::DerefMut;
use std::sync::atomic::Ordering;

use super::{LARGE_A_FRAME, SlotJob, WorkerEnd, WorkerSide};
use crate::slot::layout::{ARENA_MAX, outcome};
use crate::slot::record::{MAX_POINTER, Record};
use crate::slot::word::Word;

/// The most that is set aside for the outcomes of one frame of several items.
const STREAM_MAX: usize = 256 * 1024;

/// Where the outcomes of a frame go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    offset: usize,
    len: usize,
    written: usize,
}

impl Stream {
    pub(super) fn room(&self) -> usize {
        self.len - self.written
    }

    /// Where the next outcome lies.
    pub(super) fn end(&self) -> usize {
        self.offset + self.written
    }

    /// Another outcome lies there. Gives how long the stream is now.
    pub(super) fn lengthen(&mut self, by: usize) -> u64 {
        self.written += by;
        self.written as u64
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Whether there is no room for another outcome, wherever its bytes are.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.room() < MAX_POINTER) || self.large >= LARGE_A_FRAME
    }

    /// Puts a short outcome into the stream, which nobody looks at yet. False: it is not that short.
    #[inline(always)]
    pub(super) fn lay_inline(&mut self, bytes: &[u8]) -> bool {
        if self.stream.is_none() {
            self.choose_stream();
        }
        let Some(tag) = Record::short_tag(bytes.len()) else { return false };
        let Some(stream) = &mut self.stream else { return false };
        if bytes.len() >= stream.room() {
            return false;
        }
        self.memory.outcome.copy_in_behind(stream.end(), [tag], bytes);
        let written = stream.lengthen(1 + bytes.len());
        self.field(outcome::WRITTEN).store(written, Ordering::Relaxed);
        true
    }

    /// Makes the record of an outcome, putting its bytes where there is room for them.
    pub(super) fn write_record(&mut self, bytes: &[u8]) {
        let room = self.stream().room();
        self.record.clear();
        let record = if Record::inline_size(bytes.len()) <= room {
            Record::Inline(bytes)
        } else if let Some(offset) = self.arena_for(bytes.len()) {
            self.memory.outcome.copy_in(offset, bytes);
            Record::Arena { offset: offset as u64, len: bytes.len() as u64 }
        } else {
            self.write_large(&[bytes])
        };
        record.write(&mut self.record);
    }

    /// Puts an outcome where its request came from, or into memory of its own.
    #[cold]
    pub(super) fn write_large(&mut self, pieces: &[&[u8]]) -> Record<'static> {
        let len = pieces.iter().map(|piece| piece.len() as u64).sum();
        if let Some(offset) = self.end.write_bulk(self.recycled, pieces, len) {
            return Record::Arena { offset: (outcome::SIZE + offset) as u64, len };
        }
        let id = self.end.sequence << 16 | u64::from(Word::load(self.word()).done());
        self.large += 1;
        match self.end.side.send_large(id, pieces) {
            Ok(()) => Record::Large { id, len },
            Err(errno) => Record::Failed { size: len, errno },
        }
    }

    /// Puts the record into the stream, which nobody looks at yet.
    pub(super) fn lay_record(&mut self) {
        let stream = self.stream();
        assert!(self.record.len() <= stream.room(), "an item is claimed only where there is room for its record");
        self.memory.outcome.copy_in(stream.end(), &self.record);
        let written = self.stream.insert(stream).lengthen(self.record.len());
        self.field(outcome::WRITTEN).store(written, Ordering::Relaxed);
    }

    fn stream(&mut self) -> Stream {
        match self.stream {
            Some(stream) => stream,
            None => self.choose_stream(),
        }
    }

    /// The slot's own area, or a larger one for a frame of many items.
    #[inline(never)]
    fn choose_stream(&mut self) -> Stream {
        let wanted = (self.items as usize).saturating_mul(24).min(STREAM_MAX);
        let larger = if wanted > outcome::INLINE { self.end.take(wanted) } else { None };
        let (offset, len) = larger.unwrap_or((self.area + outcome::HEADER, outcome::INLINE));
        self.field(outcome::STREAM).store(offset as u64, Ordering::Relaxed);
        self.field(outcome::STREAM_LEN).store(len as u64, Ordering::Relaxed);
        *self.stream.insert(Stream { offset, len, written: 0 })
    }

    fn arena_for(&mut self, len: usize) -> Option<usize> {
        if len <= ARENA_MAX { self.end.take(len).map(|(offset, _)| offset) } else { None }
    }
}
