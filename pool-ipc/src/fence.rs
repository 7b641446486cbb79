//! A fence of which one side pays for both: who looks ten million times a second has none to speak of, and who changes
//! something now and then has the kernel put one into every thread that may be looking.
//!
//! Keeps true: a store before [`light`] in a worker and a load after it cannot both miss a store before [`heavy`] in the parent
//! and a load after that. Where the kernel does not help, both sides pay. The way is that of Linux's membarrier(2), in use
//! in liburcu and in the runtimes of Java and Go. Never: knows what is written.

use std::sync::atomic::{Ordering, compiler_fence, fence};

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
        if parent_can && kernel::register() { Self::Borrowed } else { Self::Whole }
    }

    #[inline]
    pub(crate) fn pass(self) {
        match self {
            Self::Borrowed => compiler_fence(Ordering::SeqCst),
            Self::Whole => fence(Ordering::SeqCst),
        }
    }
}

/// Whether this process can see to the fences of others.
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
    pub(super) fn can_fence_others() -> bool {
        false
    }

    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn fence_others() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// The classic of two who each store and then look: one of them at least sees the other. Where it is broken this fails
    /// within some ten thousand rounds; the models prove it for whole fences.
    fn neither_is_missed(light: Light, is_lent: bool) {
        let (mine, theirs, round) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let rounds = if cfg!(debug_assertions) { 2_000 } else { 20_000 };
        let seen = std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                (1..=rounds)
                    .map(|number| {
                        while round.load(Ordering::Acquire) != number {
                            std::thread::yield_now();
                        }
                        theirs.store(number, Ordering::Relaxed);
                        light.pass();
                        let seen = mine.load(Ordering::Relaxed) == number;
                        round.fetch_or(1 << 31, Ordering::Release);
                        seen
                    })
                    .collect::<Vec<bool>>()
            });
            let parent: Vec<bool> = (1..=rounds)
                .map(|number| {
                    round.store(number, Ordering::Release);
                    mine.store(number, Ordering::Relaxed);
                    assert!(heavy(is_lent));
                    let seen = theirs.load(Ordering::Relaxed) == number;
                    while round.load(Ordering::Acquire) >> 31 == 0 {
                        std::thread::yield_now();
                    }
                    seen
                })
                .collect();
            let worker = worker.join().expect("it only looks");
            parent.into_iter().zip(worker).collect::<Vec<_>>()
        });
        assert!(seen.iter().all(|&(parent, worker)| parent || worker));
    }

    #[test]
    fn of_two_who_store_and_look_one_sees_the_other_whoever_pays_for_the_fence() {
        neither_is_missed(Light::Whole, false);
        let light = Light::of(can_be_lent());
        neither_is_missed(light, can_be_lent());
        #[cfg(all(target_os = "linux", not(pool_portable)))]
        assert!(light == Light::Borrowed || !can_be_lent());
    }
}
