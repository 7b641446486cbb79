//! A lock with something inside that one thread sleeps for until another changes it.
//!
//! Keeps true: whoever changes it wakes the one who sleeps for that, and makes no system call where nobody sleeps. Sleepers are
//! std's, each on a futex of its own, so that a fork inherits no list of them. Never: two sleepers at a time.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The lock, and who sleeps.
#[derive(Default)]
pub(super) struct Awaited<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Default)]
struct State<T> {
    value: T,
    /// Somebody sleeps, and nothing was changed since.
    sleeps: bool,
}

impl<T> Awaited<T> {
    /// Changes it, and wakes the one who sleeps.
    pub(super) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut state = self.lock();
        change(&mut state.value);
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.changed.notify_one();
        }
    }

    /// Sleeps until it is as wanted or the deadline has passed, and takes from it.
    pub(super) fn take<R>(
        &self,
        deadline: Option<Instant>,
        is_wanted: impl Fn(&T) -> bool,
        take: impl FnOnce(&mut T) -> R,
    ) -> R {
        let mut state = self.lock();
        while !is_wanted(&state.value) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state.sleeps = true;
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        state.sleeps = false;
        take(&mut state.value)
    }

    /// What is done under the lock leaves nothing half done, so that a panic in it is nobody else's matter.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Awaited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_sleeps_is_woken_by_the_change_that_he_sleeps_for_and_by_the_deadline() {
        let number = Arc::new(Awaited::<u32>::default());
        let other = Arc::clone(&number);
        let changing = std::thread::Builder::new().spawn(move || (0..1000).for_each(|_| other.change(|n| *n += 1)));
        assert_eq!(number.take(None, |n| *n == 1000, std::mem::take), 1000);
        changing.expect("there is room for a thread").join().expect("it does not panic");
        let soon = Instant::now() + Duration::from_millis(5);
        assert_eq!(number.take(Some(soon), |n| *n > 0, |n| *n), 0);
        assert!(Instant::now() >= soon);
    }
}
