//! No wake-up is lost between a worker that goes to sleep, a post, and the closing.

use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use pool_ipc::model::atomic::{AtomicU64, Ordering};
use pool_ipc::model::word::{self, Word};

use crate::{Slot, explore, explore_bounded};

/// Where a worker sleeps, and how it is woken: as in `in_process`, which does with a lock what a futex does in the kernel.
struct Parker {
    lock: Mutex<()>,
    roused: Condvar,
    closing: AtomicBool,
}

impl Parker {
    fn new() -> Self {
        Self { lock: Mutex::new(()), roused: Condvar::new(), closing: AtomicBool::new(false) }
    }

    fn sleep(&self, word: &AtomicU64, seen: Word) {
        let mut guard = self.lock.lock().unwrap();
        while Word::load(word).upper() == seen.upper() {
            guard = self.roused.wait(guard).unwrap();
        }
    }

    fn wake(&self) {
        drop(self.lock.lock().unwrap());
        self.roused.notify_all();
    }

    /// The parent's post, with its wake-up.
    fn post(&self, slot: &Slot, lap: u64, items: u32) {
        if slot.post(lap, items) {
            self.wake();
        }
    }

    /// The watcher's closing.
    fn close(&self, slots: &[&Slot]) {
        self.closing.store(true, Ordering::SeqCst);
        for slot in slots {
            if word::rouse(&slot.word) {
                self.wake();
            }
        }
    }

    /// The worker's wait for a lap. False: closed, and nothing more was posted.
    fn await_frame(&self, slot: &Slot, lap: u64) -> bool {
        loop {
            let closing = self.closing.load(Ordering::SeqCst);
            let seen = Word::load(&slot.word);
            if seen.lap() == lap {
                return true;
            }
            if closing {
                return false;
            }
            if let Some(sleeping) = word::announce_sleep(&slot.word, seen)
                && !self.closing.load(Ordering::SeqCst)
            {
                self.sleep(&slot.word, sleeping);
            }
        }
    }
}

#[test]
fn worker_that_goes_to_sleep_is_woken_by_a_post() {
    explore(|| {
        let shared = Arc::new((Parker::new(), Slot::new()));
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (parker, slot) = &*shared;
                assert!(parker.await_frame(slot, 1));
                slot.run(1)
            })
        };
        let (parker, slot) = &*shared;
        parker.post(slot, 1, 2);
        assert_eq!(worker.join().unwrap(), 2);
    });
}

#[test]
fn worker_that_goes_to_sleep_is_woken_by_the_closing() {
    explore(|| {
        let shared = Arc::new((Parker::new(), Slot::new()));
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.0.await_frame(&shared.1, 1))
        };
        shared.0.close(&[&shared.1]);
        assert!(!worker.join().unwrap());
    });
}

#[test]
fn frame_that_was_posted_before_the_closing_is_run() {
    explore_bounded(|| {
        let shared = Arc::new((Parker::new(), Slot::new(), Slot::new()));
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (parker, first, second) = &*shared;
                let mut ran = 0;
                for slot in [first, second] {
                    if !parker.await_frame(slot, 1) {
                        return ran;
                    }
                    ran += slot.run(1);
                }
                panic!("nothing was posted to the second slot");
            })
        };
        let (parker, first, second) = &*shared;
        parker.post(first, 1, 1);
        parker.close(&[first, second]);
        assert_eq!(worker.join().unwrap(), 1);
    });
}

#[test]
fn post_and_closing_by_two_threads_lose_no_wake_up() {
    explore_bounded(|| {
        let shared = Arc::new((Parker::new(), Slot::new()));
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (parker, slot) = &*shared;
                if parker.await_frame(slot, 1) { slot.run(1) } else { 0 }
            })
        };
        let closer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.0.close(&[&shared.1]))
        };
        let (parker, slot) = &*shared;
        parker.post(slot, 1, 1);
        closer.join().unwrap();
        let ran = worker.join().unwrap();
        let left = if Word::load(&slot.word).next() == 0 { slot.run(1) } else { 0 };
        assert_eq!(ran + left, 1, "it was run, or is still there");
    });
}

/// A ring of one slot: the worker sleeps on a frame that the parent has not collected yet.
#[test]
fn sleeper_at_a_finished_frame_is_no_liar_and_is_woken_by_the_next_lap() {
    explore_bounded(|| {
        let shared = Arc::new((Parker::new(), Slot::new()));
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (parker, slot) = &*shared;
                for lap in 1..=2 {
                    assert!(parker.await_frame(slot, lap));
                    assert_eq!(slot.run(lap), 1);
                }
            })
        };
        let (parker, slot) = &*shared;
        parker.post(slot, 1, 1);
        slot.wait_until_over(1, 1);
        assert_eq!(slot.outcome(0), 100);
        parker.post(slot, 2, 1);
        worker.join().unwrap();
        slot.wait_until_over(2, 1);
    });
}
