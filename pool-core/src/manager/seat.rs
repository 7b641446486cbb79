//! Which pool the calling thread works for, so that it never waits there for what it would have to bring itself.
//!
//! Keeps true: a thread is known as a pool's own from its appointment to its end, and as one that takes a turn for the length
//! of that turn; at most one turn at a time is taken by a thread. Compares addresses, of pools that their threads and turns
//! hold, and never looks at what is there.

use std::cell::Cell;
use std::ptr;

use crate::manager::pool::Pool;

thread_local! {
    /// The pool whose manager or feeder this thread is.
    static HOME: Cell<usize> = const { Cell::new(0) };
    /// The pool whose turn this thread takes.
    static TAKING: Cell<usize> = const { Cell::new(0) };
}

/// Until it is dropped, a seat is taken by the calling thread.
#[must_use]
pub(super) struct Seat(&'static std::thread::LocalKey<Cell<usize>>);

impl Seat {
    /// The calling thread is the pool's manager or feeder.
    pub(super) fn of_own_thread(pool: &Pool) -> Self {
        Self::take(&HOME, pool)
    }

    /// The calling thread takes a turn.
    pub(super) fn of_turn(pool: &Pool) -> Self {
        Self::take(&TAKING, pool)
    }

    fn take(key: &'static std::thread::LocalKey<Cell<usize>>, pool: &Pool) -> Self {
        // A thread whose own values are being dropped works for nobody, and need not be known.
        let _ = key.try_with(|seat| seat.set(ptr::from_ref(pool).addr()));
        Self(key)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let _ = self.0.try_with(|seat| seat.set(0));
    }
}

/// Whether the calling thread is one of the pool's, or takes a turn of it.
pub(super) fn is_of(pool: &Pool) -> bool {
    let is_there = |seat: &Cell<usize>| seat.get() == ptr::from_ref(pool).addr();
    TAKING.try_with(is_there).unwrap_or(false) || HOME.try_with(is_there).unwrap_or(false)
}

/// Whether the calling thread takes a turn, of whatever pool.
pub(super) fn is_in_turn() -> bool {
    TAKING.try_with(|seat| seat.get() != 0).unwrap_or(true)
}
