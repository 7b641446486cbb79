//! Whom signals may hit: workers, and the processes that tasks started; never anybody else.
//!
//! Keeps true: a target is held by its pidfd. It was opened first; then the process was seen to be one of ours; then it
//! was seen to be alive still, so that it is the very process that was looked at, whatever becomes of its number.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::processes;
use crate::readiness::is_readable;

/// A process that may be signalled.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pid: u32,
    pidfd: OwnedFd,
}

impl Target {
    /// A worker: all children of this process are workers.
    pub(crate) fn worker(pid: u32) -> Option<Self> {
        Self::find(pid, |pid| processes::parent(pid) == Some(std::process::id()))
    }

    /// A process of the run, started by a task.
    pub(crate) fn of_run(pid: u32, token: &str) -> Option<Self> {
        Self::find(pid, |pid| processes::has_token(pid, token))
    }

    /// Sends it a signal. One that is gone does not get it.
    pub(crate) fn send(&self, signal: Signal) {
        let _gone = pidfd_send_signal(&self.pidfd, signal);
    }

    /// Ends it.
    pub(crate) fn kill(&self) {
        self.send(Signal::KILL);
    }

    /// Whether it has ended, reaped or not.
    pub(crate) fn has_ended(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Whether it ends within this time.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        is_readable(self.pidfd.as_fd(), limit)
    }

    fn find(pid: u32, is_ours: impl FnOnce(u32) -> bool) -> Option<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let target = Self { pid, pidfd: pidfd_open(number, PidfdFlags::empty()).ok()? };
        (is_ours(pid) && !target.has_ended()).then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_a_target() {
        let parent = std::os::unix::process::parent_id();
        assert!(Target::worker(parent).is_none() && Target::worker(std::process::id()).is_none());
        assert!(Target::of_run(parent, "nobody has this").is_none());
        assert!(Target::worker(u32::MAX).is_none());
    }
}
