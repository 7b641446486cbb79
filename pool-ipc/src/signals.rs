//! Which signals a child obeys: a table, set once on its arrival.
//!
//! | signal | pool worker | `Process` child | why |
//! | --- | --- | --- | --- |
//! | SIGINT | ignored | default | Ctrl-C is the parent's to handle; a `Process` gets it like any program |
//! | SIGTTIN, SIGTTOU | ignored | default | a worker's group is a background one: the terminal would stop it for ever |
//! | SIGPIPE | ignored | ignored | as std does before `main`: a closed pipe is an error, not a death |
//! | SIGTERM | soft stop | default | ends the child; a worker's item may ask for time (`soft_stop`) |
//! | SIGCHLD | default | default | else the children of tasks could not be waited for, where the host ignores it |
//! | the mask | empty | empty | it is inherited; a thread that starts children may block anything |
//!
//! All others stay as they were inherited (a program under nohup keeps ignoring SIGHUP). What tasks start inherits what
//! is ignored, but SIGPIPE, which std resets.

use std::io;

use crate::passport::Role;
use crate::soft_stop;

/// Sets the table's column for this role. To be called while there is one thread, as the mask is a thread's own.
pub(crate) fn arrange(role: Role) -> io::Result<()> {
    let (ignored, default): (&[i32], &[i32]) = match role {
        Role::Worker | Role::ChannelWorker => {
            (&[libc::SIGINT, libc::SIGTTIN, libc::SIGTTOU, libc::SIGPIPE], &[libc::SIGCHLD])
        }
        Role::Process => {
            (&[libc::SIGPIPE], &[libc::SIGINT, libc::SIGTTIN, libc::SIGTTOU, libc::SIGTERM, libc::SIGCHLD])
        }
    };
    ignored.iter().try_for_each(|signal| dispose(*signal, libc::SIG_IGN))?;
    default.iter().try_for_each(|signal| dispose(*signal, libc::SIG_DFL))?;
    if role != Role::Process {
        soft_stop::install()?;
    }
    set_mask(Mask::Empty).map(drop)
}

/// Runs `action` with all signals blocked: threads that it starts inherit that, and never run a handler.
pub(crate) fn with_all_blocked<T>(action: impl FnOnce() -> T) -> io::Result<T> {
    let before = set_mask(Mask::Full)?;
    let result = action();
    set_mask(Mask::As(before))?;
    Ok(result)
}

/// A mask to set.
enum Mask {
    /// Nothing is blocked.
    Empty,
    /// Everything is.
    Full,
    /// What was blocked before.
    As(libc::sigset_t),
}

/// Sets this thread's mask and gives the former one.
fn set_mask(mask: Mask) -> io::Result<libc::sigset_t> {
    // SAFETY: sigset_t is plain data, for which zeroes are a valid value; the calls write into these two locals only.
    unsafe {
        let mut wanted: libc::sigset_t = std::mem::zeroed();
        // Neither of the two can fail.
        let _filled = match mask {
            Mask::Empty => libc::sigemptyset(&raw mut wanted),
            Mask::Full => libc::sigfillset(&raw mut wanted),
            Mask::As(before) => {
                wanted = before;
                0
            }
        };
        let mut before: libc::sigset_t = std::mem::zeroed();
        match libc::pthread_sigmask(libc::SIG_SETMASK, &raw const wanted, &raw mut before) {
            0 => Ok(before),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// Ignores a signal or resets it to its default.
fn dispose(signal: i32, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: both actions are the kernel's own, no handler of ours is installed.
    let former = unsafe { libc::signal(signal, action) };
    if former == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
