//! A manager whose turns somebody else times, and callers that take them. Decides nothing.

use std::sync::Arc;
use std::time::Instant;

use crate::future::Callback;
use crate::manager::completing::Unannounced;
use crate::manager::orders::Mind;
use crate::manager::orders::leaving::Borrowed;
use crate::manager::pool::Pool;
use crate::manager::state::{Limits, State};
use crate::manager::{Manager, threads};

impl Manager {
    pub(crate) fn simulated(pool: Arc<Pool>, limits: Limits) -> Self {
        Self::new(pool, State::new(limits))
    }

    /// One turn at this time, of what the hub has to tell now.
    pub(crate) fn take_turn_at(&mut self, now: Instant) -> Option<Unannounced> {
        let deadline = self.deadline();
        self.pool.hub.wait(deadline, &mut self.heard);
        self.decide_on_news(now)
    }

    /// The manager leaves its mind to callers after a turn, or has it back.
    pub(crate) fn leave_to_callers(self: Box<Self>, unannounced: Option<Unannounced>) -> Option<Box<Self>> {
        let pool = Arc::clone(&self.pool);
        threads::leave_to_callers(&pool, self, unannounced)
    }

    /// What the manager does after a panic of its own.
    pub(crate) fn give_up(&mut self) {
        self.abandon();
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        (!self.is_over()).then(|| self.deadline()).flatten()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_over()
    }

    pub(crate) fn take_callbacks(&mut self) -> Vec<Callback> {
        std::mem::take(&mut self.callbacks)
    }
}

/// What a caller does that waits for a result, and has the mind aside between two steps.
impl Pool {
    pub(crate) fn begin_turns_aside(&self) -> Option<Box<Manager>> {
        self.begin_turns().and_then(Borrowed::put_aside)
    }

    /// The mind, if the caller goes on.
    pub(crate) fn go_on_aside(
        &self,
        mind: Box<Manager>,
        is_done: bool,
        unannounced: Option<Unannounced>,
    ) -> Option<Box<Manager>> {
        self.after_turn(self.orders.resume(mind), is_done, unannounced).and_then(Borrowed::put_aside)
    }

    /// Its result is there, or its time is up, and no turn was taken since that was asked.
    pub(crate) fn end_turns_aside(&self, mind: Box<Manager>) {
        self.orders.resume(mind).leave(|mind| mind.is_quiet_but_for(0));
    }
}
