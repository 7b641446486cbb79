//! The locks and atomics that a future's state is made of, swapped for the model checker's under `--cfg loom`.
//!
//! Only `future` uses this module: everything else takes its locks from parking_lot, and is not modelled. `Arc` is
//! std's in both worlds, since the model checker's cannot point to a trait object.

use std::time::Instant;

#[cfg(loom)]
pub(crate) use self::modelled::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::AtomicU32;
#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
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
    match condvar.wait_until(guard, deadline).timed_out() {
        true => Wakeup::TooLate,
        false => Wakeup::Look,
    }
}

/// The model checker's lock and condition variable behind parking_lot's signatures.
#[cfg(loom)]
mod modelled {
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

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
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, _deadline: Instant) -> InTime {
            self.wait(guard);
            InTime
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    pub(crate) struct InTime;

    impl InTime {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }
}
