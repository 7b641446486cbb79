//! What native code may do to its process, and what safe Rust has no words for.

use std::ops::RangeInclusive;

/// Writes where no memory is.
pub(crate) fn segfault() {
    // SAFETY: there is none: the process is to end here, as with a decoder in C that errs.
    unsafe { std::hint::black_box(std::ptr::null_mut::<u32>()).write_volatile(1) }
}

/// Closes descriptors, whoever they belong to.
pub(crate) fn close_descriptors(numbers: RangeInclusive<i32>) {
    for number in numbers {
        // SAFETY: the system checks the number. That others may use it is what the row is about; Rust's own files in
        // this process are those of the worker, whose soundness the table shows.
        unsafe { libc::close(number) };
    }
}

/// Keeps SIGTERM from the calling thread, and from those that it will start.
pub(crate) fn block_sigterm() {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` makes the set whole before anything reads it, and the old mask is not asked for.
    let blocked = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    assert_eq!(blocked, 0);
}
