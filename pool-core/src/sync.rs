//! The locks and condition variables that threads sleep on, and their twins for the model checker.
//!
//! Short critical sections elsewhere use parking_lot. Whoever sleeps for long does so here, on std's futexes: parking_lot
//! keeps its sleepers in one table of the process, which a fork inherits with the sleepers of threads that it does not
//! have, and which its own threads, on stacks at the same addresses, then tear. A fork made while all threads slept can
//! so have a pool of its own.
//!
//! `future` takes the checker's twins under `--cfg loom`; everything else uses [`plain`] and is not modelled. `Arc` is std's
//! in both worlds, since the checker's cannot point to a trait object.

use std::time::Instant;

#[cfg(loom)]
pub(crate) use self::modelled::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use self::plain::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU32;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::AtomicU32;
pub(crate) use std::sync::atomic::Ordering;

/// How a wait on a condition variable ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wakeup {
    /// Something was announced, or nothing was: the caller looks.
    Look,
    /// The deadline passed.
    TooLate,
}

/// Waits until the condition variable is notified or the deadline passes; without a deadline, for ever.
pub(crate) fn wait<T>(condvar: &Condvar, guard: &mut MutexGuard<'_, T>, deadline: Option<Instant>) -> Wakeup {
    let Some(deadline) = deadline else {
        condvar.wait(guard);
        return Wakeup::Look;
    };
    condvar.wait_until(guard, deadline)
}

/// Std's lock and condition variable behind parking_lot's signatures, and like those without poison: what a panic could
/// leave half done is the matter of whoever holds a lock while calling others.
pub(crate) mod plain {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;
    use std::time::Instant;

    use super::Wakeup;

    const HELD: &str = "the guard is only empty while it waits";

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
        }
    }

    #[derive(Debug)]
    pub(crate) struct MutexGuard<'a, T>(Option<std::sync::MutexGuard<'a, T>>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect(HELD)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(std::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect(HELD);
            guard.0 = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
        }

        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> Wakeup {
            let limit = deadline.saturating_duration_since(Instant::now());
            let held = guard.0.take().expect(HELD);
            let (held, waited) = self.0.wait_timeout(held, limit).unwrap_or_else(PoisonError::into_inner);
            guard.0 = Some(held);
            if waited.timed_out() { Wakeup::TooLate } else { Wakeup::Look }
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

/// The model checker's lock and condition variable behind parking_lot's signatures.
#[cfg(loom)]
mod modelled {
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    use super::Wakeup;

    const HELD: &str = "the guard is only empty while it waits";
    const SOUND: &str = "a panic ends the model";

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().expect(SOUND)))
        }
    }

    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>);

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect(HELD)
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect(HELD)
        }
    }

    #[derive(Debug)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let held = guard.0.take().expect(HELD);
            guard.0 = Some(self.0.wait(held).expect(SOUND));
        }

        /// A model has no clock: no deadline ever passes in it.
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> Wakeup {
            self.wait(guard);
            Wakeup::Look
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}
