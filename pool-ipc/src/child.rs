//! One child process, from its start to its reaping: asked, signalled and reaped by pidfd.
//!
//! What holds: a signal can only reach the child that it is meant for, or its process group, whatever happens to
//! process numbers meanwhile, and it reaches the child in whatever group that is by now; every child is reaped, also on error paths, by [`Child::reap`] or by drop; a process that
//! the program forked touches no child of its parent's. What never happens here: a SIGCHLD handler, or a wait for
//! children that are not ours; both belong to the host program. A host that reaps every child only costs us the exit
//! cause, and not even that on kernels that keep it (6.15).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::EventfdFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::cgroup::CgroupError;
use crate::exit::ExitCause;
use crate::exit_record::{self, cause_of_reaped, is_exiting, last_errno};
use crate::groups::WorkerGroup;
use crate::job_control;
use crate::memory::{self, Watch};
use crate::postmortem::{Killer, Postmortem};

/// Whose process group a child is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Its own, which it leads: it can be signalled together with its descendants.
    Own,
    /// That of its parent, as Python's processes.
    Parents,
}

/// A child process of this process. Dropping one that still runs kills it (and its own group) and waits for its end.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number. Only a name: every action goes through `handle`.
    pid: u32,
    /// What tells its end and takes its signals.
    handle: Handle,
    /// Whether it leads a process group.
    group: Group,
    /// The process that started it. In any other one, a fork of that, this value is a shell.
    parent: u32,
    /// What its memory is compared with at its end, where anybody wants to know.
    watch: Option<Watch>,
    /// The control group that is its own.
    cgroup: Option<WorkerGroup>,
    /// Set where this process sent it SIGKILL while that made a difference, with the first reason.
    killed: OnceLock<Killer>,
    /// Set once it was reaped.
    end: OnceLock<(ExitCause, Postmortem)>,
}

/// A descriptor that is readable once the child has ended.
#[derive(Debug)]
enum Handle {
    /// The child's pidfd.
    Pidfd(OwnedFd),
    /// Stands for a child that had ended, and was reaped by the host program, before its pidfd could be had: an eventfd
    /// that is always readable.
    Gone(OwnedFd),
}

impl Child {
    /// Takes charge of a child that was just started, with what is known of its memory at its start, and with the control
    /// group that it is to [enter](Self::enter_cgroup).
    ///
    /// # Errors
    /// No descriptor was to be had. The child was killed and reaped.
    pub(crate) fn adopt(pid: u32, group: Group, watch: Option<Watch>, cgroup: Option<WorkerGroup>) -> io::Result<Self> {
        match Handle::of_child(pid) {
            Ok(handle) => {
                if let (Group::Own, Handle::Pidfd(fd)) = (group, &handle) {
                    job_control::remember(pid, fd.as_fd());
                }
                let (parent, killed) = (std::process::id(), OnceLock::new());
                Ok(Self { pid, handle, group, parent, watch, cgroup, killed, end: OnceLock::new() })
            }
            Err(errno) => {
                kill_by_number(pid);
                Err(errno.into())
            }
        }
    }

