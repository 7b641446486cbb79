//! A hand-over whose manager and callers somebody else times: each step of theirs by itself.
//!
//! Keeps true: what decides is what decides for threads. Never waits.

use super::{Borrowed, Vigil};
use crate::manager::orders::{Mind, Orders, Turns};
use crate::sync::Wakeup;

impl<M: Mind> Orders<M> {
    /// Whether somebody has woken a manager that stands by.
    pub(crate) fn has_roused(&self, vigil: &Vigil) -> bool {
        let state = self.state.lock();
        matches!(state.turns, Turns::Returned(_)) || vigil.is_over && state.leaves != vigil.leaves
    }

    /// What a manager that stands by does when its wait has ended so. Without its mind, it waits again.
    pub(crate) fn look_in(&self, vigil: &mut Vigil, waited: Wakeup) -> Option<Box<M>> {
        let mut state = self.state.lock();
        vigil.note(waited, state.leaves);
        let mind = self.relieve(&mut state, vigil);
        state.dozes = mind.is_none() && vigil.is_over;
        mind
    }

    /// The loan of a caller that had put it aside.
    pub(crate) fn resume(&self, mind: Box<M>) -> Borrowed<'_, M> {
        Borrowed { orders: self, mind: Some(mind) }
    }
}

impl Vigil {
    /// Whether it waits without a limit of time.
    pub(crate) fn dozes(&self) -> bool {
        self.is_over
    }
}

impl<M: Mind> Borrowed<'_, M> {
    /// The caller is in the middle of its business, and goes on with that later.
    pub(crate) fn put_aside(mut self) -> Option<Box<M>> {
        self.mind.take()
    }
}
