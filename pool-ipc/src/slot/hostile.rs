//! The parent's end against a worker that writes anything, anywhere, at any moment.
//!
//! What must hold: no panic and no end of a loop that the worker decides; every item has one account, delivered, handed
//! back or blamed; what is handed back carries the bytes that were posted; and what is kept of the worker is bounded.

#[cfg(all(target_os = "linux", not(pool_portable)))]
mod fuzz;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::layout::{ARENA_SIZE, SLOTS, outcome, request};
use super::parent::{Memory, ParentEnd, ParentSide, SentLarge};
use super::region::Region;
use crate::backend::{Corrupt, LinkEvent, LinkId, RefusedWhy, Share, Ticket};
use crate::frame::{Body, Frame, Frozen, Owner, Undelivered};
use crate::outcomes::Outcomes;

/// The world of a parent whose worker is these tests.
#[derive(Debug)]
struct Nobody;

impl ParentSide for Nobody {
    fn wake(&self, _word: &AtomicU64) {}

    fn commit(&self, _requests: &Region, _offset: u64, _len: u64) -> bool {
        true
    }

    fn freeze(&self, payload: Body) -> Result<Body, (Body, i32)> {
        Ok(Body::frozen(Frozen::Heap(payload.as_slice().to_vec())))
    }

    fn send_large(&self, id: u64, _payload: &Body) -> SentLarge {
        if id.is_multiple_of(7) { SentLarge::Full } else { SentLarge::Sent }
    }

    fn take_large(&self, id: u64, len: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
        match id % 3 {
            0 => Ok(Ok(Body::Owned(Vec::new()))),
            1 => Ok(Err(Undelivered { size: len, errno: 24 })),
            _ => Err(Corrupt::Message { what: "it was never sent" }),
        }
    }

    fn make_bulk(&self, _id: u32, len: usize) -> Option<Memory> {
        Some(Memory { request: Region::heap(len), outcome: Region::heap(len) })
    }
}

/// What the worker or the parent does next.
#[derive(Clone, Debug)]
enum Step {
    Post {
        items: u32,
        size: usize,
    },
    Recall(u64),
    RecallTail(Share),
    Collect,
    IsRunning(u64, u32),
    /// Writes a word that looks right in most of its parts.
    Word {
        slot: usize,
        lap: u64,
        next: u32,
        done: u32,
        end: u32,
        flags: u64,
    },
    /// Does what an honest worker does: runs some items of the oldest frame.
    Run {
        slot: usize,
        lap: u64,
        items: u32,
    },
    /// Claims several items at a time, and says how many are over.
    Block {
        slot: usize,
        most: u32,
        progress: u64,
    },
    /// Writes 8 bytes anywhere.
    Anywhere {
        offset: usize,
        value: u64,
    },
    /// Overwrites a slot's area, with records that may be sound.
    Area {
        slot: usize,
        written: u64,
        stream: u64,
        len: u64,
        bytes: Vec<u8>,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let items = prop_oneof![5 => 0u32..6, 1 => Just(300), 1 => Just(40_000)];
    let size = prop_oneof![5 => 0usize..600, 1 => Just(70_000), 1 => Just(300_000)];
    let slot = || prop_oneof![4 => 0usize..4, 1 => 0usize..SLOTS];
    let count = || prop_oneof![6 => 0u32..6, 1 => Just(300), 1 => 0u32..1 << 15];
    let near = |at: u64| prop_oneof![4 => Just(at), 1 => 0u64..2 * outcome::SIZE as u64, 1 => any::<u64>()];
    let record = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40),
        3 => prop::collection::vec(0u8..4, 0..40),
        1 => (250u8..=255, any::<[u64; 2]>()).prop_map(|(tag, [a, b])| pointer(tag, a, b)),
        2 => (outcome::ARENA as u64..outcome::SIZE as u64, 0..ARENA_SIZE as u64).prop_map(|(a, b)| pointer(252, a, b)),
        // In recycled memory, or behind its end.
        1 => (0..3u64 << 20, 0..3u64 << 20).prop_map(|(a, b)| pointer(252, outcome::SIZE as u64 + a, b)),
    ];
    let area = (slot(), near(40), near(0), near(outcome::INLINE as u64), prop::collection::vec(record, 1..12));
    let step = prop_oneof![
        6 => (items, size).prop_map(|(items, size)| Step::Post { items, size }),
        3 => (0u64..70).prop_map(Step::Recall),
        1 => prop_oneof![Just(Share::Half), Just(Share::All)].prop_map(Step::RecallTail),
        6 => Just(Step::Collect),
        1 => (0u64..70, 0u32..10).prop_map(|(ticket, item)| Step::IsRunning(ticket, item)),
        2 => (slot(), 0u64..3, count(), count(), count(), prop_oneof![5 => Just(0), 1 => any::<u64>()])
            .prop_map(|(slot, lap, next, done, end, flags)| Step::Word { slot, lap, next, done, end, flags }),
        4 => (slot(), 1u64..3, 0u32..8).prop_map(|(slot, lap, items)| Step::Run { slot, lap, items }),
        4 => (slot(), prop_oneof![5 => 1u32..8, 1 => Just(300)], prop_oneof![5 => 0u64..8, 1 => any::<u64>()])
            .prop_map(|(slot, most, progress)| Step::Block { slot, most, progress }),
        1 => (0..outcome::SIZE / 8, any::<u64>()).prop_map(|(at, value)| Step::Anywhere { offset: at * 8, value }),
        4 => area.prop_map(|(slot, written, stream, len, records)| {
            let own = (outcome::area(slot) + outcome::HEADER) as u64;
            let stream = if stream == 0 { own } else { stream };
            Step::Area { slot, written, stream, len, bytes: records.concat() }
        }),
    ];
    prop::collection::vec(step, 1..120)
}

