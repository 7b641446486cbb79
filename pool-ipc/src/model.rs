//! The word of a slot as the model checker sees it: the very file that the slots use, compiled with other atomics.
//!
//! Exists under `--cfg loom` alone, for the test `loom`. All else of this crate keeps the standard library's atomics there.

#[expect(missing_docs, reason = "documented for its users within the crate")]
#[path = "slot/word.rs"]
pub mod word;

/// The checker's atomics, whose loads can be made stronger.
///
/// The checker remembers one access of each atomic. Where a thread loads a word and then exchanges it, its own load hides
/// another thread's load from it, and it does not try the two in the other order: models of mere loads miss whole
/// schedules. With loads that are read-modify-writes it tries them all, but shows no stale values. So each model is
/// explored both ways.
pub mod atomic {
    use std::cell::Cell;

    use loom::sync::atomic;
    pub use loom::sync::atomic::{Ordering, fence};

    thread_local! {
        static LOADS: Cell<Loads> = const { Cell::new(Loads::Plain) };
    }

    /// How loads are made.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Loads {
        /// As written: stale values are tried, some schedules are not.
        Plain,
        /// As read-modify-writes: all schedules are tried, stale values are not.
        Strong,
    }

    /// Decides for the atomics that this thread makes from now on.
    pub fn set_loads(loads: Loads) {
        LOADS.set(loads);
    }

    /// The one atomic that the protocol has.
    #[derive(Debug)]
    pub struct AtomicU64 {
        atomic: atomic::AtomicU64,
        loads: Loads,
    }

    #[expect(missing_docs, reason = "as in the standard library")]
    impl AtomicU64 {
        pub fn new(value: u64) -> Self {
            Self { atomic: atomic::AtomicU64::new(value), loads: LOADS.get() }
        }

        pub fn load(&self, order: Ordering) -> u64 {
            match self.loads {
                Loads::Plain => self.atomic.load(order),
                Loads::Strong => self.atomic.fetch_add(0, order),
            }
        }

        /// A store beside loads that are exchanges has to be one, too: the checker lets an exchange read what is older than a
        /// mere store before it.
        pub fn store(&self, value: u64, order: Ordering) {
            match self.loads {
                Loads::Plain => self.atomic.store(value, order),
                Loads::Strong => {
                    self.atomic.swap(value, order);
                }
            }
        }

        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.atomic.swap(value, order)
        }

        pub fn compare_exchange(&self, old: u64, new: u64, order: Ordering, failed: Ordering) -> Result<u64, u64> {
            self.atomic.compare_exchange(old, new, order, failed)
        }

        pub fn compare_exchange_weak(&self, old: u64, new: u64, order: Ordering, failed: Ordering) -> Result<u64, u64> {
            self.atomic.compare_exchange_weak(old, new, order, failed)
        }

        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.atomic.fetch_add(value, order)
        }

        pub fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.atomic.fetch_or(value, order)
        }

        pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.atomic.fetch_and(value, order)
        }
    }
}
