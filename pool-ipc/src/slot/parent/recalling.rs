//! What the parent sees of a frame that the worker runs, and how it takes back what nobody has begun.
//!
//! Keeps true: an item that was taken back is never begun here. Where the worker has a block of items, that is halted first:
//! from then on it begins none without having seen that, and none at all of those that are cut off. Never: has a worker halt for
//! a mere look, or for longer than until it has seen it.

use super::{Entry, Ledger, ParentEnd, ParentSide};
use crate::backend::{Share, Ticket};
use crate::fence;
use crate::frame::Frame;
use crate::slot::layout::{outcome, request};
use crate::slot::ledger::Halted;
use crate::slot::word::{self, Glance, Recalled, Word};
use crate::terms::Running;
use std::sync::atomic::{AtomicU64, Ordering};

impl<S: ParentSide> ParentEnd<S> {
    /// Takes back what is unclaimed. A word that the ledger forbids makes the link corrupt at the next collection.
    pub(crate) fn recall(&self, ticket: Ticket) -> Option<Frame> {
        let mut ledger = self.ledger.lock();
        let index = ledger.index(ticket)?;
        self.take_back(&mut ledger, index, 0)
    }

    /// Takes back items from the newest end.
    pub(crate) fn recall_tail(&self, share: Share) -> Vec<Frame> {
        let mut ledger = self.ledger.lock();
        let unbegun = |entry: &&Entry| entry.end > 0 && self.look(entry).next() == 0;
        let whole = ledger.entries.iter().filter(unbegun).count();
        let mut wanted = if share == Share::Half { whole.div_ceil(2).max(1) } else { usize::MAX };
        let mut frames = Vec::new();
        for index in (0..ledger.entries.len()).rev() {
            let entry = &ledger.entries[index];
            if wanted == 0 || entry.delivered == entry.end {
                continue;
            }
            let left = entry.end.saturating_sub(self.look(entry).next());
            let keep = if share == Share::Half && whole == 0 { left / 2 } else { 0 };
            if let Some(frame) = self.take_back(&mut ledger, index, keep) {
                frames.push(frame);
                wanted -= 1;
            }
        }
        frames.reverse();
        frames
    }

    pub(crate) fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        let ledger = self.ledger.lock();
        let Some(entry) = ledger.index(ticket).and_then(|index| ledger.entries.get(index)) else { return false };
        let Some(item) = item.checked_sub(entry.first) else { return false };
        self.lawful(entry).is_some_and(|word| word.done() <= item && item < word.next())
    }

    /// The item that the worker runs, by a look that may be out of date at once.
    pub(crate) fn running(&self) -> Option<Running> {
        let mut ledger = self.ledger.lock();
        if ledger.corrupt.is_some() {
            return None;
        }
        for entry in &mut ledger.entries {
            let word = Word::load(self.word(entry));
            let told = self.outcome(outcome::area(entry.slot()) + outcome::BEGUN).load(Ordering::Relaxed);
            if let Some(running) = self.lawful(entry).and_then(|word| entry.running(word, told)) {
                return Some(running);
            }
            if !word.is_over() {
                return None;
            }
        }
        None
    }

    fn take_back(&self, ledger: &mut Ledger, index: usize, keep: u32) -> Option<Frame> {
        if ledger.corrupt.is_some() {
            return None;
        }
        let Ledger { entries, halted, live, .. } = ledger;
        let entry = entries.get_mut(index)?;
        let (word, progress, frame) = (self.word(entry), self.progress(entry), entry.posted());
        let recalled = word::recall_beyond(word, progress, frame, keep, || self.halt(halted, entry));
        let Recalled::From(from) = recalled else { return None };
        let frame = entry.split(from);
        *live -= usize::from(entry.delivered == entry.end);
        Some(frame)
    }

    /// What is seen of a frame at this moment.
    pub(super) fn glance(&self, entry: &Entry) -> Glance {
        Glance::of(self.word(entry), self.progress(entry))
    }

    /// The frame's word, as if the worker claimed each item by itself, or `None` if no honest one wrote it.
    pub(super) fn lawful(&self, entry: &Entry) -> Option<Word> {
        self.glance(entry).item_by_item(entry.posted())
    }

    /// The same of any word.
    pub(super) fn look(&self, entry: &Entry) -> Word {
        let glance = self.glance(entry);
        glance.item_by_item(entry.posted()).unwrap_or(glance.word)
    }

    /// How many items are over of a frame of which the worker has a block.
    fn progress(&self, entry: &Entry) -> &AtomicU64 {
        self.outcome(outcome::area(entry.slot()) + outcome::PROGRESS)
    }

    /// If the worker has a block, it is to publish each item by itself.
    pub(super) fn halt_block(&self, ledger: &mut Ledger) {
        let Ledger { entries, halted, .. } = ledger;
        if let Some(entry) = entries.front()
            && Word::load(self.word(entry)).has_block()
        {
            // Where it cannot be fenced its next item is seen by the look after this one.
            let _ = self.halt(halted, entry);
        }
    }

    /// Has the worker give back the block that it has of a frame, and claim none. From now on it begins no item beyond that
    /// which its progress tells of without having seen this.
    fn halt(&self, halted: &mut Option<Halted>, entry: &Entry) -> bool {
        let sequence = entry.sequence;
        if halted.is_some_and(|halted| halted.sequence == sequence && halted.is_fenced) {
            return true;
        }
        self.request(request::HALTED).store(sequence + 1, Ordering::Release);
        let is_fenced = fence::heavy(self.request(request::FENCE).load(Ordering::Relaxed) != 0);
        *halted = Some(Halted { sequence, at: self.progress(entry).load(Ordering::Acquire), is_fenced });
        is_fenced
    }

    /// A worker that has seen that it is to halt may claim blocks again.
    pub(super) fn let_go_on(&self, ledger: &mut Ledger) {
        let Some(Halted { sequence, at, .. }) = ledger.halted else { return };
        let has_seen = |entry: &Entry| u64::from(Word::load(self.word(entry)).done()) > at;
        if ledger.index(Ticket(sequence)).is_none_or(|index| has_seen(&ledger.entries[index])) {
            ledger.halted = None;
            self.request(request::HALTED).store(0, Ordering::Relaxed);
        }
    }
}
