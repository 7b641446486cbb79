//! Each item has one owner, whoever looks or dies when; and a slot is used again only after the worker left it.

use loom::sync::Arc;
use loom::thread;
use pool_ipc::model::word::{self, Recalled, Word};

use crate::{Slot, Steps, explore, explore_bounded, left_by, recall};

#[test]
fn item_is_claimed_or_recalled_and_its_claimer_sees_the_request() {
    for (keep, steps) in [(0, Steps::Apart), (1, Steps::Apart), (0, Steps::Joined), (1, Steps::Joined)] {
        explore(move || {
            let slot = Arc::new(Slot::new());
            let worker = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.run_by(steps, 1))
            };
            assert!(!slot.post(1, 2));
            let left = left_by(recall(&slot, 1, 2, 0, keep));
            assert_eq!(worker.join().unwrap(), left);
            assert!(Word::load(&slot.word).is_over());
        });
    }
}

#[test]
fn outcome_that_the_word_calls_done_can_be_read() {
    for steps in [Steps::Apart, Steps::Joined] {
        explore(move || {
            let slot = Arc::new(Slot::new());
            slot.post(1, 2);
            let worker = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.run_by(steps, 1))
            };
            let mut delivered = 0;
            for _ in 0..2 {
                let seen = Word::load(&slot.word);
                assert!(seen.is_lawful(1, 2, delivered));
                while delivered < seen.done() {
                    assert_eq!(slot.outcome(delivered), 100 + u64::from(delivered));
                    delivered += 1;
                }
            }
            assert_eq!(worker.join().unwrap(), 2);
            assert!(Word::load(&slot.word).is_over());
        });
    }
}

#[test]
fn slot_is_used_again_only_after_the_worker_is_through_with_it() {
    for steps in [Steps::Apart, Steps::Joined] {
        explore(move || {
            let slot = Arc::new(Slot::new());
            slot.post(1, 1);
            let worker = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || (slot.run_by(steps, 1), slot.run_by(steps, 2)))
            };
            slot.wait_until_over(1, 1);
            assert!(!slot.post(2, 1));
            assert_eq!(worker.join().unwrap(), (1, 1));
        });
    }
}

#[test]
fn slot_of_a_recalled_frame_is_used_again_only_after_the_worker_passed_it() {
    explore(|| {
        let slot = Arc::new(Slot::new());
        slot.post(1, 2);
        let worker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || (slot.run(1), slot.run(2)))
        };
        let left = left_by(recall(&slot, 1, 2, 0, 0));
        slot.wait_until_over(1, left);
        assert!(!slot.post(2, 1));
        assert_eq!(worker.join().unwrap(), (left, 1));
    });
}

/// The worker is still busy with leaving the first frame while the parent takes the second away from it. A slot that the
/// worker has not passed must not go on to the third.
#[test]
fn worker_that_is_late_passes_each_lap_by_itself() {
    explore_bounded(|| {
        let slot = Arc::new(Slot::new());
        slot.post(1, 1);
        let worker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || (slot.run(1), slot.run(2), slot.run(3)))
        };
        slot.wait_until_over(1, 1);
        slot.post(2, 1);
        let left = match recall(&slot, 2, 1, 0, 0) {
            Recalled::From(from) => from,
            Recalled::Nothing => 1,
            Recalled::Unlawful(word) => panic!("an honest worker is called a liar: {word:x?}"),
        };
        slot.wait_until_over(2, left);
        slot.post(3, 1);
        assert_eq!(worker.join().unwrap(), (1, left, 1));
    });
}

/// A worker that ends after so many steps, wherever that is. Where it does two at once it ends after both.
fn run_and_die(slot: &Slot, by: Steps, steps: u32) {
    for step in 0..steps {
        match step {
            2 if matches!(by, Steps::Joined) => {}
            0 | 2 => {
                if word::claim(&slot.word, 1).is_none() {
                    return word::pass(&slot.word, 1);
                }
            }
            1 if matches!(by, Steps::Joined) => {
                if slot.publish_and_claim(0).is_none() {
                    return word::pass(&slot.word, 1);
                }
            }
            step => drop(slot.publish(step / 2)),
        }
    }
}

#[test]
fn each_item_of_a_dead_worker_is_delivered_or_blamed_or_handed_back() {
    for steps in 0..=4 {
        for (keep, by) in [(0, Steps::Apart), (1, Steps::Apart), (0, Steps::Joined), (1, Steps::Joined)] {
            explore(move || {
                let slot = Arc::new(Slot::new());
                slot.post(1, 2);
                let worker = {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || run_and_die(&slot, by, steps))
                };
                let mut delivered = 0;
                let seen = Word::load(&slot.word);
                assert!(seen.is_lawful(1, 2, delivered));
                while delivered < seen.done() {
                    slot.outcome(delivered);
                    delivered += 1;
                }
                let end = left_by(recall(&slot, 1, 2, delivered, keep));
                worker.join().unwrap();
                // The account: what is done is delivered, what is claimed and not done is blamed, the rest goes back.
                let last = Word::load(&slot.word);
                assert!(last.is_lawful(1, end, delivered));
                while delivered < last.done() {
                    assert_eq!(slot.outcome(delivered), 100 + u64::from(delivered));
                    delivered += 1;
                }
                let blamed = last.next() - last.done();
                let handed_back = (end - last.next()) + (2 - end);
                assert_eq!(delivered + blamed + handed_back, 2);
                assert!(blamed <= 1 && (last.next() <= steps.div_ceil(2) || matches!(by, Steps::Joined)));
            });
        }
    }
}
