//! The three standard streams of a child: there, whatever it was started with.
//!
//! What holds: a child that was started with stdout or stderr closed has /dev/null there before it opens anything that
//! it keeps. Otherwise the next file that a task opens would get that number, and be printed into. (std does the same
//! before `main`; a child that is taken over before that has to do it by itself.) What never happens here: a change to a
//! stream that is open.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use crate::high_fd::move_high;

/// Puts /dev/null where stdout or stderr is closed.
pub(crate) fn fill() -> io::Result<()> {
    if is_closed(rustix::stdio::stdout()) {
        rustix::stdio::dup2_stdout(&nowhere()?)?;
    }
    if is_closed(rustix::stdio::stderr()) {
        rustix::stdio::dup2_stderr(&nowhere()?)?;
    }
    Ok(())
}

fn is_closed(fd: BorrowedFd<'_>) -> bool {
    matches!(rustix::io::fcntl_getfd(fd), Err(Errno::BADF))
}

/// At a high number: at its own place it would be closed again with the value that holds it.
fn nowhere() -> io::Result<impl AsFd> {
    move_high(File::options().read(true).write(true).open("/dev/null")?.as_fd())
}
