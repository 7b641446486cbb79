//! How a child ended, as the kernel tells it: by waitid(2), or by its pidfd where somebody else came first.
//!
//! What holds: a cause is the kernel's word or `None`, never a guess. What never happens here: an unbounded wait.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::WaitIdStatus;

use crate::exit::ExitCause;

/// What waitid(2) said, in our words.
pub(crate) fn cause_of(status: &WaitIdStatus) -> ExitCause {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitCause::Code(code),
        (None, Some(signal)) => ExitCause::Signal(signal),
        (None, None) => ExitCause::Unknown,
    }
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
