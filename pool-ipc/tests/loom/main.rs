//! Models of the slot protocol: every order of steps of the real functions on a slot's word, up to the checker's bound.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p pool-ipc --test loom`. What lies around those functions (the loops of
//! the worker and of the manager, see src/slot/README.md) is written here again, in few lines. A model has at most three
//! threads and two slots. Those with three threads or three laps are explored up to 3 preemptions, the
//! others without a bound; `LOOM_MAX_PREEMPTIONS` sets another bound for all of them. Each is explored twice, see `model::atomic`.
#![cfg(loom)]

mod claiming;
mod ringing;
mod sleeping;

use loom::cell::UnsafeCell;
use loom::thread;
use pool_ipc::model::atomic::{AtomicU64, Loads, set_loads};
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

/// How a worker goes from one item to the next.
#[derive(Clone, Copy, Debug)]
enum Steps {
    /// It publishes, then claims.
    Apart,
    /// It does both at once.
    Joined,
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

    /// The worker's publication of an item, first its bytes, then the word. Whether the frame has another one.
    fn publish(&self, item: u32) -> bool {
        self.write(item);
        word::publish(&self.word)
    }

    /// The same, with the claim of the next one, if there is one. Else this is a mere publication.
    fn publish_and_claim(&self, item: u32) -> Option<u32> {
        self.write(item);
        let next = word::publish_and_claim(&self.word);
        if next.is_none() {
            assert!(!word::publish(&self.word), "it is the last");
        }
        next
    }

    fn write(&self, item: u32) {
        // SAFETY: as above.
        self.outcomes[item as usize].with_mut(|outcome| unsafe { *outcome = self.request() + u64::from(item) });
    }

    /// What the parent reads of an item that the word calls done.
    fn outcome(&self, item: u32) -> u64 {
        // SAFETY: as above.
        self.outcomes[item as usize].with(|outcome| unsafe { *outcome })
    }

    /// All that a worker does with a frame, once it is there: gives how many items it ran.
    fn run(&self, lap: u64) -> u32 {
        self.run_by(Steps::Apart, lap)
    }

    fn run_by(&self, steps: Steps, lap: u64) -> u32 {
        while Word::load(&self.word).lap() != lap {
            thread::yield_now();
        }
        let mut ran = 0;
        let mut next = word::claim(&self.word, lap);
        while let Some(item) = next {
            assert_eq!((item, self.request()), (ran, lap * 100));
            next = match steps {
                Steps::Apart => {
                    self.publish(item);
                    word::claim(&self.word, lap)
                }
                Steps::Joined => self.publish_and_claim(item),
            };
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
