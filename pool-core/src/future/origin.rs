//! What all futures of the same calls have in common: the task's name, the pool, what is to become of failures.
//!
//! Keeps true: it never changes. There is one for many futures, since a million of those may wait.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use crate::future::desk::Desk;
use crate::future::retry::Retry;

/// Where futures come from.
pub(crate) struct Origin {
    pub(super) task: &'static str,
    pub(super) desk: Weak<dyn Desk>,
    pub(super) retry: Option<Box<Retry>>,
}

impl Origin {
    pub(super) fn new(task: &'static str, desk: Weak<dyn Desk>, retry: Option<Box<Retry>>) -> Arc<Self> {
        Arc::new(Self { task, desk, retry })
    }

    /// That of calls of a task without further attempts: the one that this thread had last, if it is the same.
    pub(crate) fn plain<D: Desk + 'static>(task: &'static str, desk: &Arc<D>) -> Arc<Self> {
        let make = || {
            let weak: Weak<D> = Arc::downgrade(desk);
            Self::new(task, weak, None)
        };
        let cached = |last: &RefCell<Option<Arc<Self>>>| {
            let mut last = last.borrow_mut();
            if let Some(last) = last.as_ref().filter(|last| last.is_of(task, desk)) {
                return Arc::clone(last);
            }
            let made = make();
            *last = Some(Arc::clone(&made));
            made
        };
        // A thread that ends may have nothing of its own any more.
        LAST.try_with(cached).unwrap_or_else(|_| make())
    }

    /// As long as there is an origin nothing else has its desk's address, though the desk be gone.
    fn is_of<D>(&self, task: &'static str, desk: &Arc<D>) -> bool {
        let same_task = std::ptr::eq(self.task, task);
        same_task && self.retry.is_none() && std::ptr::addr_eq(self.desk.as_ptr(), Arc::as_ptr(desk))
    }
}

thread_local! {
    static LAST: RefCell<Option<Arc<Origin>>> = const { RefCell::new(None) };
}
