//! One wait for descriptors that anybody may own: sockets, pipes, sentinels of processes.
//!
//! What holds: a wait ends when something is readable (the end of a stream counts) or its time is over, and a signal that
//! arrives meanwhile neither ends nor prolongs it. What never happens here: a read.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// Waits until a descriptor is readable or at its end, and gives the places of all that are. Without a timeout it waits
/// for ever, also for nothing at all; once that is over it gives an empty list.
///
/// # Errors
/// The system has no memory for the wait, or there are more descriptors than a process may have.
pub fn wait_readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    // A time beyond what the clock can tell is as good as for ever.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    loop {
        let left = deadline.and_then(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
        match rustix::event::poll(&mut polled, left.as_ref()) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => return Ok(places_of_ready(&polled)),
        }
    }
}

fn places_of_ready(polled: &[PollFd<'_>]) -> Vec<usize> {
    polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty()).map(|(place, _)| place).collect()
}

fn timespec(duration: Duration) -> Option<Timespec> {
    let tv_sec = i64::try_from(duration.as_secs()).ok()?;
    Some(Timespec { tv_sec, tv_nsec: duration.subsec_nanos().into() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_can_be_read_and_what_has_ended_is_told_by_its_place() {
        let (empty, _writer) = io::pipe().unwrap();
        let (full, mut writer) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let (ended, _) = io::pipe().unwrap();
        let fds = [empty.as_fd(), full.as_fd(), ended.as_fd(), full.as_fd()];
        assert_eq!(wait_readable(&fds, None).unwrap(), [1, 2, 3]);
        assert_eq!(wait_readable(&fds, Some(Duration::MAX)).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_wait_for_nothing_lasts_as_long_as_it_may() {
        let (before, limit) = (Instant::now(), Duration::from_millis(20));
        assert_eq!(wait_readable(&[], Some(limit)).unwrap(), [0; 0]);
        assert!(before.elapsed() >= limit);
        assert_eq!(wait_readable(&[], Some(Duration::ZERO)).unwrap(), [0; 0]);
    }
}
