//! Ctrl-Z: the workers of a program stop with it, go on with it, and its time stands still meanwhile.
//!
//! Workers lead process groups of their own, which the terminal's stop does not reach. So SIGTSTP has a handler here, where
//! the program has none and does not ignore it, which
//! 1. stops the clock of [`running_now`];
//! 2. sends SIGSTOP to all workers and their groups;
//! 3. stops the program, by the signal's default;
//! 4. once that goes on, sends SIGCONT to all of them, and lets the clock run.
//!
//! A worker gets both signals by its pidfd, too, as it may have left its group. To be stopped twice, or to be sent on twice,
//! is no more than once.
//!
//! Keeps true: a signal reaches only workers and groups whose leaders are not reaped ([`forget`] waits until nobody is
//! sending); in a fork of the program the table is another process's and is left alone. The handler stores, makes calls
//! that signal-safety(7) allows or that are bare system calls, and nothing else: it may run at any moment, in any thread.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use crate::clock::{ticks, ticks_of};

/// How many workers of a program stop with it. Those beyond are not stopped.
const MOST: usize = 4096;

/// The workers, each as its number, which is its group's, in the upper half and its pidfd in the lower one. 0 where there is
/// none.
static WORKERS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// No worker stands at or above this.
static USED: AtomicUsize = AtomicUsize::new(0);

/// The process that the table is about.
static HOME: AtomicU32 = AtomicU32::new(0);

/// How many handlers are reading the table and sending.
static SENDING: AtomicU32 = AtomicU32::new(0);

/// The signal has come since the program went on.
static WANTED: AtomicBool = AtomicBool::new(false);

/// A handler is at work.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Odd while the clock stands still.
static VERSION: AtomicU64 = AtomicU64::new(0);

/// Since when it does.
static SINCE: AtomicU64 = AtomicU64::new(0);

/// For how long it did, all in all.
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// The latest stops, in turn: when each ended, and for how long the clock had stood still by then.
static STOPS: [[AtomicU64; 2]; REMEMBERED] = [const { [const { AtomicU64::new(0) }; 2] }; REMEMBERED];
const REMEMBERED: usize = 64;

/// Makes this program's workers stop with it, unless it minds Ctrl-Z by itself.
pub(crate) fn arrange() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(error) = install() {
            crate::tell!(Warn, "workers will not stop with the program: {error}");
        }
    });
}

fn install() -> io::Result<()> {
    // SAFETY: sigaction is plain data, for which zeroes are a valid value; the calls write to the local only. The handler
    // stores to atomics and makes calls that signal-safety(7) allows.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGTSTP, std::ptr::null(), &raw mut action) != 0 {
            return Err(io::Error::last_os_error());
        }
        if action.sa_sigaction != libc::SIG_DFL {
            return Ok(());
        }
        action = std::mem::zeroed();
        action.sa_sigaction = on_stop as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGTSTP, &raw const action, std::ptr::null_mut())
    };
    if installed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// This worker and its group stop with the program from now on. The pidfd stays open until it is [forgotten](forget).
pub(crate) fn remember(leader: u32, pidfd: BorrowedFd<'_>) {
    let own = std::process::id();
    if HOME.swap(own, SeqCst) != own {
        // What stands there was another process's, of which this one is a fork.
        WORKERS.iter().for_each(|worker| worker.store(0, SeqCst));
        USED.store(0, SeqCst);
    }
    let entry = entry(leader, pidfd);
    let free = |worker: &&AtomicU64| worker.compare_exchange(0, entry, SeqCst, SeqCst).is_ok();
    if let Some(index) = WORKERS.iter().position(|worker| free(&worker)) {
        USED.fetch_max(index + 1, SeqCst);
    }
}

/// They do not any more: the worker is about to be reaped.
pub(crate) fn forget(leader: u32, pidfd: BorrowedFd<'_>) {
    let entry = entry(leader, pidfd);
    for worker in &WORKERS[..USED.load(SeqCst).min(MOST)] {
        let _ = worker.compare_exchange(entry, 0, SeqCst, SeqCst);
    }
    // A handler that read the number before has counted itself before that. It sends without waiting for anybody.
    while SENDING.load(SeqCst) > 0 {
        std::thread::yield_now();
    }
}

/// How a worker stands in the table; [`parts`] reads it.
fn entry(leader: u32, pidfd: BorrowedFd<'_>) -> u64 {
    u64::from(leader) << 32 | u64::from(pidfd.as_raw_fd().cast_unsigned())
}

