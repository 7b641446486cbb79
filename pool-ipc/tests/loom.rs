//! Models of the slot protocol: every order of steps of the real functions on a slot's word, up to the checker's bound.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p pool-ipc --test loom`. What lies around those functions (the loops of
//! the worker and of the manager, see src/slot/README.md) is written here again, in few lines. A model has at most three
//! threads and two slots. Those with three threads or three laps are explored up to 3 preemptions, the
//! others without a bound; `LOOM_MAX_PREEMPTIONS` sets another bound for all of them. Each is explored twice, see `model::atomic`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicBool;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use pool_ipc::model::atomic::{AtomicU64, Loads, Ordering, set_loads};
use pool_ipc::model::word::{self, Recalled, Word};

/// Preemptions that are explored where a model without a bound would take minutes.
const BOUND: usize = 3;

/// Explores a model without a bound.
fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    explore_up_to(None, model);
}

/// Explores a model up to a bound.
fn explore_bounded(model: impl Fn() + Send + Sync + Clone + 'static) {
    explore_up_to(Some(BOUND), model);
}

fn explore_up_to(bound: Option<usize>, model: impl Fn() + Send + Sync + Clone + 'static) {
    for loads in [Loads::Plain, Loads::Strong] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(bound);
        let model = model.clone();
        builder.check(move || {
            set_loads(loads);
            model();
        });
    }
}

/// A slot, and the memory that its word publishes: a request, and the outcome of each of two items.
struct Slot {
    word: AtomicU64,
    request: UnsafeCell<u64>,
    outcomes: [UnsafeCell<u64>; 2],
}

impl Slot {
    fn new() -> Self {
        let outcomes = [UnsafeCell::new(0), UnsafeCell::new(0)];
        Self { word: AtomicU64::new(0), request: UnsafeCell::new(0), outcomes }
    }

    /// The parent's post. Whether the worker sleeps here.
    fn post(&self, lap: u64, items: u32) -> bool {
        // SAFETY: what is to be shown: nobody else touches the request now. The checker finds it where it is not so.
        self.request.with_mut(|request| unsafe { *request = lap * 100 });
        word::post(&self.word, Word::ready(lap, items)).sleeps()
    }

    /// What the worker reads once it has claimed an item.
    fn request(&self) -> u64 {
        // SAFETY: as above.
        self.request.with(|request| unsafe { *request })
    }

    /// The worker's publication of an item, first its bytes, then the word.
    fn publish(&self, item: u32) {
        // SAFETY: as above.
        self.outcomes[item as usize].with_mut(|outcome| unsafe { *outcome = self.request() + u64::from(item) });
        word::publish(&self.word);
    }

    /// What the parent reads of an item that the word calls done.
    fn outcome(&self, item: u32) -> u64 {
        // SAFETY: as above.
        self.outcomes[item as usize].with(|outcome| unsafe { *outcome })
    }

    /// All that a worker does with a frame, once it is there: gives how many items it ran.
    fn run(&self, lap: u64) -> u32 {
        while Word::load(&self.word).lap() != lap {
            thread::yield_now();
        }
        let mut ran = 0;
        while let Some(item) = word::claim(&self.word, lap) {
            assert_eq!((item, self.request()), (ran, lap * 100));
            self.publish(item);
            ran += 1;
        }
        word::decline(&self.word, lap);
        word::pass(&self.word, lap);
        ran
    }

    /// Waits until the frame of a lap is over, as a parent that collects again and again. Every word seen is lawful.
    fn wait_until_over(&self, lap: u64, end: u32) {
        loop {
            let seen = Word::load(&self.word);
            assert!(seen.is_lawful(lap, end, 0), "{seen:x?}");
            if seen.is_over() {
                return;
            }
            thread::yield_now();
        }
    }
}

