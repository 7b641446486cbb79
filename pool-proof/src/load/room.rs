//! How many tasks of the load are under way that nobody waits for.

use std::sync::{Condvar, Mutex, MutexGuard};

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Room {
    inside: Mutex<usize>,
    left: Condvar,
}

impl Room {
    /// Waits until fewer than so many are inside, and enters.
    pub(super) fn enter_below(&self, limit: usize) {
        let inside = self.inside();
        *self.left.wait_while(inside, |inside| *inside >= limit).expect("nobody panics in the room") += 1;
    }

    /// Enters without waiting: for callbacks, which must not.
    pub(super) fn enter(&self) {
        *self.inside() += 1;
    }

    /// Leaves.
    pub(super) fn leave(&self) {
        *self.inside() -= 1;
        self.left.notify_all();
    }

    /// Waits until nobody is inside.
    pub(super) fn wait_until_empty(&self) {
        let inside = self.inside();
        drop(self.left.wait_while(inside, |inside| *inside > 0).expect("nobody panics in the room"));
    }

    fn inside(&self) -> MutexGuard<'_, usize> {
        self.inside.lock().expect("nobody panics in the room")
    }
}
