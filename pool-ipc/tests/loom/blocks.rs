//! A block of items belongs to the worker item by item, though it takes no locked operation between them.
//!
//! What the worker does is that of src/slot/worker/claiming.rs, what the parent does that of src/slot/parent/recalling.rs. A fence
//! that the kernel puts into the worker is one that the worker has.

use loom::sync::Arc;
use loom::thread;
use pool_ipc::model::atomic::{AtomicU64, Ordering, fence};
use pool_ipc::model::word::{self, Glance, Posted, Recalled, Ring, Word};

use crate::ringing::Bell;
use crate::{Published, explore_up_to};

const LAP: u64 = 1;
const SEQUENCE: u64 = 7;
const ITEMS: u32 = 4;

/// A frame of so many items.
struct Frame {
    word: AtomicU64,
    progress: AtomicU64,
    halted: AtomicU64,
    outcomes: [Published; ITEMS as usize],
    bell: Bell,
}

impl Frame {
    fn posted() -> Arc<Self> {
        let outcomes = std::array::from_fn(|_| Published::new());
        let (word, progress, halted) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        assert!(!word::post(&word, Word::ready(LAP, ITEMS)).sleeps());
        Arc::new(Self { word, progress, halted, outcomes, bell: Bell::new() })
    }

    /// The worker's run of it: gives how many items. It ends before the item `dies_at`. Before the item `waits_at` it does what
    /// is given.
    fn run(&self, dies_at: u32, waits_at: u32, wait: impl Fn()) -> u32 {
        let Some(mut at) = word::claim(&self.word, LAP) else {
            word::pass(&self.word, LAP);
            return 0;
        };
        let mut end = at + 1;
        loop {
            if at == waits_at {
                wait();
            }
            if at == dies_at {
                return at;
            }
            self.outcomes[at as usize].write(100 + u64::from(at));
            let next = at + 1;
            self.progress.store(next.into(), Ordering::Release);
            if next < end && self.may_go_on() {
                at = next;
                continue;
            }
            let most = if self.may_go_on() { word::BLOCK } else { 1 };
            let Some(claimed) = word::publish_and_claim(&self.word, next, most) else {
                if word::publish(&self.word, next) {
                    self.bell.pass_item();
                }
                break;
            };
            (at, end) = (next, claimed);
            self.bell.pass_item();
        }
        word::decline(&self.word, LAP);
        word::pass(&self.word, LAP);
        self.bell.leave();
        at + 1
    }

    fn may_go_on(&self) -> bool {
        word::may_go_on(&self.halted, SEQUENCE, || fence(Ordering::SeqCst))
    }

    fn halt(&self) -> bool {
        self.halted.store(SEQUENCE + 1, Ordering::Release);
        fence(Ordering::SeqCst);
        true
    }

    /// The word in the parent's eyes.
    fn look(&self, end: u32, delivered: u32) -> Word {
        let glance = Glance::of(&self.word, &self.progress);
        let seen = glance.item_by_item(Posted { lap: LAP, end, delivered });
        seen.unwrap_or_else(|| panic!("an honest worker is called a liar: {glance:x?}"))
    }

    /// The parent takes what is done.
    fn collect(&self, end: u32, delivered: &mut u32) {
        let seen = self.look(end, *delivered);
        while *delivered < seen.done() {
            assert_eq!(self.outcomes[*delivered as usize].read(), 100 + u64::from(*delivered));
            *delivered += 1;
        }
    }

    fn recall(&self, end: u32, delivered: u32, keep: u32) -> u32 {
        let frame = Posted { lap: LAP, end, delivered };
        match word::recall_beyond(&self.word, &self.progress, frame, keep, || self.halt()) {
            Recalled::From(from) => from,
            Recalled::Nothing => end,
            Recalled::Unlawful(word) => panic!("an honest worker is called a liar: {word:x?}"),
        }
    }
}

const NEVER: u32 = u32::MAX;

fn spawn(frame: &Arc<Frame>, dies_at: u32) -> thread::JoinHandle<u32> {
    let frame = Arc::clone(frame);
    thread::spawn(move || frame.run(dies_at, NEVER, || ()))
}

#[test]
fn an_item_of_a_block_is_run_or_taken_back_and_never_both() {
    for keep in [0, 1] {
        explore_up_to(Some(4), move || {
            let frame = Frame::posted();
            let worker = spawn(&frame, NEVER);
            let left = frame.recall(ITEMS, 0, keep);
            assert_eq!(worker.join().unwrap(), left);
            assert!(Word::load(&frame.word).is_over());
        });
    }
}

#[test]
fn who_lets_a_worker_go_on_once_it_has_seen_the_halt_can_halt_it_again() {
    explore_up_to(Some(3), || {
        let frame = Frame::posted();
        let worker = spawn(&frame, NEVER);
        let mut left = frame.recall(ITEMS, 0, 1);
        let at = frame.progress.load(Ordering::Acquire);
        if u64::from(Word::load(&frame.word).done()) > at {
            frame.halted.store(0, Ordering::Relaxed);
        }
        left = frame.recall(left, 0, 0);
        assert_eq!(worker.join().unwrap(), left);
        assert!(Word::load(&frame.word).is_over());
    });
}

#[test]
fn outcomes_of_a_block_can_be_read_as_far_as_its_worker_says() {
    explore_up_to(Some(4), || {
        let frame = Frame::posted();
        let worker = spawn(&frame, NEVER);
        let mut delivered = 0;
        frame.collect(ITEMS, &mut delivered);
        frame.collect(ITEMS, &mut delivered);
        assert_eq!(worker.join().unwrap(), ITEMS);
        frame.collect(ITEMS, &mut delivered);
        assert!(delivered == ITEMS && Word::load(&frame.word).is_over());
    });
}

#[test]
fn each_item_of_a_worker_that_died_in_a_block_is_delivered_or_blamed_or_handed_back() {
    for dies_at in 0..ITEMS {
        explore_up_to(Some(3), move || {
            let frame = Frame::posted();
            let worker = spawn(&frame, dies_at);
            let mut delivered = 0;
            frame.collect(ITEMS, &mut delivered);
            let end = frame.recall(ITEMS, delivered, 0);
            let ran = worker.join().unwrap();
            frame.collect(end, &mut delivered);
            let last = frame.look(end, delivered);
            let blamed = last.next() - last.done();
            assert_eq!((delivered, ran), (ran, ran.min(end)));
            assert!(blamed <= 1 && delivered + blamed <= end);
            // Whoever died in an item is known by it; who was through with all that was left to it blames none.
            assert_eq!(blamed, u32::from(ran == dies_at && dies_at < end));
        });
    }
}

/// The last item takes until somebody has seen those before it.
#[test]
fn manager_that_asks_for_it_sees_what_is_over_in_a_block_that_goes_on() {
    explore_up_to(Some(3), || {
        let frame = Frame::posted();
        let seen = Arc::new(Bell::new());
        let worker = {
            let (frame, seen) = (Arc::clone(&frame), Arc::clone(&seen));
            thread::spawn(move || frame.run(NEVER, ITEMS - 1, || seen.wait()))
        };
        let mut delivered = 0;
        while delivered < ITEMS - 1 {
            frame.collect(ITEMS, &mut delivered);
            word::arm(&frame.bell.armed, Ring::AtItem);
            if Word::load(&frame.word).has_block() {
                frame.halt();
            }
            frame.collect(ITEMS, &mut delivered);
            if delivered < ITEMS - 1 {
                frame.bell.wait();
            }
        }
        seen.ring();
        assert_eq!(worker.join().unwrap(), ITEMS);
    });
}
