//! A fence of which one side pays for both: who looks ten million times a second has none to speak of, and who changes
//! something now and then has the kernel put one into every thread that may be looking.
//!
//! Keeps true: a store before [`light`] in a worker and a load after it cannot both miss a store before [`heavy`] in the parent
//! and a load after that. Where the kernel does not help, both sides pay. The way is that of Linux's membarrier(2), in use
//! in liburcu and in the runtimes of Java and Go. Never: knows what is written.

use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

/// What a worker has in its place of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Light {
    /// A fence of its own.
    Whole,
    /// The parent sees to it.
    Borrowed,
}

impl Light {
    /// That of this process, whose parent has said whether it can see to the fences.
    pub(crate) fn of(parent_can: bool) -> Self {
        if parent_can && HAS_REGISTERED.load(Ordering::Relaxed) { Self::Borrowed } else { Self::Whole }
    }

    #[inline]
    pub(crate) fn pass(self) {
        match self {
            Self::Borrowed => compiler_fence(Ordering::SeqCst),
            Self::Whole => fence(Ordering::SeqCst),
        }
    }
}

/// Whether others can see to the fences of this process.
static HAS_REGISTERED: AtomicBool = AtomicBool::new(false);

/// Lets others see to the fences of this process, if the kernel helps. To be called while it has a single thread: later the kernel
/// waits until every processor has gone through a state of rest, which takes some ten milliseconds.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) fn register() {
    HAS_REGISTERED.store(kernel::register(), Ordering::Relaxed);
}

/// Whether this process can see to the fences of others.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) fn can_be_lent() -> bool {
    kernel::can_fence_others()
}

/// The parent's fence, for workers too if they have been told that it sees to theirs. False: there was none for them.
#[must_use]
pub(crate) fn heavy(is_lent: bool) -> bool {
    fence(Ordering::SeqCst);
    !is_lent || kernel::fence_others()
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
mod kernel {
    use std::sync::OnceLock;

    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};

    pub(super) fn can_fence_others() -> bool {
        static CAN: OnceLock<bool> = OnceLock::new();
        *CAN.get_or_init(|| membarrier_query().contains(MembarrierQuery::GLOBAL_EXPEDITED))
    }

    pub(super) fn register() -> bool {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
    }

    pub(super) fn fence_others() -> bool {
        // The first may be short of memory; the second needs none, and takes milliseconds.
        [MembarrierCommand::GlobalExpedited, MembarrierCommand::Global].into_iter().any(|by| membarrier(by).is_ok())
    }
}

#[cfg(not(all(target_os = "linux", not(pool_portable))))]
mod kernel {
    pub(super) fn fence_others() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::hint::spin_loop;
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// On a line of its own, so that a store to it waits while a load of another goes ahead.
    #[derive(Default)]
    #[repr(align(128))]
    struct Line(AtomicU32);

    /// Without the fences some ten to fifty of so many are missed.
    const ROUNDS: u32 = 8_000;

    /// The classic of two who each store and then look: one of them at least sees the other. In how many rounds none did.
    fn missed(worker_passes: impl Fn() + Sync, parent_passes: impl Fn()) -> usize {
        let [mine, theirs, round, answer] = [(); 4].map(|()| Line::default());
        // Each comes a little later than the other, by another time in each round.
        let wait = |steps: u32| (0..steps).for_each(|_| spin_loop());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1..=ROUNDS {
                    while round.0.load(Ordering::Acquire) != number {
                        std::thread::yield_now();
                    }
                    wait(number % 31);
                    theirs.0.store(number, Ordering::Relaxed);
                    worker_passes();
                    let saw = mine.0.load(Ordering::Relaxed) == number;
                    answer.0.store(number << 1 | u32::from(saw), Ordering::Release);
                }
            });
            let mut missed = 0;
            for number in 1..=ROUNDS {
                round.0.store(number, Ordering::Release);
                wait(number % 37 * 8);
                mine.0.store(number, Ordering::Relaxed);
                parent_passes();
                let saw = theirs.0.load(Ordering::Relaxed) == number;
                let worker_saw = loop {
                    let answer = answer.0.load(Ordering::Acquire);
                    if answer >> 1 == number {
                        break answer & 1 == 1;
                    }
                    std::thread::yield_now();
                };
                missed += usize::from(!saw && !worker_saw);
            }
            missed
        })
    }

    #[test]
    fn of_two_who_store_and_look_one_sees_the_other_though_both_have_a_fence_of_their_own() {
        let light = Light::of(false);
        assert_eq!(missed(|| light.pass(), || assert!(heavy(false))), 0);
    }

    #[cfg(all(target_os = "linux", not(pool_portable)))]
    #[test]
    fn of_two_who_store_and_look_one_sees_the_other_where_one_sees_to_both_fences() {
        register();
        let light = Light::of(can_be_lent());
        assert!(light == Light::Borrowed || !can_be_lent(), "whoever can lend fences can borrow them");
        assert_eq!(missed(|| light.pass(), || assert!(heavy(can_be_lent()))), 0);
    }
}