/// What a parent's recall left to the worker of a frame of two items.
fn left_by(recalled: Recalled) -> u32 {
    match recalled {
        Recalled::From(from) => from,
        Recalled::Nothing => 2,
        Recalled::Unlawful(word) => panic!("an honest worker is called a liar: {word:x?}"),
    }
}

#[test]
fn item_is_claimed_or_recalled_and_its_claimer_sees_the_request() {
    for keep in [0, 1] {
        explore(move || {
            let slot = Arc::new(Slot::new());
            let worker = {
                let slot = Arc::clone(&slot);
                thread::spawn(move || slot.run(1))
            };
            assert!(!slot.post(1, 2));
            let left = left_by(word::recall_beyond(&slot.word, 1, 2, 0, keep));
            assert_eq!(worker.join().unwrap(), left);
            assert!(Word::load(&slot.word).is_over());
        });
    }
}

#[test]
fn outcome_that_the_word_calls_done_can_be_read() {
    explore(|| {
        let slot = Arc::new(Slot::new());
        slot.post(1, 2);
        let worker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || slot.run(1))
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

#[test]
fn slot_is_used_again_only_after_the_worker_is_through_with_it() {
    explore(|| {
        let slot = Arc::new(Slot::new());
        slot.post(1, 1);
        let worker = {
            let slot = Arc::clone(&slot);
            thread::spawn(move || (slot.run(1), slot.run(2)))
        };
        slot.wait_until_over(1, 1);
        assert!(!slot.post(2, 1));
        assert_eq!(worker.join().unwrap(), (1, 1));
    });
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
        let left = left_by(word::recall_beyond(&slot.word, 1, 2, 0, 0));
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
        let left = match word::recall_beyond(&slot.word, 2, 1, 0, 0) {
            Recalled::From(from) => from,
            Recalled::Nothing => 1,
            Recalled::Unlawful(word) => panic!("an honest worker is called a liar: {word:x?}"),
        };
        slot.wait_until_over(2, left);
        slot.post(3, 1);
        assert_eq!(worker.join().unwrap(), (1, left, 1));
    });
}

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

/// The manager's doorbell: rung by workers, waited for by one thread, which then looks at everything again.
struct Bell {
    armed: AtomicU64,
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn new() -> Self {
        let bell = Self { armed: AtomicU64::new(0), rung: Mutex::new(false), changed: Condvar::new() };
        word::arm(&bell.armed);
        bell
    }

    /// The worker, when it leaves a slot.
    fn leave(&self) {
        if word::take_armed(&self.armed) {
            *self.rung.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    fn wait(&self) {
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
            word::arm(&self.armed);
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
                word::arm(&shared.0.armed);
                take_done(&[&shared.1], &mut [0; 2]);
            })
        };
        bell.collect_all(&[slot], 1);
        worker.join().unwrap();
        caller.join().unwrap();
    });
}

/// A worker that ends after so many steps, wherever that is.
fn run_and_die(slot: &Slot, steps: u32) {
    for step in 0..steps {
        match step {
            0 | 2 => {
                if word::claim(&slot.word, 1).is_none() {
                    return word::pass(&slot.word, 1);
                }
            }
            step => slot.publish(step / 2),
        }
    }
}

#[test]
fn each_item_of_a_dead_worker_is_delivered_or_blamed_or_handed_back() {
    for steps in 0..=4 {
        for keep in [0, 1] {
            explore(move || {
                let slot = Arc::new(Slot::new());
                slot.post(1, 2);
                let worker = {
                    let slot = Arc::clone(&slot);
                    thread::spawn(move || run_and_die(&slot, steps))
                };
                let mut delivered = 0;
                let seen = Word::load(&slot.word);
                assert!(seen.is_lawful(1, 2, delivered));
                while delivered < seen.done() {
                    slot.outcome(delivered);
                    delivered += 1;
                }
                let end = left_by(word::recall_beyond(&slot.word, 1, 2, delivered, keep));
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
                assert!(blamed <= 1 && last.next() <= steps.div_ceil(2));
            });
        }
    }
}
