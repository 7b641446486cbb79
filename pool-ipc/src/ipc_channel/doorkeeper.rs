//! The thread that lets workers in: it hears the control channels of a hub's links, whether anybody waits for the hub or
//! not. A frame that was posted before its worker came up reaches it that way, also while the manager is at other work.
//!
//! What holds: one thread a hub, which sleeps when no worker comes or goes, and is joined when the hub is dropped. What
//! never happens here: a look at requests or answers.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use super::parent::ChannelLink;
use crate::backend::LinkId;
use crate::signals;

/// Names the order to stop among the events. Links are numbered from below.
const STOP: u64 = u64::MAX;

/// Enough for a hello, and for what a logger may do.
const STACK_BYTES: usize = 512 * 1024;

/// The thread, as its hub holds it.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The process that it runs in; a forked copy has no such thread.
    owner: u32,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    stop: OwnedFd,
    links: Mutex<HashMap<LinkId, Weak<ChannelLink>>>,
}

impl Doorkeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// No descriptor or thread was to be had.
    pub(super) fn start() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &stop, EventData::new_u64(STOP), EventFlags::IN)?;
        let shared = Arc::new(Shared { epoll, stop, links: Mutex::default() });
        let own = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("pool-doorkeeper".to_owned()).stack_size(STACK_BYTES);
        let thread = signals::with_all_blocked(|| builder.spawn(move || own.run()))??;
        Ok(Self { shared, thread: Some(thread), owner: std::process::id() })
    }

    /// Hears a link's control channel from now on. The channel's closing takes it out of the set.
    ///
    /// # Errors
    /// The kernel has no memory for it.
    pub(super) fn watch(&self, id: LinkId, link: &Arc<ChannelLink>) -> io::Result<()> {
        let mut links = self.shared.links.lock();
        links.retain(|_, link| link.strong_count() > 0);
        links.insert(id, Arc::downgrade(link));
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.shared.epoll, link.control().as_fd(), EventData::new_u64(id.0), flags)?)
    }
}

impl Drop for Doorkeeper {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            std::mem::forget(self.thread.take());
            return;
        }
        // It can only fail where it is set already.
        let _ = rustix::io::write(&self.shared.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            crate::tell!(Error, "the doorkeeper of a hub has panicked");
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut buffer = [MaybeUninit::uninit(); 16];
            let happened = match epoll::wait(&self.epoll, &mut buffer, None) {
                Ok((happened, _)) => happened,
                Err(Errno::INTR) => continue,
                Err(errno) => {
                    // EBADF or EINVAL: a bug of ours, or the host closed our descriptor.
                    crate::tell!(Error, "waiting for new workers failed: {errno}");
                    return;
                }
            };
            for event in happened {
                match event.data.u64() {
                    STOP => return,
                    id => self.hear(LinkId(id)),
                }
            }
        }
    }

    fn hear(&self, id: LinkId) {
        let link = self.links.lock().get(&id).and_then(Weak::upgrade);
        if let Some(link) = link {
            link.hear();
        }
    }
}
