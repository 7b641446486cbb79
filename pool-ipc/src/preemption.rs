//! Whether the calling thread had to leave its processor to others.
//!
//! Keeps true: what is told is the kernel's count, of this thread alone; a thread that sleeps by itself is not preempted, and
//! neither is one whose virtual machine stands still. Never asks the kernel unless somebody asks here.

use std::cell::Cell;

thread_local! {
    /// How often that was so when this thread asked last.
    static SEEN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Whether it was so since the thread asked last; no where it asks for the first time.
pub(crate) fn was_preempted() -> bool {
    let count = switches();
    // A thread that is about to end has nothing to remember.
    let before = SEEN.try_with(|seen| seen.replace(count)).ok().flatten();
    before.zip(count).is_some_and(|(before, count)| count > before)
}

/// How often this thread could have gone on and was put off its processor, where the kernel counts that.
#[cfg(all(target_os = "linux", not(pool_portable)))]
fn switches() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a value of the type that the call writes.
    let asked = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: all zeros is a value of this type, of integers alone, also where the call wrote nothing.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_nivcsw).ok().filter(|_| asked == 0)
}

#[cfg(not(all(target_os = "linux", not(pool_portable))))]
fn switches() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_only_sleeps_is_not_preempted() {
        let asked = std::thread::Builder::new().spawn(|| {
            assert!(!was_preempted(), "it has not asked before");
            // The last of some: it may have been preempted on its way to sleep.
            (0..1000).any(|_| {
                std::thread::sleep(std::time::Duration::from_micros(100));
                !was_preempted()
            })
        });
        assert!(asked.unwrap().join().unwrap());
    }
}
