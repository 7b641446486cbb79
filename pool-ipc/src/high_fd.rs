//! Where a child keeps its own descriptors: at numbers that tasks leave alone.
//!
//! What holds: what comes out is close-on-exec and, where the limit allows it, at 200 or above. What never happens
//! here: a descriptor that is taken from somebody.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Duplicates a descriptor to a number that is out of the way of tasks that close, say, 0 to 9. Where the limit on
/// descriptors does not allow for so high a number, to a lower one.
pub(crate) fn move_high(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    for lowest in [200, 100, 50, 20] {
        match rustix::io::fcntl_dupfd_cloexec(fd, lowest) {
            Err(Errno::INVAL | Errno::MFILE) => {}
            result => return Ok(result?),
        }
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 3)?)
}
