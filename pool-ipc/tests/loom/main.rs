//! Models of the slot protocol: every order of steps of the real functions on a slot's word, up to the checker's bound.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p pool-ipc --test loom`. What lies around those functions (the loops of
//! the worker and of the manager, see src/slot/README.md) is written here again, in few lines. A model has at most three
//! threads and two slots. Those with three threads or three laps are explored up to 3 preemptions, the
//! others without a bound; `LOOM_MAX_PREEMPTIONS` sets another bound for all of them. Each is explored twice, see `model::atomic`.
#![cfg(loom)]

mod blocks;
mod claiming;
mod ringing;
mod sleeping;

use loom::cell::UnsafeCell;
use loom::thread;
use pool_ipc::model::atomic::{AtomicU64, Loads, set_loads};
use pool_ipc::model::word::{self, Posted, Recalled, Word};

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

/// Memory that a word publishes.
struct Published(UnsafeCell<u64>);

impl Published {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn write(&self, value: u64) {
        // SAFETY: what is to be shown: nobody else touches it now. The checker finds it where it is not so.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    fn read(&self) -> u64 {
        // SAFETY: as above.
        self.0.with(|place| unsafe { *place })
    }
}

/// A slot, and the memory that its word publishes: a request, and the outcome of each of two items.
struct Slot {
    word: AtomicU64,
    request: Published,
    outcomes: [Published; 2],
}

impl Slot {
    fn new() -> Self {
        let outcomes = [Published::new(), Published::new()];
        Self { word: AtomicU64::new(0), request: Published::new(), outcomes }
    }

    /// The parent's post. Whether the worker sleeps here.
    fn post(&self, lap: u64, items: u32) -> bool {
        self.request.write(lap * 100);
        word::post(&self.word, Word::ready(lap, items)).sleeps()
    }

    /// What the worker reads once it has claimed an item.
    fn request(&self) -> u64 {
        self.request.read()
    }

    /// The worker's publication of an item, first its bytes, then the word. Whether the frame has another one.
    fn publish(&self, item: u32) -> bool {
        self.write(item);
        word::publish(&self.word, item + 1)
    }

    /// The same, with the claim of the next one, if there is one. Else this is a mere publication.
    fn publish_and_claim(&self, item: u32) -> Option<u32> {
        self.write(item);
        let end = word::publish_and_claim(&self.word, item + 1, 1);
        if end.is_none() {
            assert!(!word::publish(&self.word, item + 1), "it is the last");
        }
        end.map(|end| end - 1)
    }

    fn write(&self, item: u32) {
        self.outcomes[item as usize].write(self.request() + u64::from(item));
    }

    /// What the parent reads of an item that the word calls done.
    fn outcome(&self, item: u32) -> u64 {
        self.outcomes[item as usize].read()
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

/// The parent takes back what is unclaimed, of a worker that claims no blocks.
fn recall(slot: &Slot, lap: u64, end: u32, delivered: u32, keep: u32) -> Recalled {
    let frame = Posted { lap, end, delivered };
    word::recall_beyond(&slot.word, &AtomicU64::new(0), frame, keep, || unreachable!("there is no block"))
}

/// What a parent's recall left to the worker of a frame of two items.
fn left_by(recalled: Recalled) -> u32 {
    match recalled {
        Recalled::From(from) => from,
        Recalled::Nothing => 2,
        Recalled::Unlawful(word) => panic!("an honest worker is called a liar: {word:x?}"),
    }
}
