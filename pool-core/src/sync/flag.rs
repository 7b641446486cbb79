//! Flags of which two face each other: a thread raises its own and then looks at the other one, and its counterpart does the
//! same the other way round.
//!
//! Keeps true: at least one of the two sees the other's flag raised, since all that is done to flags is in one order. The
//! model checker takes that order for acquire and release alone, and believes fences: for it, and for nobody else, a fence
//! follows each change, which is how processors come by that order. Only flags are in it.

#[cfg(loom)]
use loom::sync::atomic::AtomicBool;
#[cfg(not(loom))]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// A flag that faces another one.
#[derive(Debug)]
pub(crate) struct Flag {
    is_raised: AtomicBool,
    #[cfg(loom)]
    loads: loads::Loads,
}

impl Flag {
    /// A flag that is down.
    pub(crate) fn new() -> Self {
        Self {
            is_raised: AtomicBool::new(false),
            #[cfg(loom)]
            loads: loads::chosen(),
        }
    }

    pub(crate) fn is_raised(&self) -> bool {
        #[cfg(loom)]
        if self.loads == loads::Loads::Strong {
            return self.is_raised.fetch_or(false, Ordering::SeqCst);
        }
        self.is_raised.load(Ordering::SeqCst)
    }

    /// Raises it, or takes it down.
    pub(crate) fn set(&self, is_raised: bool) {
        // A store would be an exchange for x86, too; and the checker does not know which came first of a store and an exchange.
        self.is_raised.swap(is_raised, Ordering::SeqCst);
        #[cfg(loom)]
        loom::sync::atomic::fence(Ordering::SeqCst);
    }

    /// Raises it. Whether it was down, and nobody else has raised it.
    pub(crate) fn raise(&self) -> bool {
        let raised = !self.is_raised() && !self.is_raised.swap(true, Ordering::SeqCst);
        #[cfg(loom)]
        loom::sync::atomic::fence(Ordering::SeqCst);
        raised
    }
}

impl Default for Flag {
    fn default() -> Self {
        Self::new()
    }
}

/// How the model checker looks at flags.
///
/// It remembers one access of each atomic. Where a thread looks at a flag and then raises it, its own look hides another
/// thread's from the checker, which does not try the two in the other order. Looks that are read-modify-writes are tried in
/// all orders, but never see a stale value. So each model is explored both ways.
#[cfg(loom)]
pub(crate) mod loads {
    use std::cell::Cell;

    thread_local! {
        static LOADS: Cell<Loads> = const { Cell::new(Loads::Plain) };
    }

    /// How it looks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Loads {
        /// As written: stale values are tried, some orders are not.
        Plain,
        /// As read-modify-writes: all orders are tried, stale values are not.
        Strong,
    }

    /// Decides for the flags that this thread makes from now on.
    pub fn choose(loads: Loads) {
        LOADS.set(loads);
    }

    pub(super) fn chosen() -> Loads {
        LOADS.get()
    }
}
