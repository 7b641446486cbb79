//! The manager hears of everything that is published, though it is rung once a turn only.

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use pool_ipc::model::atomic::AtomicU64;
use pool_ipc::model::word::{self, Ring, Word};

use crate::{Slot, Steps, explore_bounded};

/// The manager's doorbell: rung by workers, waited for by one thread, which then looks at everything again.
pub(crate) struct Bell {
    pub(crate) armed: AtomicU64,
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let bell = Self { armed: AtomicU64::new(0), rung: Mutex::new(false), changed: Condvar::new() };
        word::arm(&bell.armed, Ring::AtLeave);
        bell
    }

    /// The worker, when it leaves a slot.
    pub(crate) fn leave(&self) {
        if word::take_armed(&self.armed) {
            self.ring();
        }
    }

    /// The worker, when it has published an item that is not the last.
    pub(crate) fn pass_item(&self) {
        if word::take_armed_for_item(&self.armed) {
            self.ring();
        }
    }

    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    pub(crate) fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }

    /// The manager: collects, arms, collects once more, and sleeps if that was not all.
    fn collect_all(&self, slots: &[&Slot], total: u32) {
        let mut delivered = [0; 2];
        loop {
            take_done(slots, &mut delivered);
            word::arm(&self.armed, Ring::AtLeave);
            take_done(slots, &mut delivered);
            if delivered.iter().sum::<u32>() == total {
                return;
            }
            self.wait();
        }
    }
}

fn take_done(slots: &[&Slot], delivered: &mut [u32; 2]) {
    for (slot, delivered) in slots.iter().zip(delivered) {
        let done = Word::load(&slot.word).done();
        while *delivered < done {
            assert_eq!(slot.outcome(*delivered), 100 + u64::from(*delivered));
            *delivered += 1;
        }
    }
}

#[test]
fn nothing_is_published_that_the_manager_does_not_see() {
    explore_bounded(|| {
        let shared = Arc::new((Bell::new(), Slot::new(), Slot::new()));
        let (bell, first, second) = &*shared;
        first.post(1, 2);
        second.post(1, 1);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (bell, first, second) = &*shared;
                for slot in [first, second] {
                    slot.run(1);
                    bell.leave();
                }
            })
        };
        bell.collect_all(&[first, second], 3);
        worker.join().unwrap();
    });
}

/// A caller collects its own outcome, and arms the doorbell again, while the manager does the same.
#[test]
fn manager_is_rung_although_another_thread_collects_too() {
    explore_bounded(|| {
        let shared = Arc::new((Bell::new(), Slot::new()));
        let (bell, slot) = &*shared;
        slot.post(1, 1);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.run(1);
                shared.0.leave();
            })
        };
        let caller = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                take_done(&[&shared.1], &mut [0; 2]);
                word::arm(&shared.0.armed, Ring::AtLeave);
                take_done(&[&shared.1], &mut [0; 2]);
            })
        };
        bell.collect_all(&[slot], 1);
        worker.join().unwrap();
        caller.join().unwrap();
    });
}

/// The second item of a frame takes until somebody has seen the first.
#[test]
fn manager_that_asks_for_it_sees_an_item_before_the_frame_is_left() {
    for steps in [Steps::Apart, Steps::Joined] {
        see_an_item_before_the_frame_is_left(steps);
    }
}

fn see_an_item_before_the_frame_is_left(steps: Steps) {
    explore_bounded(move || {
        let shared = Arc::new((Bell::new(), Slot::new(), Bell::new()));
        let (bell, slot, seen) = &*shared;
        slot.post(1, 2);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (bell, slot, seen) = &*shared;
                assert_eq!(word::claim(&slot.word, 1), Some(0));
                if let Steps::Joined = steps {
                    assert_eq!(slot.publish_and_claim(0), Some(1));
                    bell.pass_item();
                } else {
                    assert!(slot.publish(0), "there is another item");
                    bell.pass_item();
                    assert_eq!(word::claim(&slot.word, 1), Some(1));
                }
                seen.wait();
                assert!(!slot.publish(1), "it is the last");
                bell.leave();
            })
        };
        let mut delivered = [0; 2];
        while delivered[0] < 1 {
            take_done(&[slot], &mut delivered);
            word::arm(&bell.armed, Ring::AtItem);
            take_done(&[slot], &mut delivered);
            if delivered[0] == 0 {
                bell.wait();
            }
        }
        seen.ring();
        bell.collect_all(&[slot], 2);
        worker.join().unwrap();
    });
}