    /// Puts it into its control group, if it has one.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn enter_cgroup(&self) -> Result<(), CgroupError> {
        self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.admit(self.pid))
    }

    /// Its process number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is no more: true from the moment at which [`as_fd`](Self::as_fd) became readable.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.get().is_some() || self.handle.has_ended()
    }

    /// Reaps it and tells how it ended. Call it once [`has_ended`](Self::has_ended) is true, otherwise it waits for
    /// that. May be repeated, from any thread.
    pub(crate) fn reap(&self) -> ExitCause {
        self.autopsy().0
    }

    /// What else is known of it. As [`reap`](Self::reap), which it does, too.
    pub(crate) fn postmortem(&self) -> Postmortem {
        self.autopsy().1
    }

    fn autopsy(&self) -> (ExitCause, Postmortem) {
        if self.is_foreign() {
            return (ExitCause::Unknown, Postmortem::default());
        }
        *self.end.get_or_init(|| {
            if let (Group::Own, Handle::Pidfd(fd)) = (self.group, &self.handle) {
                job_control::forget(self.pid, fd.as_fd());
            }
            let (cause, peak) = self.handle.wait();
            let killed = self.killed.get().copied();
            let postmortem = self.watch.as_ref().map(|watch| watch.end(cause, killed, peak));
            // What its group has counted is known by now.
            if let Some(cgroup) = &self.cgroup {
                cgroup.remove();
            }
            (cause, postmortem.unwrap_or_default())
        })
    }

    /// How much memory it has in RAM, in bytes; `None` once it has ended.
    pub(crate) fn resident(&self) -> Option<u64> {
        // As long as it is not reaped its number is its own.
        if self.is_foreign() || self.has_ended() { None } else { memory::resident(self.pid) }
    }

    /// Sends a signal to the child, or with `group` to it and to all that are in the process group that it led when it
    /// started. False means that nobody was there to get it.
    pub(crate) fn signal(&self, signal: i32, group: bool) -> bool {
        if self.is_foreign() {
            return false;
        }
        if signal == libc::SIGKILL {
            self.note_kill(Killer::Pool);
        }
        match self.group {
            Group::Own if group && signal == libc::SIGKILL => self.kill_group() | self.signal_itself(signal),
            Group::Own if group => self.signal_with_group(signal),
            Group::Own | Group::Parents => self.signal_itself(signal),
        }
    }

    /// Signals the group, and the child itself where that is in another one by now: what handles the signal is to see one.
    fn signal_with_group(&self, signal: i32) -> bool {
        // Asked first: of a child that leaves in this very moment, a second signal might hit what it does about the first.
        let has_left = self.has_left_group();
        let was_there = self.signal_group(signal);
        let reached_itself = (has_left || !was_there) && self.signal_itself(signal);
        was_there || reached_itself
    }

    /// Whether it is in another group than that which it led. By its number, which may be another process's by now: the
    /// answer is wrong then, and does no harm, as nobody is left to get a signal by pidfd.
    fn has_left_group(&self) -> bool {
        let pid = raw_pid(self.pid).as_raw_nonzero().get();
        // SAFETY: asks for a number and touches no memory. By libc: a group from outside of this pid namespace has the number
        // 0, which rustix's type cannot hold.
        let group = unsafe { libc::getpgid(pid) };
        group >= 0 && group != pid
    }

    fn signal_itself(&self, signal: i32) -> bool {
        !self.has_ended() && self.handle.send(signal, 0) == Ok(())
    }

    /// Kills the child and the group that it leads, as it has closed its channel: it has ended, or cannot be spoken with any
    /// more.
    pub(crate) fn kill_on_hang_up(&self) {
        if !self.is_foreign() {
            self.note_kill(Killer::PoolOnHangUp);
            self.signal(libc::SIGKILL, true);
        }
    }

    /// Keeps who kills it now, if it is not dead or dying and nobody did before.
    fn note_kill(&self, killer: Killer) {
        if self.killed.get().is_none() && !self.has_ended() && !is_exiting(self.pid) {
            // Another thread may have come first, which is as good.
            let _ = self.killed.set(killer);
        }
    }

    /// Kills what is left of the group that it leads, and of its control group. To be called before [`reap`](Self::reap):
    /// kernels before 6.9 can only name a group by a number, and that is the group's own as long as its leader is not reaped.
    pub(crate) fn end_group(&self) {
        if self.group == Group::Own && !self.is_foreign() {
            self.kill_group();
        }
    }

    /// Kills the group, and who has left that for another one and not its control group. Whether the group was there.
    fn kill_group(&self) -> bool {
        let was_there = self.signal_group(libc::SIGKILL);
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        was_there
    }

    /// Whether this is a copy, in a process that was forked from the child's parent.
    fn is_foreign(&self) -> bool {
        self.parent != std::process::id()
    }

    /// Signals the group by pidfd where the kernel can, else by number while the number is surely the group's.
    fn signal_group(&self, signal: i32) -> bool {
        match self.handle.send(signal, PIDFD_SIGNAL_PROCESS_GROUP) {
            Ok(()) => true,
            Err(Errno::INVAL) if self.end.get().is_none() && self.handle.is_unreaped() => {
                signal_group(self.pid, signal)
            }
            Err(_) => false,
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.handle {
            Handle::Pidfd(fd) | Handle::Gone(fd) => fd.as_fd(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.is_foreign() || self.end.get().is_some() {
            return;
        }
        self.end_group();
        self.signal(libc::SIGKILL, false);
        self.reap();
    }
}

/// Since Linux 6.9.
const PIDFD_SIGNAL_PROCESS_GROUP: u32 = 1 << 2;

impl Handle {
    /// The pidfd of a child that this process has just started.
    ///
    /// Where the host ignores SIGCHLD or reaps every child, a short-lived one may be gone already (ESRCH), and its
    /// number may in theory be another process's by now: such a one is no child of ours, which the second look notices.
    fn of_child(pid: u32) -> rustix::io::Result<Self> {
        let opened = rustix::process::pidfd_open(raw_pid(pid), PidfdFlags::empty());
        match opened.map(Self::Pidfd) {
            Ok(handle) if handle.is_unreaped() => Ok(handle),
            Ok(_) | Err(Errno::SRCH) => {
                Ok(Self::Gone(rustix::event::eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
            }
            Err(errno) => Err(errno),
        }
    }

    /// Whether it runs no more. Not by poll(2), which fails in a host whose limit of descriptors is zero.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self {
            // An error: somebody else has reaped it.
            Self::Pidfd(fd) => !matches!(rustix::process::waitid(WaitId::PidFd(fd.as_fd()), options), Ok(None)),
            Self::Gone(_) => true,
        }
    }

    /// Whether it is a child of ours that nobody has reaped, running or not.
    fn is_unreaped(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self {
            Self::Pidfd(fd) => {
                !matches!(rustix::process::waitid(WaitId::PidFd(fd.as_fd()), options), Err(Errno::CHILD))
            }
            Self::Gone(_) => false,
        }
    }

    /// Waits for the end and takes the cause, and the most memory that was counted, where it can be had.
    fn wait(&self) -> (ExitCause, Option<u64>) {
        let Self::Pidfd(fd) = self else { return (ExitCause::Unknown, None) };
        match exit_record::reap(fd.as_fd()) {
            Ok((cause, peak)) => (cause, Some(peak)),
            Err(_) => (cause_of_reaped(fd.as_fd()).unwrap_or(ExitCause::Unknown), None),
        }
    }

    /// Sends a signal by pidfd.
    fn send(&self, signal: i32, flags: u32) -> rustix::io::Result<()> {
        let Self::Pidfd(fd) = self else { return Err(Errno::SRCH) };
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a system call without pointers to our memory; the descriptor is open while `self` is borrowed.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, no_info, flags) };
        if sent == 0 { Ok(()) } else { Err(last_errno()) }
    }
}

/// Ends a child of ours that has no pidfd, right after its start: its number is still its own, as nobody but us knows
/// of it. Whoever reaps every child may come first, which is as good.
fn kill_by_number(pid: u32) {
    let pid = raw_pid(pid);
    if rustix::process::kill_process(pid, rustix::process::Signal::KILL).is_ok() {
        let wait = || rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        // An error means that it was reaped by somebody else.
        let _reaped = rustix::io::retry_on_intr(wait);
    }
}

/// Signals a group by its number.
fn signal_group(leader: u32, signal: i32) -> bool {
    // SAFETY: a system call without pointers.
    unsafe { libc::killpg(raw_pid(leader).as_raw_nonzero().get(), signal) == 0 }
}

/// The number of a process that exists.
fn raw_pid(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("process numbers of children lie between 1 and 2^22")
}
