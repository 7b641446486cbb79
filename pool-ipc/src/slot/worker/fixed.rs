//! Items of a block that are answered in one go: between two of them there are a handful of moves, and nothing else.
//!
//! Keeps true: what [`claiming`](super::claiming) does. Never: runs beyond the block, or beyond the room of the stream.

use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::claiming::Claimed;
use super::stream::Stream;
use super::{SlotJob, WorkerEnd, WorkerSide};
use crate::backend::Job;
use crate::fence::Light;
use crate::fixed::{FixedEnd, FixedItems, FixedOutcome, FixedRun, LONGEST, whole};
use crate::slot::layout::{outcome, request};
use crate::slot::record::{MAX_POINTER, Record};
use crate::slot::region::Region;
use crate::slot::word;

/// The rest of a block.
#[derive(Debug)]
pub(crate) struct SlotRun<'r> {
    claimed: &'r mut Claimed,
    stream: &'r mut Stream,
    /// The bytes of all items of the frame's window, from its first on.
    arguments: &'r [u8],
    width: usize,
    /// How long outcomes are, but for what all of them begin with, behind what says how long they are.
    length: usize,
    lead: [u8; 2],
    outcomes: &'r Region,
    written: &'r AtomicU64,
    progress: &'r AtomicU64,
    halted: &'r AtomicU64,
    sequence: u64,
    light: Light,
    /// Whether the outcome of the item that runs lies in the stream already.
    is_laid: bool,
}

impl SlotRun<'_> {
    #[inline]
    pub(crate) fn arguments(&self) -> &[u8] {
        let start = self.claimed.at as usize * self.width;
        self.arguments.get(start..start + self.width).unwrap_or_default()
    }

    /// Whether there is a further item, and room for its outcome behind this one's.
    #[inline]
    pub(crate) fn has_next(&self) -> bool {
        let room = 2 * (1 + LONGEST) + MAX_POINTER;
        self.claimed.at + 1 < self.claimed.end && self.stream.room() >= room
    }

    /// The item that runs has this outcome, and there is a further one. Whether that may be begun.
    #[inline]
    pub(crate) fn go_on(&mut self, outcome: &FixedOutcome) -> bool {
        // In moves like those that wrote it: a wider one would wait until they are through.
        self.outcomes.copy_in_behind(self.stream.end(), self.lead, &outcome[..self.length]);
        self.written.store(self.stream.lengthen(self.lead.len() + self.length), Ordering::Relaxed);
        let next = self.claimed.at + 1;
        self.progress.store(u64::from(next), Ordering::Release);
        self.is_laid = !word::may_go_on(self.halted, self.sequence, || self.light.pass());
        if !self.is_laid {
            self.claimed.at = next;
        }
        !self.is_laid
    }

    pub(crate) fn is_laid(&self) -> bool {
        self.is_laid
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// As [`Job::publish_fixed`](crate::Job::publish_fixed).
    pub(super) fn run_fixed(
        &mut self,
        first: &[u8],
        items: FixedItems,
        run: &mut dyn FnMut(&mut FixedRun<'_>) -> bool,
    ) -> FixedEnd {
        let tag = Record::short_tag(first.len()).filter(|_| first.len() <= LONGEST);
        let (Some(tag), Some((&head, rest))) = (tag, first.split_first()) else { return FixedEnd::Answered };
        let length = rest.len();
        let mut next = self.publish_and_claim(first);
        while let Some(item) = next {
            let memory = Arc::clone(&self.memory);
            let arguments = Self::bytes_of(&memory, &self.payload);
            if items.find(arguments, item).is_none() {
                return FixedEnd::Claimed(item);
            }
            let start = items.find(arguments, self.first).map_or(arguments.len(), |range| range.start);
            let Some(stream) = &mut self.stream else { return FixedEnd::Claimed(item) };
            let area = self.area;
            let outcome = |field: usize| memory.outcome.word(area + field);
            let mut block = FixedRun::in_slot(SlotRun {
                claimed: &mut self.claimed,
                stream,
                arguments: &arguments[start..],
                width: items.width,
                length,
                lead: [tag, head],
                outcomes: &memory.outcome,
                written: outcome(outcome::WRITTEN),
                progress: outcome(outcome::PROGRESS),
                halted: memory.request.word(request::HALTED),
                sequence: self.end.sequence,
                light: self.end.light,
                is_laid: false,
            });
            if !run(&mut block) {
                return FixedEnd::Answered;
            }
            next = match block.pending() {
                Some(last) => self.publish_and_claim(&whole(head, &last)[..1 + length]),
                None => self.claim_block(self.claimed.at + 1),
            };
        }
        FixedEnd::Over
    }
}
