//! The locks and condition variables that threads sleep on, and their twins for the model checker.
//!
//! Short critical sections elsewhere use parking_lot. Whoever sleeps for long does so here, on std's futexes: parking_lot
//! keeps its sleepers in one table of the process, which a fork inherits with the sleepers of threads that it does not
//! have, and which its own threads, on stacks at the same addresses, then tear. A fork made while all threads slept can
//! so have a pool of its own.
//!
//! `future` and the manager's orders take the checker's twins under `--cfg loom`; everything else uses [`plain`] and is not
//! modelled. `Arc` is std's in both worlds, since the checker's cannot point to a trait object.

mod flag;

use std::ops::{Deref, DerefMut};
use std::time::Instant;

pub(crate) use self::flag::Flag;
#[cfg(loom)]
pub(crate) use self::flag::loads;
#[cfg(loom)]
pub(crate) use self::modelled::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use self::plain::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32};
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32};

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

/// A lock that is held, but while it waits on a condition variable, which wants the guard itself: `G` is std's or the
/// checker's.
#[derive(Debug)]
pub(crate) struct Held<G>(Option<G>);

impl<G> Held<G> {
    /// Lets a wait have the guard until it gives that back.
    fn lend<R>(&mut self, wait: impl FnOnce(G) -> (G, R)) -> R {
        let (guard, ending) = wait(self.0.take().expect(HELD));
        self.0 = Some(guard);
        ending
    }
}

impl<G: Deref> Deref for Held<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        self.0.as_ref().expect(HELD)
    }
}

impl<G: DerefMut> DerefMut for Held<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        self.0.as_mut().expect(HELD)
    }
}

const HELD: &str = "the guard is only away while its owner waits";

/// Std's lock and condition variable behind parking_lot's signatures, and like those without poison: what a panic could
/// leave half done is the matter of whoever holds a lock while calling others.
pub(crate) mod plain {
    use std::sync::PoisonError;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::{Held, Wakeup};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            Held(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
        }

        #[cfg(not(loom))]
        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) type MutexGuard<'a, T> = Held<std::sync::MutexGuard<'a, T>>;

    /// What is announced was changed under the lock: whoever announces it finds all counted who did not see it there. A
    /// call of std's own would be a system call, also where nobody waits.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar {
        inner: std::sync::Condvar,
        waiting: AtomicU32,
    }

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self { inner: std::sync::Condvar::new(), waiting: AtomicU32::new(0) }
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            guard.lend(|held| (self.inner.wait(held).unwrap_or_else(PoisonError::into_inner), ()));
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }

        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> Wakeup {
            let limit = deadline.saturating_duration_since(Instant::now());
            let wait = |held| self.inner.wait_timeout(held, limit).unwrap_or_else(PoisonError::into_inner);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let waited = guard.lend(wait);
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            if waited.timed_out() { Wakeup::TooLate } else { Wakeup::Look }
        }

        /// Whether somebody waits, to one who has changed under the lock what that is for.
        #[cfg(not(loom))]
        pub(crate) fn is_awaited(&self) -> bool {
            self.waiting.load(Ordering::Relaxed) > 0
        }

        #[cfg(not(loom))]
        pub(crate) fn notify_one(&self) {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                self.inner.notify_one();
            }
        }

        pub(crate) fn notify_all(&self) {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                self.inner.notify_all();
            }
        }
    }
}

/// The model checker's lock and condition variable behind parking_lot's signatures.
#[cfg(loom)]
mod modelled {
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    use loom::sync::atomic::{AtomicU32, Ordering};

    use super::{Held, Wakeup};

    const SOUND: &str = "a panic ends the model";

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            Held(Some(Guard { mutex: &self.0, guard: self.0.lock().expect(SOUND) }))
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect(SOUND)
        }
    }

    pub(crate) type MutexGuard<'a, T> = Held<Guard<'a, T>>;

    /// The checker's guard, and what it guards.
    #[derive(Debug)]
    pub(crate) struct Guard<'a, T> {
        mutex: &'a loom::sync::Mutex<T>,
        guard: loom::sync::MutexGuard<'a, T>,
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.guard
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.guard
        }
    }

    /// Counts who waits, as the plain one does.
    #[derive(Debug)]
    pub(crate) struct Condvar {
        inner: loom::sync::Condvar,
        waiting: AtomicU32,
    }

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self { inner: loom::sync::Condvar::new(), waiting: AtomicU32::new(0) }
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            guard.lend(|Guard { mutex, guard }| (Guard { mutex, guard: self.inner.wait(guard).expect(SOUND) }, ()));
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }

        /// A model has no clock: a deadline that has passed does so in a moment in which others may have the lock, and any
        /// other one never.
        pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> Wakeup {
            if deadline <= Instant::now() {
                guard.lend(|Guard { mutex, guard }| {
                    drop(guard);
                    (Guard { mutex, guard: mutex.lock().expect(SOUND) }, ())
                });
                return Wakeup::TooLate;
            }
            self.wait(guard);
            Wakeup::Look
        }

        /// Whether somebody waits, to one who has changed under the lock what that is for.
        pub(crate) fn is_awaited(&self) -> bool {
            self.waiting.load(Ordering::Relaxed) > 0
        }

        pub(crate) fn notify_one(&self) {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                self.inner.notify_one();
            }
        }

        pub(crate) fn notify_all(&self) {
            if self.waiting.load(Ordering::Relaxed) > 0 {
                self.inner.notify_all();
            }
        }
    }

    impl Default for Condvar {
        fn default() -> Self {
            Self::new()
        }
    }
}
