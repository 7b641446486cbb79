//! A manager whose turns somebody else times.

use std::sync::Arc;
use std::time::Instant;

use crate::future::Callback;
use crate::manager::Manager;
use crate::manager::orders::Mind;
use crate::manager::pool::Pool;
use crate::manager::state::{Limits, State};

impl Manager {
    pub(crate) fn simulated(pool: Arc<Pool>, limits: Limits) -> Self {
        Self::new(pool, State::new(limits))
    }

    /// One turn at this time, of what the hub has to tell now.
    pub(crate) fn take_turn_at(&mut self, now: Instant) {
        let deadline = self.deadline();
        self.pool.hub.wait(deadline, &mut self.heard);
        drop(self.decide_on_news(now));
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