fn pointer(tag: u8, a: u64, b: u64) -> Vec<u8> {
    [[tag].as_slice(), &a.to_le_bytes(), &b.to_le_bytes()].concat()
}

/// Checks what comes out against what went in.
struct Books {
    parent: ParentEnd<Nobody>,
    memory: Arc<Memory>,
    posted: u32,
    /// The items without an account.
    open: BTreeSet<(u32, u32)>,
    sizes: Vec<usize>,
    /// How many outcomes, frames, blamed items and outcomes that came together came out.
    tally: [u64; 4],
}

impl Books {
    fn new() -> Self {
        Self::over(Memory { request: Region::heap(request::SIZE), outcome: Region::heap(outcome::SIZE) })
    }

    fn over(memory: Memory) -> Self {
        let memory = Arc::new(memory);
        let parent = ParentEnd::new(LinkId(1), Arc::clone(&memory), Nobody);
        Self { parent, memory, posted: 0, open: BTreeSet::new(), sizes: Vec::new(), tally: [0; 4] }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Post { items, size } => self.post(items, size),
            Step::Recall(ticket) => {
                let frame = self.parent.recall(Ticket(ticket));
                frame.into_iter().for_each(|frame| self.handed_back(&frame));
            }
            Step::RecallTail(share) => {
                let frames = self.parent.recall_tail(share);
                frames.iter().for_each(|frame| self.handed_back(frame));
            }
            Step::Collect => {
                let mut events = Vec::new();
                let _ = self.parent.collect(&mut events);
                self.events(events);
            }
            Step::IsRunning(ticket, item) => {
                self.parent.is_running(Ticket(ticket), item);
            }
            Step::Word { slot, lap, next, done, end, flags } => {
                let word = u64::from(next) | u64::from(end) << 15 | u64::from(done) << 32 | lap << 48;
                self.memory.outcome.word(outcome::word(slot)).store(word ^ flags, Ordering::Release);
            }
            Step::Block { slot, most, progress } => self.claim_block(slot, most, progress),
            Step::Run { slot, lap, items } => self.run(slot, lap, items),
            Step::Anywhere { offset, value } => self.memory.outcome.word(offset).store(value, Ordering::Relaxed),
            Step::Area { slot, written, stream, len, bytes } => {
                let area = outcome::area(slot);
                for (field, value) in
                    [(outcome::WRITTEN, written), (outcome::STREAM, stream), (outcome::STREAM_LEN, len)]
                {
                    self.memory.outcome.word(area + field).store(value, Ordering::Relaxed);
                }
                self.memory.outcome.copy_in(area + outcome::HEADER, &bytes[..bytes.len().min(outcome::INLINE)]);
            }
        }
        assert!(self.parent.outstanding() <= SLOTS);
    }

    fn post(&mut self, items: u32, size: usize) {
        let owner = self.posted;
        let payload = vec![owner as u8; size];
        match self.parent.post(Frame::new(Arc::new(owner), payload, items)) {
            Ok(_) => {
                self.posted += 1;
                self.sizes.push(size);
                self.open.extend((0..items).map(|item| (owner, item)));
            }
            Err(refused) => {
                assert_eq!((refused.frame.payload.len(), refused.frame.window), (size, 0..items));
                assert!(!matches!(refused.why, RefusedWhy::NoMemory { .. }));
            }
        }
    }

    /// Claims and publishes, as far as the word allows.
    fn run(&self, slot: usize, lap: u64, items: u32) {
        let word = self.memory.outcome.word(outcome::word(slot));
        for _ in 0..items {
            let Some(item) = super::word::claim(word, lap) else {
                return super::word::pass(word, lap);
            };
            super::word::publish(word, item + 1);
        }
    }

    /// Claims a block, perhaps of more than it may, and says that so much of it is over.
    fn claim_block(&self, slot: usize, most: u32, progress: u64) {
        let word = self.memory.outcome.word(outcome::word(slot));
        self.memory.outcome.word(outcome::area(slot) + outcome::PROGRESS).store(progress, Ordering::Release);
        let _ = super::word::publish_and_claim(word, super::word::Word::load(word).next(), most);
    }

    fn events(&mut self, events: Vec<LinkEvent>) {
        let mut bytes = 0;
        for event in events {
            match event {
                LinkEvent::Outcome { outcome, outstanding, .. } => {
                    self.tally[0] += 1;
                    bytes += outcome.result.map_or(0, |body| body.len());
                    assert!(outstanding <= SLOTS);
                    self.account(&outcome.owner, outcome.item);
                }
                LinkEvent::Outcomes { outcomes, outstanding, .. } => {
                    self.tally[0] += outcomes.values.len() as u64;
                    self.tally[3] += 1;
                    bytes += outcomes.values.kept();
                    assert!(outstanding <= SLOTS);
                    self.together(outcomes);
                }
                LinkEvent::Declined { rest, .. } => self.handed_back(&rest),
                other => panic!("{other:?}"),
            }
        }
        assert!(bytes <= SLOTS * 2 * ARENA_SIZE, "{bytes} bytes were kept");
    }

    fn together(&mut self, outcomes: Outcomes) {
        let (window, kept) = (outcomes.values.window(), outcomes.values.kept());
        let mut size = 0;
        for (outcome, item) in outcomes.into_iter().zip(window.clone()) {
            assert_eq!(outcome.item, item);
            size += 1 + outcome.result.map_or(0, |body| body.len());
            self.account(&outcome.owner, item);
        }
        assert!(window.len() >= 2 && kept <= 10 * size + 64, "{kept} bytes were kept for {size} of {window:?}");
    }

    fn handed_back(&mut self, frame: &Frame) {
        assert!(!frame.window.is_empty());
        self.tally[1] += 1;
        let owner = *frame.owner.downcast_ref::<u32>().expect("owners are numbers here");
        assert_eq!(frame.payload.as_slice(), vec![owner as u8; self.sizes[owner as usize]], "frame {owner}");
        frame.window.clone().for_each(|item| self.account(&frame.owner, item));
    }

    fn account(&mut self, owner: &Owner, item: u32) {
        let owner = *owner.downcast_ref::<u32>().expect("owners are numbers here");
        assert!(self.open.remove(&(owner, item)), "item {item} of frame {owner} has two accounts, or was never posted");
    }

    /// Closes the books. Gives what the worker was found to be, and how much came out.
    fn finish(mut self) -> (Option<Corrupt>, [u64; 4]) {
        let mut events = Vec::new();
        let (corrupt, lost) = self.parent.finish(&mut events);
        self.events(events);
        for lost in lost {
            if let Some(item) = lost.blamed {
                self.tally[2] += 1;
                self.account(&lost.owner, item);
            }
            lost.rest.iter().for_each(|rest| self.handed_back(rest));
        }
        assert!(self.open.is_empty(), "these items have no account: {:?}", self.open);
        assert_eq!(self.parent.outstanding(), 0);
        (corrupt, self.tally)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_a_worker_writes_every_item_has_one_account(steps in steps()) {
        let mut books = Books::new();
        steps.into_iter().for_each(|step| books.take(step));
        books.finish();
    }

    #[test]
    fn region_of_random_bytes_is_judged_without_a_panic(seed: u64, frames in 1u32..=64, items in 1u32..50, rounds in 1usize..4) {
        let mut books = Books::new();
        (0..frames).for_each(|_| books.post(items, 10));
        let mut random = seed;
        for _ in 0..rounds {
            for offset in (0..outcome::ARENA + 4096).step_by(8) {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                books.memory.outcome.word(offset).store(random ^ random >> 29, Ordering::Relaxed);
            }
            let steps = [Step::IsRunning(3, 1), Step::Recall(2), Step::RecallTail(Share::All), Step::Collect];
            steps.into_iter().for_each(|step| books.take(step));
        }
        books.finish();
    }
}
