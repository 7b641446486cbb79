//! Sleeping on the upper half of a word, across processes.

use std::sync::atomic::AtomicU32;

use rustix::thread::futex::{self, Flags};

use crate::slot::word::Word;
use std::sync::atomic::AtomicU64;

/// Sleeps while the word's upper half is that of `seen`. Returns early on a signal, or when there is no futex at all.
pub(crate) fn sleep(word: &AtomicU64, seen: Word) {
    // EAGAIN: the word has changed already. EINTR: a signal; the caller looks again either way.
    let _ = futex::wait(upper_half(word), Flags::empty(), seen.upper(), None);
}

/// Wakes whoever sleeps on the word: one worker at most.
pub(crate) fn wake(word: &AtomicU64) {
    let _ = futex::wake(upper_half(word), Flags::empty(), 1);
}

/// The half of the word that the kernel compares.
fn upper_half(word: &AtomicU64) -> &AtomicU32 {
    const { assert!(cfg!(target_endian = "little"), "the upper half of a word is taken to be its second") };
    let half = std::ptr::from_ref(word).cast::<AtomicU32>().wrapping_add(1);
    // SAFETY: within the word, aligned to 4, alive as long as the word. Our own code never loads or stores through it: only
    // its address goes to the kernel, so no access of this size mixes with those to the whole word.
    unsafe { &*half }
}
