//! Waiting for one descriptor.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// Whether it becomes readable, or is at its end, within this time.
pub(crate) fn is_readable(fd: BorrowedFd<'_>, limit: Duration) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let limit = Timespec::try_from(limit).expect("limits here are seconds");
    // An error counts as yes: whoever reads will see it.
    rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))) != Ok(0)
}
