//! What futures ask of their pool: to run their callbacks, and to hear what was taken back or is to be stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use pool_ipc::Owner;

use super::{GONE, OPEN, Pool};
use crate::future::{Callback, Desk, Recall};
use crate::manager::event::Event;
use crate::manager::seat;
use crate::manager::sentence::Why;
use crate::manager::stopping::Stop;

/// Keeps the pool from its end while somebody may hold frames that nobody else sees, whatever becomes of him.
struct Recalling<'a>(&'a Pool);

impl<'a> Recalling<'a> {
    fn begin(pool: &'a Pool) -> Self {
        pool.recalling.fetch_add(1, Ordering::SeqCst);
        Self(pool)
    }
}

impl Drop for Recalling<'_> {
    fn drop(&mut self) {
        self.0.recalling.fetch_sub(1, Ordering::SeqCst);
        // After that: whoever shut the pool before the manager looked is seen here.
        if self.0.gate.load(Ordering::SeqCst) != OPEN {
            self.0.inbox.lock().recalled = true;
            self.0.wake();
            self.0.fail_if_finished();
        }
    }
}

impl Pool {
    /// Somebody waits for a result, who might take turns.
    pub(crate) fn note_waiter(&self) {
        if !self.waited.load(Ordering::Relaxed) {
            self.waited.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody has, since this was forgotten.
    pub(crate) fn had_waiter(&self) -> bool {
        self.waited.load(Ordering::Relaxed)
    }

    pub(crate) fn forget_waiter(&self) {
        self.waited.store(false, Ordering::Relaxed);
    }
}

impl Desk for Pool {
    fn run_soon(&self, callbacks: Vec<Callback>) -> Result<(), Vec<Callback>> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let mut inbox = self.inbox.lock();
        if self.gate.load(Ordering::SeqCst) == GONE || self.is_foreign() {
            return Err(callbacks);
        }
        inbox.callbacks.extend(callbacks);
        drop(inbox);
        self.wake();
        Ok(())
    }

    fn is_current_thread(&self) -> bool {
        seat::is_of(self)
    }

    fn take_turns(&self, is_done: &dyn Fn() -> bool, deadline: Option<Instant>) {
        self.take_turns_until(is_done, deadline);
    }

    fn attend(&self) {
        if !self.is_foreign() {
            self.orders.call();
        }
    }

    fn is_foreign(&self) -> bool {
        self.home != pool_ipc::fork_generation()
    }

    fn recall(&self, take_back: &mut dyn FnMut() -> Vec<Recall>) {
        let _recalling = Recalling::begin(self);
        for Recall { link, rest } in take_back() {
            self.take_back(rest);
            self.tell(Event::Recalled(link));
        }
    }

    fn withdrawn(&self) {
        self.inbox.lock().withdrawn = true;
        self.wake();
    }

    fn kill(&self, owner: Owner) {
        self.stop(Stop { owner: Arc::downgrade(&owner), why: Why::Killed, at: None });
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use pool_ipc::{Backend, InProcess};

    use super::*;
    use crate::manager::feeder::Packing;
    use crate::manager::{Strength, TimeLimits};

    fn pool() -> Pool {
        let hub = InProcess::new().open().expect("threads need nothing");
        let strength = Strength { max_workers: 1, max_tasks: None, packing: Packing::of(true) };
        Pool::new(hub, Box::new(|| unreachable!("nobody starts a worker")), TimeLimits::default(), strength)
    }

    #[test]
    fn a_pool_that_ends_hears_of_the_end_of_each_cancel_that_it_had_to_wait_for() {
        let pool = pool();
        pool.recall(&mut Vec::new);
        assert!(pool.take_inbox().is_none(), "nobody waits for that");
        pool.recall(&mut || {
            pool.shut();
            assert_eq!(pool.recalling(), 1);
            assert!(!pool.take_inbox().unwrap().recalled);
            Vec::new()
        });
        assert_eq!(pool.recalling(), 0);
        assert!(pool.take_inbox().unwrap().recalled);
    }

    #[test]
    fn a_backend_that_panics_in_a_cancel_does_not_keep_the_pool_from_its_end() {
        let pool = pool();
        pool.shut();
        let cancel = || pool.recall(&mut || panic!("a backend's own"));
        assert!(catch_unwind(AssertUnwindSafe(cancel)).is_err());
        assert_eq!(pool.recalling(), 0);
        assert!(pool.take_inbox().unwrap().recalled);
    }
}
