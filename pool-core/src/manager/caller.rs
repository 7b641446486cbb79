//! A caller that waits for a result takes the manager's turns itself, if nothing else goes on: the worker wakes it directly.
//!
//! Keeps true: it goes on with its own business as soon as its future is done or its time is up; it takes turns only while
//! at most one item is away, so that nobody else's results depend on it; callbacks are for the manager, who has its mind
//! back as soon as there are any. What it would have to wait for in the middle of a turn is refused it, as to the manager.

use std::time::Instant;

use crate::manager::completing::Unannounced;
use crate::manager::orders::Mind;
use crate::manager::orders::leaving::{Borrowed, LEASE};
use crate::manager::pool::Pool;
use crate::manager::threads::take_turn;
use crate::manager::{Manager, seat};

impl Pool {
    /// Takes turns until `is_done`, the deadline has passed, or there is more to do than a caller should. Whoever comes back
    /// without his result waits for it, and the manager brings it.
    pub(super) fn take_turns_until(&self, is_done: &dyn Fn() -> bool, deadline: Option<Instant>) {
        let Some(mut mind) = self.begin_turns() else { return };
        // Also before the first turn: whoever left the mind may have brought the result just before.
        while !is_done() && deadline.is_none_or(|deadline| deadline > Instant::now()) {
            let unannounced = take_turn(&mut mind, deadline);
            match self.after_turn(mind, is_done(), unannounced) {
                Some(again) => mind = again,
                None => return,
            }
        }
        mind.leave(|mind| mind.is_quiet_but_for(0));
    }

    /// The mind, for who may take turns; else the manager is to.
    pub(super) fn begin_turns(&self) -> Option<Borrowed<'_, Manager>> {
        let is_free = !seat::is_in_turn();
        let borrowed = if is_free { self.orders.borrow(|mind| mind.is_quiet_but_for(1)) } else { None };
        if borrowed.is_none() {
            self.leave_it_to_the_manager();
        }
        borrowed
    }

    /// Gives the mind away if its caller is done, or has no further turn to take; only then those hear who wait for the last
    /// outcome.
    pub(super) fn after_turn<'a>(
        &'a self,
        mind: Borrowed<'a, Manager>,
        is_done: bool,
        unannounced: Option<Unannounced>,
    ) -> Option<Borrowed<'a, Manager>> {
        if is_done {
            mind.leave(|mind| mind.is_quiet_but_for(0));
        } else if mind.is_quiet_but_for(1) {
            return Some(mind);
        } else {
            drop(mind);
            drop(unannounced);
            self.leave_it_to_the_manager();
        }
        None
    }

    fn leave_it_to_the_manager(&self) {
        self.note_waiter();
        self.orders.call();
    }
}

impl Manager {
    /// Whether nothing goes on but so many items with as many workers, and nothing will soon.
    pub(super) fn is_quiet_but_for(&self, items: usize) -> bool {
        let away = self.state.on_call().map(|workers| workers.saturating_sub(self.pool.idle.len()));
        !self.is_over()
            && !self.pool.is_woken()
            && away.is_some_and(|away| away <= items)
            && self.callbacks.is_empty()
            && self.news.is_empty()
            && self.heard.is_empty()
            && self.pool.backlog.waiting() == 0
            && self.doom.is_none()
            && self.delayed.len() == 0
            && self.deadline().is_none_or(|deadline| deadline > self.now + 2 * LEASE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pool_ipc::{Backend, Body, Frame, InProcess};

    use super::*;
    use crate::manager::feeder::Packing;
    use crate::manager::state::State;
    use crate::manager::{Batch, Limits, Strength, TimeLimits};

    #[test]
    fn a_pool_is_not_quiet_once_anything_was_said_or_waits() {
        let hub = InProcess::new().open().expect("threads need nothing");
        let strength = Strength { max_workers: 1, max_tasks: None, packing: Packing::of(true) };
        let recruiter = Box::new(|| unreachable!("nobody starts a worker"));
        let pool = Arc::new(Pool::new(hub, recruiter, TimeLimits::default(), strength));
        let mut mind = Manager::new(Arc::clone(&pool), State::new(Limits::of_one_worker()));
        assert!(mind.is_quiet_but_for(0));
        pool.wake();
        assert!(!mind.is_quiet_but_for(1), "what was said is to be heard first");
        assert!(pool.take_inbox().is_some() && mind.is_quiet_but_for(0));
        mind.callbacks.push(Box::new(|| ()));
        assert!(!mind.is_quiet_but_for(1), "callbacks are the manager's");
        mind.callbacks.clear();
        let batch = Batch::new("work", std::sync::Weak::<Pool>::new(), None, 1);
        pool.backlog.push(Frame::new(batch, Body::copied(&[1]), 1));
        assert!(!mind.is_quiet_but_for(1), "what waits is not heard of when it is cancelled");
    }
}
