//! The thread in a child that watches its parent: dead, and the child ends; closed, and the child is told.
//!
//! What holds: the parent's death is seen by its pidfd, whoever else may hold the channel; the thread sleeps in one
//! epoll_wait(2) until then, and is there before the child waits for anything. Not in poll(2): that one fails in a process
//! whose limit of descriptors is below the number it is given, and a task may set that limit to zero. What never happens
//! here: a read from the channel, or code of a task.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::high_fd::move_high;
use crate::signals;

/// What the thread waits for, as its events are named.
const PARENT: u64 = 0;
const CONTROL: u64 = 1;

/// Enough for a wait and a callback that sets a flag.
const STACK_BYTES: usize = 64 * 1024;

/// The process that started this one.
#[derive(Debug)]
pub(crate) struct Parent {
    number: Pid,
    /// None where the system has no such thing, as under some versions of valgrind. The channel's end stands for the parent's then.
    pidfd: Option<OwnedFd>,
}

impl Parent {
    /// Opens the parent's pidfd, or ends this process if it is gone.
    ///
    /// Opened first and compared afterwards: while it is our parent its number cannot be another process's.
    ///
    /// # Errors
    /// It lives, but is not the parent: a program in between forked, rather than become the child by exec. Such a child
    /// could neither be killed nor told from the wrapper's own end. Going on as an ordinary program might start the
    /// next pool, so this is an error.
    pub(crate) fn find(number: NonZeroU32) -> io::Result<Self> {
        let pid = i32::try_from(number.get()).ok().and_then(Pid::from_raw).ok_or(Errno::INVAL)?;
        let pidfd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Some(move_high(pidfd.as_fd())?),
            Err(Errno::NOSYS) => None,
            Err(Errno::SRCH) => end_with_parent(),
            Err(errno) => return Err(errno.into()),
        };
        let parent = Self { number: pid, pidfd };
        // A child that is stopped hears of nothing, and the system lets go on what its parent left stopped only where the
        // stop had come to all threads by then. This signal does no harm when it is sent for less: at the end of the
        // thread that started this child.
        rustix::process::set_parent_process_death_signal(Some(Signal::CONT))?;
        let actual = rustix::process::getppid();
        if actual == Some(pid) {
            STARTED_BY.store(pid.as_raw_nonzero().get(), Ordering::Relaxed);
            return Ok(parent);
        }
        if parent.is_gone()? {
            end_with_parent();
        }
        let actual = Pid::as_raw(actual);
        Err(io::Error::other(format!("process {number} started this worker through a program, {actual}, that forks")))
    }

    /// Whether it has ended.
    fn is_gone(&self) -> io::Result<bool> {
        let Some(pidfd) = &self.pidfd else {
            return Ok(rustix::process::test_kill_process(self.number) == Err(Errno::SRCH));
        };
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&Timespec::default())))? > 0)
    }
}

/// What the watcher and the child have in common.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<Channel>);

/// The channel, as the watcher sees it.
enum Channel {
    /// Open, and nobody asked to be told.
    Open,
    /// Open; this is to be called when it closes.
    Awaited(Box<dyn FnOnce() + Send>),
    /// Closed by the parent. Final.
    Closed,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Awaited(_) => "Awaited",
            Self::Closed => "Closed",
        })
    }
}

impl Watch {
    /// Leaves a callback, or runs it now if the channel is closed already.
    pub(crate) fn register(&self, on_close: Box<dyn FnOnce() + Send>) {
        let mut channel = self.0.lock();
        if matches!(*channel, Channel::Closed) {
            drop(channel);
            on_close();
        } else {
            *channel = Channel::Awaited(on_close);
        }
    }

    /// Notes the closing and tells whoever asked to be told.
    fn close(&self) {
        let before = std::mem::replace(&mut *self.0.lock(), Channel::Closed);
        if let Channel::Awaited(on_close) = before {
            on_close();
        }
    }
}

