//! A process that was started for one function, as its parent holds it; and the parent, as such a process sees it.
//!
//! What holds: every action goes through a pidfd, so that it meets the process that is meant or none; its end is seen,
//! and reaped, by whichever thread asks first, and all others hear the same. What never happens here: a decision on who
//! waits for whom at the end of the program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::backend::StartError;
use crate::child::{Child, Group};
use crate::command::WorkerCommand;
use crate::exit::ExitCause;
use crate::high_fd::move_high;
use crate::launch::{Launched, Style, launch};
use crate::passport::{Life, Role};
use crate::readiness::wait_readable;

/// How a process belongs to its parent. The default is Python's way: one process group, and no life without the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// It leads a process group of its own, and signals go to all of that.
    pub own_group: bool,
    /// It goes on when its parent has ended.
    pub outlive_parent: bool,
}

/// A child process that runs one function. To be reaped by [`reap`](Self::reap): dropping one that still runs kills it.
#[derive(Debug)]
pub struct ProcessHandle {
    child: Child,
}

impl ProcessHandle {
    /// Starts a process, which reads `boot` by [`ChildProcess::boot`](crate::ChildProcess::boot). Does not wait for it.
    ///
    /// # Errors
    /// The program does not exist or may not run, a limit on processes, descriptors or memory was hit, or children are
    /// nested too deep. Nothing is left behind.
    pub fn start(boot: &[u8], command: &WorkerCommand, options: ProcessOptions) -> Result<Self, StartError> {
        let mut style = Style::PROCESS;
        if options.own_group {
            style.group = Group::Own;
        }
        if options.outlive_parent {
            style.life = Life::Own;
        }
        // The channel has done its work once the first message is in it: that arrives although our end is closed, and the
        // child looks to its parent's pidfd from then on. It costs the parent one descriptor a child, not two.
        let Launched { child, control: _ } = launch(Role::Process, boot, command, style)?;
        Ok(Self { child })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Asks it to end, by SIGTERM. False means that nobody was there to get it.
    pub fn terminate(&self) -> bool {
        self.child.signal(libc::SIGTERM, true)
    }

    /// Ends it by SIGKILL.
    pub fn kill(&self) -> bool {
        self.child.signal(libc::SIGKILL, true)
    }

    /// Interrupts it as Ctrl-C does, by SIGINT.
    pub fn interrupt(&self) -> bool {
        self.child.signal(libc::SIGINT, true)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.child.has_ended()
    }

    /// Waits for its end, and says whether it has ended. Without a timeout that may take for ever.
    ///
    /// # Errors
    /// The system has no memory for the wait.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(self.has_ended() || !wait_readable(&[self.as_fd()], timeout)?.is_empty())
    }

    /// Reaps it and tells how it ended; waits for that where it has not. May be repeated, from any thread.
    pub fn reap(&self) -> ExitCause {
        self.child.reap()
    }
}

/// Readable once the process has ended.
impl AsFd for ProcessHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.as_fd()
    }
}

/// The process that started this one.
#[derive(Debug)]
pub struct ParentHandle(OwnedFd);

impl ParentHandle {
    /// Finds it by its number, or `None` once it has ended. In a worker that is a thread, the parent is this process.
    ///
    /// Opened first and compared afterwards: as long as it is our parent its number is nobody else's.
    ///
    /// # Errors
    /// The system has no descriptor for it.
    pub fn find(number: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let opened = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(opened) => opened,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let is_parent = rustix::process::getppid() == Some(pid) || rustix::process::getpid() == pid;
        if is_parent { Ok(Some(Self(move_high(opened.as_fd())?))) } else { Ok(None) }
    }

    /// Waits for its end, and says whether it has ended.
    ///
    /// # Errors
    /// The system has no memory for the wait.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        Ok(!wait_readable(&[self.0.as_fd()], timeout)?.is_empty())
    }
}
