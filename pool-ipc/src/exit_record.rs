//! How a child ended, as the kernel tells it: by waitid(2), or by its pidfd where somebody else came first.
//!
//! What holds: a cause is the kernel's word or `None`, never a guess. What never happens here: an unbounded wait.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::exit::ExitCause;

/// Waits for the end of a child and reaps it: how it ended, and the most memory in RAM that the kernel counted for it, in
/// bytes. By the system call itself, as the C library's waitid does not tell of memory.
///
/// # Errors
/// Somebody else has reaped it (ECHILD).
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> rustix::io::Result<(ExitCause, u64)> {
    let (mut info, mut usage) = (MaybeUninit::<libc::siginfo_t>::zeroed(), MaybeUninit::<libc::rusage>::zeroed());
    rustix::io::retry_on_intr(|| {
        let (info, usage, fd) = (info.as_mut_ptr(), usage.as_mut_ptr(), pidfd.as_raw_fd());
        // SAFETY: both structures are the kernel's own on the platforms that this is built for, and outlive the call.
        let reaped = unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, fd, info, libc::WEXITED, usage) };
        if reaped == 0 { Ok(()) } else { Err(last_errno()) }
    })?;
    // SAFETY: all bytes are 0 or the kernel's, and any bytes are a value of either structure.
    let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
    // SAFETY: it is the information on a child's end, which has a status.
    let status = unsafe { info.si_status() };
    let cause = match info.si_code {
        libc::CLD_EXITED => ExitCause::Code(status),
        libc::CLD_KILLED | libc::CLD_DUMPED => ExitCause::Signal(status),
        _ => ExitCause::Unknown,
    };
    // The kernel counts in kibibytes.
    Ok((cause, u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024)))
}

/// The error of the libc call that just failed.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).expect("last_os_error has an error number")
}

/// Whether a process that is not reaped is on its way out already, so that a signal makes no difference any more. It closes
/// its descriptors before it can be seen to have ended.
pub(crate) fn is_exiting(pid: u32) -> bool {
    const PF_EXITING: u32 = 4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, the kernel's flags are the seventh field.
    let flags = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(6)?.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

/// The cause of a child that somebody else reaped, from kernels that keep it with the pidfd.
///
/// A child can be out of waitid's reach a moment before its cause is on record (it is when the host ignores SIGCHLD).
/// The record is made right before the pidfd reports a hang-up, so one bounded wait for that covers the moment.
pub(crate) fn cause_of_reaped(pidfd: BorrowedFd<'_>) -> Option<ExitCause> {
    match recorded_end(pidfd)? {
        Record::Made(cause) => Some(cause),
        Record::Pending => {
            let mut fds = [PollFd::new(&pidfd, PollFlags::empty())];
            let limit = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))).ok()?;
            match recorded_end(pidfd)? {
                Record::Made(cause) => Some(cause),
                Record::Pending => None,
            }
        }
    }
}

/// What a pidfd knows of its process's end.
enum Record {
    /// This is how it ended.
    Made(ExitCause),
    /// It was not entered yet.
    Pending,
}

/// `struct pidfd_info` of linux/pidfd.h in its first size, 64 bytes; `exit_code` has its place since 6.15.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    /// In: what is asked. Out: what was answered.
    mask: u64,
    /// The control group, and eleven process, user and group numbers, of no interest here.
    unused: [u32; 13],
    /// As wait(2) encodes it.
    exit_code: i32,
}

/// The bit of [`PidfdInfo::mask`] for the exit code.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `_IOWR(0xFF, 11, struct pidfd_info)` in its first size.
const PIDFD_GET_INFO: libc::c_ulong = (3 << 30) | (64 << 16) | (0xFF << 8) | 11;

/// Asks the kernel for the exit code; `None` where it keeps none.
fn recorded_end(pidfd: BorrowedFd<'_>) -> Option<Record> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request carries the size of the structure, 64 bytes, which the kernel reads and writes and no more;
    // on kernels that do not know it the call fails.
    let asked = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    match asked {
        0 if info.mask & PIDFD_INFO_EXIT == 0 => Some(Record::Pending),
        0 if libc::WIFSIGNALED(info.exit_code) => Some(Record::Made(ExitCause::Signal(libc::WTERMSIG(info.exit_code)))),
        0 => Some(Record::Made(ExitCause::Code(libc::WEXITSTATUS(info.exit_code)))),
        _ => None,
    }
}