/// Starts the thread. It has a descriptor of its own for the channel: no number that the child might close and reuse.
pub(crate) fn start(parent: Parent, control: BorrowedFd<'_>) -> io::Result<Arc<Watch>> {
    let watched = Watched::new(parent, move_high(control)?)?;
    let watch = Arc::new(Watch(Mutex::new(Channel::Open)));
    let shared = Arc::clone(&watch);
    let thread = std::thread::Builder::new().name("pool-watcher".to_owned()).stack_size(STACK_BYTES);
    signals::with_all_blocked(|| thread.spawn(move || watched.run(&shared)))??;
    Ok(watch)
}

/// Ends this process because its parent is no more, and with it what stayed in the group that it made. No exit
/// handlers: there is nobody left to hear of it.
///
/// A group with this process's number is its own or is not there. Its present group is not asked for: one from outside
/// of the pid namespace has the number 0, which is no `Pid`.
pub(crate) fn end_with_parent() -> ! {
    let _killed = rustix::process::kill_process_group(rustix::process::getpid(), Signal::KILL);
    // SAFETY: ends the process at once, whatever its other threads are doing.
    unsafe { libc::_exit(1) }
}

/// Ends what stayed in the group that this process made, for a worker at its own orderly end. Its parent does so when it sees
/// that end, but may be killed before. The worker itself goes over to its parent's group for that; where it may not, in
/// another session, or that group has no number here, the group is left to the parent.
pub fn end_own_group() {
    end_group_from_outside();
    // Who was killed meanwhile ends nobody's group any more; and who came in its place may have a group without a number.
    let started_by = STARTED_BY.load(Ordering::Relaxed);
    if started_by != 0 && rustix::process::getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != started_by) {
        end_with_parent();
    }
}

/// The number of the parent that this process began with, once it is known.
static STARTED_BY: AtomicI32 = AtomicI32::new(0);

fn end_group_from_outside() {
    let own = rustix::process::getpid();
    let Some(parent) = rustix::process::getppid() else { return };
    // SAFETY: asks for a number and touches no memory. By libc: a group from outside of this pid namespace has the number 0,
    // which rustix's type cannot hold.
    let group = unsafe { libc::getpgid(parent.as_raw_nonzero().get()) };
    if group <= 0 || group == own.as_raw_nonzero().get() {
        return;
    }
    if rustix::process::setpgid(None, Pid::from_raw(group)).is_ok() {
        let _killed = rustix::process::kill_process_group(own, Signal::KILL);
    }
}

/// The thread's own: the set that it sleeps on, and what is in it.
struct Watched {
    set: OwnedFd,
    parent: Parent,
    _control: OwnedFd,
}

impl Watched {
    fn new(parent: Parent, control: OwnedFd) -> io::Result<Self> {
        let set = move_high(epoll::create(CreateFlags::CLOEXEC)?.as_fd())?;
        if let Some(pidfd) = &parent.pidfd {
            epoll::add(&set, pidfd, EventData::new_u64(PARENT), EventFlags::IN)?;
        }
        epoll::add(&set, &control, EventData::new_u64(CONTROL), EventFlags::RDHUP | EventFlags::ONESHOT)?;
        Ok(Self { set, parent, _control: control })
    }

    /// Waits for the closing, and then only for the parent's end.
    fn run(self, watch: &Watch) {
        loop {
            let mut buffer = [MaybeUninit::uninit(); 2];
            let happened = match epoll::wait(&self.set, &mut buffer, None) {
                Ok((happened, _)) => happened,
                Err(Errno::INTR) => continue,
                // The set is gone: a task closed what was not its own. Without a watcher the child could stay for ever.
                Err(_) => end_with_parent(),
            };
            if happened.iter().any(|event| event.data.u64() == PARENT) {
                end_with_parent();
            }
            if let Some(&event) = happened.first() {
                let flags = event.flags;
                // Closed in both directions: not by a parent that wants this child to end, but by the parent's own end, of
                // which its pidfd tells a moment later. A child that went its way now would leave behind what is in its group.
                if !flags.contains(EventFlags::HUP) {
                    watch.close();
                } else if self.parent.pidfd.is_none() {
                    end_with_parent();
                }
            }
        }
    }
}