/// The number and the pidfd of a worker in the table.
fn parts(entry: u64) -> (i32, i32) {
    ((entry >> 32) as i32, entry as i32)
}

extern "C" fn on_stop(signal: libc::c_int) {
    WANTED.store(true, SeqCst);
    // Where another thread is at it that one looks again when it is through: the program may have been told to go on, and then
    // to stop once more.
    while WANTED.load(SeqCst) && !STOPPING.swap(true, SeqCst) {
        stop_with_workers(signal);
        STOPPING.store(false, SeqCst);
    }
}

fn stop_with_workers(signal: libc::c_int) {
    // SAFETY: the location is this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    SINCE.store(ticks(), SeqCst);
    VERSION.fetch_add(1, SeqCst);
    send_to_all(libc::SIGSTOP);
    stop_here(signal);
    // What came before was answered by this.
    WANTED.store(false, SeqCst);
    send_to_all(libc::SIGCONT);
    let end = ticks();
    let total = STOPPED.load(SeqCst) + end.saturating_sub(SINCE.load(SeqCst));
    let stop = &STOPS[(VERSION.load(SeqCst) / 2) as usize % REMEMBERED];
    stop[0].store(end, SeqCst);
    stop[1].store(total, SeqCst);
    STOPPED.store(total, SeqCst);
    VERSION.fetch_add(1, SeqCst);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Stops this process, by the default of the signal that is being handled, and returns once it goes on.
fn stop_here(signal: libc::c_int) {
    // SAFETY: sigaction and sigset_t are plain data, for which zeroes are a valid value, and the calls write to these
    // locals only; all of them are async-signal-safe. What the program had set for the signal is put back.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        let mut former: libc::sigaction = std::mem::zeroed();
        let mut only: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal);
        libc::sigaction(signal, &raw const default, &raw mut former);
        // Blocked here, it comes with the next call.
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, &raw mut before);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        libc::sigaction(signal, &raw const former, std::ptr::null_mut());
    }
}

fn send_to_all(signal: libc::c_int) {
    // SAFETY: a call without arguments or memory, async-signal-safe.
    let own = unsafe { libc::getpid() };
    if u32::try_from(own) != Ok(HOME.load(SeqCst)) {
        return;
    }
    SENDING.fetch_add(1, SeqCst);
    for worker in &WORKERS[..USED.load(SeqCst).min(MOST)] {
        let entry = worker.load(SeqCst);
        if entry == 0 {
            continue;
        }
        let (leader, pidfd) = parts(entry);
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a call that is async-signal-safe and a bare system call, both without memory; the worker is not reaped and
        // its pidfd is not closed, as `forget` waits for us.
        unsafe {
            libc::kill(-leader, signal);
            libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, no_info, 0);
        }
    }
    SENDING.fetch_sub(1, SeqCst);
}

/// The ticks of now and the nanoseconds for which the clock has stood still, read at one moment.
fn read() -> (u64, u64) {
    loop {
        let version = VERSION.load(SeqCst);
        let stopped = STOPPED.load(SeqCst);
        let now = if version % 2 == 1 { SINCE.load(SeqCst) } else { ticks() };
        if VERSION.load(SeqCst) == version {
            return (now, stopped);
        }
    }
}

/// The time on a clock that stands still while this program is stopped by Ctrl-Z, with its workers.
pub fn running_now() -> Instant {
    static BEGIN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (now, stopped) = read();
    let &(moment, begin) = BEGIN.get_or_init(|| (Instant::now(), ticks()));
    let running = now.saturating_sub(stopped);
    match running.checked_sub(begin) {
        Some(since) => moment + Duration::from_nanos(since),
        None => moment.checked_sub(Duration::from_nanos(begin - running)).unwrap_or(moment),
    }
}

/// What the clock of [`running_now`] showed at a moment. Which of many stops were before it is known of the latest 64.
pub fn in_running_time(moment: Instant) -> Instant {
    if VERSION.load(SeqCst) == 0 {
        return moment;
    }
    let at = ticks_of(moment);
    let stops = STOPS.iter().map(|stop| (stop[0].load(SeqCst), stop[1].load(SeqCst)));
    let stopped = stops.filter(|&(end, _)| end > 0 && end <= at).map(|(_, total)| total).max().unwrap_or(0);
    moment.checked_sub(Duration::from_nanos(stopped)).unwrap_or(moment)
}

/// When the clock of [`running_now`] will show this, should the program not be stopped before.
pub fn in_real_time(running: Instant) -> Instant {
    if VERSION.load(SeqCst) == 0 {
        return running;
    }
    Instant::now() + running.saturating_duration_since(running_now())
}
