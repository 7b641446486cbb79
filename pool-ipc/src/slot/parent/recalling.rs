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

    /// If the worker has a block of the frame in work, it is to publish each item by itself. Whether it has one.
    pub(super) fn halt_block(&self, ledger: &mut Ledger) -> bool {
        let Ledger { entries, halted, .. } = ledger;
        let Some(entry) = entries.front().filter(|entry| Word::load(self.word(entry)).has_block()) else {
            return false;
        };
        // Where it cannot be fenced its next item is seen by the look after this one.
        let _ = self.halt(halted, entry);
        true
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::backend::{Corrupt, LinkId};
    use crate::frame::{Body, Undelivered};
    use crate::slot::parent::{Memory, SentLarge};
    use crate::slot::region::Region;
    use crate::slot::word::Ring;

    /// The world of a parent whose worker is a test.
    #[derive(Debug)]
    struct Nobody;

    impl ParentSide for Nobody {
        fn wake(&self, _word: &AtomicU64) {}

        fn commit(&self, _requests: &Region, _offset: u64, _len: u64) -> bool {
            true
        }

        fn freeze(&self, payload: Body) -> Result<Body, (Body, i32)> {
            Err((payload, 12))
        }

        fn send_large(&self, _id: u64, _payload: &Body) -> SentLarge {
            SentLarge::Gone
        }

        fn take_large(&self, _id: u64, _len: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
            Err(Corrupt::Message { what: "it was never sent" })
        }
    }

    /// A worker, one step at a time, whose outcomes are empty.
    struct Worker {
        memory: Arc<Memory>,
        rung: Cell<u32>,
    }

    impl Worker {
        fn word(&self, slot: usize) -> &AtomicU64 {
            self.memory.outcome.word(outcome::word(slot))
        }

        /// The outcomes of so many items lie there.
        fn lay(&self, slot: usize, items: u64) {
            let field = |field: usize| self.memory.outcome.word(outcome::area(slot) + field);
            field(outcome::STREAM).store((outcome::area(slot) + outcome::HEADER) as u64, Ordering::Relaxed);
            field(outcome::STREAM_LEN).store(outcome::INLINE as u64, Ordering::Relaxed);
            field(outcome::WRITTEN).store(items, Ordering::Relaxed);
            field(outcome::PROGRESS).store(items, Ordering::Release);
        }

        fn run_single(&self, slot: usize) {
            assert_eq!(word::claim(self.word(slot), 1), Some(0));
            self.lay(slot, 1);
            assert!(!word::publish(self.word(slot), 1));
            self.ring_if(word::take_armed(self.memory.outcome.word(outcome::ARMED)));
        }

        fn begin_block(&self, slot: usize) {
            assert_eq!(word::claim(self.word(slot), 1), Some(0));
            self.lay(slot, 1);
            assert!(word::publish_and_claim(self.word(slot), 1, word::BLOCK).is_some());
            self.ring_if(word::take_armed_for_item(self.memory.outcome.word(outcome::ARMED)));
        }

        fn ring_if(&self, is_wanted: bool) {
            self.rung.set(self.rung.get() + u32::from(is_wanted));
        }

        fn may_go_on(&self, sequence: u64) -> bool {
            word::may_go_on(self.memory.request.word(request::HALTED), sequence, || ())
        }
    }

    /// Three frames are posted: two of one item, and one of four.
    fn link() -> (ParentEnd<Nobody>, Worker) {
        let memory = Memory { request: Region::heap(request::SIZE), outcome: Region::heap(outcome::SIZE) };
        let worker = Worker { memory: Arc::new(memory), rung: Cell::new(0) };
        let parent = ParentEnd::new(LinkId(1), Arc::clone(&worker.memory), Nobody);
        for items in [1, 1, 4] {
            parent.post(Frame::new(Arc::new(()), Body::copied(&[1]), items)).expect("there is room");
        }
        (parent, worker)
    }

    #[test]
    fn a_block_that_was_begun_while_nobody_was_to_be_rung_is_halted_whatever_frames_ended_meanwhile() {
        let (parent, worker) = link();
        let mut events = Vec::new();
        parent.collect(&mut events).expect("it is honest");
        worker.run_single(0);
        assert_eq!(worker.rung.take(), 1, "that brings the manager");
        // All of this happens after its first look and before it asks to be rung.
        let asked = parent.gather(&mut events, |_| {
            worker.run_single(1);
            worker.begin_block(2);
            Ring::AtItem
        });
        assert_eq!((asked.expect("it is honest"), worker.rung.get(), events.len()), (Ring::AtItem, 0, 3));
        worker.lay(2, 2);
        assert!(!worker.may_go_on(2), "nobody would hear of its second item");
    }

    #[test]
    fn a_worker_that_has_seen_that_it_is_to_halt_may_go_on_once_it_has_published_more() {
        let (parent, worker) = link();
        let mut events = Vec::new();
        [0, 1].iter().for_each(|slot| worker.run_single(*slot));
        worker.begin_block(2);
        parent.collect(&mut events).expect("it is honest");
        parent.collect(&mut events).expect("it is honest");
        assert!(!worker.may_go_on(2));
        worker.lay(2, 2);
        assert_eq!(word::publish_and_claim(worker.word(2), 2, 1), Some(3));
        parent.gather(&mut events, |_| Ring::AtLeave).expect("it is honest");
        assert!(worker.may_go_on(2) && events.len() == 4);
    }

    #[test]
    fn what_lies_behind_the_item_that_runs_is_taken_out_of_a_block_and_the_account_holds() {
        let (parent, worker) = link();
        let mut events = Vec::new();
        [0, 1].iter().for_each(|slot| worker.run_single(*slot));
        worker.begin_block(2);
        parent.collect(&mut events).expect("it is honest");
        let back = parent.recall(Ticket(2)).expect("two items are not begun");
        assert_eq!((back.window, parent.unclaimed()), (2..4, 0));
        assert!(parent.is_running(Ticket(2), 1) && !parent.is_running(Ticket(2), 2));
        let (corrupt, lost) = parent.finish(&mut events);
        assert!(corrupt.is_none() && events.len() == 3);
        let [lost] = &lost[..] else { panic!("{} frames", lost.len()) };
        assert!(lost.blamed == Some(1) && lost.rest.is_none());
    }
}
