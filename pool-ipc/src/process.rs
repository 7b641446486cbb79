//! Which thread of which process is asking, and what runs when the process ends. Never a signal, never a wait.

use std::num::NonZeroU32;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the calling thread is the one that the process began with.
///
/// Where the system has no thread numbers it is the thread that the standard library calls `main`.
pub fn on_main_thread() -> bool {
    match (native_thread_id(), main_thread_id()) {
        (Some(own), Some(main)) => own == main,
        _ => std::thread::current().name() == Some("main"),
    }
}

/// The number that the system gave the calling thread.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub fn native_thread_id() -> Option<NonZeroU32> {
    NonZeroU32::new(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs())
}

/// The number that the system gave the calling thread.
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
pub fn native_thread_id() -> Option<NonZeroU32> {
    None
}

/// The number that the system gave the thread which the process began with: on Linux the process's own.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub fn main_thread_id() -> Option<NonZeroU32> {
    NonZeroU32::new(std::process::id())
}

/// The number that the system gave the thread which the process began with.
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
pub fn main_thread_id() -> Option<NonZeroU32> {
    None
}

/// How many forks lie between this process and the one that first asked. A value that was kept and differs tells that this
/// process is a fork of the one that kept it. Costs one load: a fork counts itself, if it
/// was made by the C library's `fork`.
#[inline]
pub fn fork_generation() -> u64 {
    watch_forks();
    GENERATION.load(Ordering::Relaxed)
}

/// How many copies of itself this process has made by the C library's `fork`, since this or
/// [`fork_generation`] was first called. Costs one load.
pub(crate) fn forks_made() -> u64 {
    watch_forks();
    MADE.load(Ordering::Relaxed)
}

#[inline]
fn watch_forks() {
    static WATCH: Once = Once::new();
    WATCH.call_once(count_forks);
}

/// Ends this process at once with this exit code if it is a fork of the one that kept `generation`: for one that has
/// nothing left to do, and nothing to say in the other's name. No destructor runs and nothing is written, as what other
/// threads had locked at the fork stays locked here. Else it costs one load.
#[inline]
pub fn end_if_forked_since(generation: u64, code: i32) {
    if is_fork_since(generation) {
        end(code);
    }
}

/// Whether this process is a fork of the one that kept `generation`. Costs one load: who kept one has asked for it, and
/// forks are counted since.
#[inline]
pub fn is_fork_since(generation: u64) -> bool {
    GENERATION.load(Ordering::Relaxed) != generation
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
#[cold]
fn end(code: i32) -> ! {
    // SAFETY: it ends the process and touches nothing in it.
    unsafe { libc::_exit(code) }
}

/// Never called: where forks are not counted no process is seen to be one.
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
#[cold]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

static GENERATION: AtomicU64 = AtomicU64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);

/// Has `last_wish` run when this process ends orderly: `main` returns, or somebody calls `std::process::exit`. It is lost
/// where the system has no room for it.
pub fn at_exit(last_wish: extern "C" fn()) {
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    {
        // SAFETY: the function is a plain one of this program, which is never unloaded before its end.
        unsafe { libc::atexit(last_wish) };
    }
    let _ = last_wish;
}

/// Ends this process with an exit code of its own while it ends in an orderly way: for a function that was given to
/// [`at_exit`]. What C's streams hold still comes out; what was to run after this function does not run.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: no stream means all of them, and each is locked while it is written.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    end(code)
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
fn count_forks() {
    extern "C" fn in_child() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
    extern "C" fn in_parent() {
        MADE.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handlers are async-signal-safe, as they have to be in the fork of a process with threads: one atomic
    // addition each.
    unsafe { libc::pthread_atfork(None, Some(in_parent), Some(in_child)) };
}

#[cfg(not(all(target_os = "linux", not(pool_portable))))]
fn count_forks() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_started_is_not_the_main_thread() {
        let asked = std::thread::Builder::new().spawn(|| (on_main_thread(), native_thread_id())).expect("a thread");
        let (main, number) = asked.join().expect("it does not panic");
        assert!(!main);
        assert!(number.is_none() || number != main_thread_id());
    }
}
