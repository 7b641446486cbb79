//! SIGTERM in a worker: the soft stop. It ends the worker, unless the item that runs has said that it minds it.
//!
//! Keeps true: a worker whose item never asked ends by SIGTERM like any program, and is told as such; one whose item asked
//! gets the length of that item to come to an end, and no longer. The handler stores, and nothing else: it may run at any
//! moment, in any thread.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the item that runs minds the signal by itself.
static HEEDED: AtomicBool = AtomicBool::new(false);

/// Whether the signal came while it did.
static ASKED: AtomicBool = AtomicBool::new(false);

/// From now to the end of the item that runs, SIGTERM does not end this worker. Whether it came since.
pub fn heed_soft_stop() -> bool {
    HEEDED.store(true, Ordering::SeqCst);
    ASKED.load(Ordering::SeqCst)
}

/// Whether the item that runs has asked, so that what came meanwhile is to be looked at once it is over.
#[inline]
pub fn is_soft_stop_heeded() -> bool {
    HEEDED.load(Ordering::Relaxed)
}

/// The item is over, and the next one has not asked. Whether SIGTERM came: then the rest of the frame is not to be begun.
pub fn forget_soft_stop() -> bool {
    HEEDED.load(Ordering::Relaxed) && {
        HEEDED.store(false, Ordering::SeqCst);
        ASKED.swap(false, Ordering::SeqCst)
    }
}

/// Makes SIGTERM the soft stop of this process.
///
/// # Errors
/// The system refused.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) fn install() -> std::io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeroes are a valid value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_term as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler only stores to atomics and makes two calls that signal-safety(7) allows.
    let installed = unsafe { libc::sigaction(libc::SIGTERM, &raw const action, std::ptr::null_mut()) };
    if installed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
extern "C" fn on_term(signal: libc::c_int) {
    ASKED.store(true, Ordering::SeqCst);
    if !HEEDED.load(Ordering::SeqCst) {
        // SAFETY: both are async-signal-safe. The signal is blocked here, and ends the process when this returns.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}
