//! Worker processes over shared memory: the default backend on Linux.
//!
//! A link is two memfds, of which the worker can write but one, an inherited socketpair for what is too large or too rare
//! for slots, a doorbell towards the manager, and a pidfd. Nothing has a name or a file, so nothing can be left behind.

mod message;
mod parent;
pub(crate) mod worker;

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::SealFlags;

use self::parent::{Growth, SharedLink};
use crate::backend::{Abilities, Backend, Hub, Link, LinkEvent, LinkId, OpenError, StartError, StartOrder};
use crate::control::Sent;
use crate::hub::ProcessHub;
use crate::launch::{Launched, Style, launch_hearing};
use crate::memfd::{self, Access, Mapping};
use crate::passport::Role;
use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::parent::Memory;
use crate::slot::region::Region;
use crate::slot::worker::{have_worker_spin, lend_fences};

/// Runs workers as processes that share memory with this one.
///
/// ```
/// use pool_ipc::{Backend, SharedMemory};
///
/// assert!(SharedMemory::new().abilities().processes);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedMemory {
    spin: Duration,
}

impl SharedMemory {
    /// The backend, in which who waits sleeps at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a worker that waits for a task, and the thread that waits for results, look at their memory before they
    /// sleep: at most a millisecond. By default they do not. Where processors are free, about as long as a sleeper takes to
    /// wake, some ten microseconds, spares most of the time that a single task takes; who looks in vain looks less and less
    /// often. Where others want the processors, too, a task now and then takes some 5 ms longer: they are left to those for a
    /// part of what is gained.
    ///
    /// ```
    /// use std::time::Duration;
    /// use pool_ipc::SharedMemory;
    ///
    /// let backend = SharedMemory::new().spin(Duration::from_micros(20));
    /// # let _ = backend;
    /// ```
    #[must_use]
    pub fn spin(mut self, limit: Duration) -> Self {
        self.spin = limit;
        self
    }
}

impl Backend for SharedMemory {
    fn name(&self) -> &'static str {
        "shared_memory"
    }

    fn abilities(&self) -> Abilities {
        Abilities { processes: true, recall: true, frames_a_link: SLOTS }
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        let hub =
            ProcessHub::new(self.spin).map_err(|source| OpenError::System { doing: "opening an epoll set", source })?;
        Ok(Arc::new(SharedHub { hub, spin: self.spin }))
    }
}

#[derive(Debug)]
struct SharedHub {
    hub: ProcessHub,
    /// How long workers look before they sleep.
    spin: Duration,
}

impl Hub for SharedHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        let failed = |doing| move |source| StartError { doing, path: order.command.program.clone(), source };
        let request = memfd::create("pool-requests", request::SIZE).map_err(failed("making request memory"))?;
        let outcome = memfd::create("pool-outcomes", outcome::SIZE).map_err(failed("making outcome memory"))?;
        // Committed before the first store: a full memory limit is an error here, and not a SIGBUS there.
        memfd::commit(request.as_fd(), 0, request::ARENA as u64).map_err(failed("committing request memory"))?;
        memfd::commit(outcome.as_fd(), 0, outcome::ARENA as u64).map_err(failed("committing outcome memory"))?;
        let map = |fd, len| Mapping::map(fd, len, Access::ReadWrite).map(Region::mapped);
        let memory = Memory {
            request: map(request.as_fd(), request::SIZE).map_err(failed("mapping request memory"))?,
            outcome: map(outcome.as_fd(), outcome::SIZE).map_err(failed("mapping outcome memory"))?,
        };
        have_worker_spin(&memory, self.spin);
        lend_fences(&memory);
        // From here on nobody gets a writable view of it any more, by any call; ours stays.
        memfd::seal(request.as_fd(), SealFlags::FUTURE_WRITE).map_err(failed("sealing request memory"))?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bell = bell.map_err(|errno| failed("making a doorbell")(errno.into()))?;
        let kept = self.hub.hear_stderr(id, order.stderr).map_err(failed("listening to a worker's stderr"))?;
        let (ear, stderr) = kept.unzip();
        let launched = launch_hearing(Role::Worker, &order.boot, &order.command, Style::WORKER, stderr);
        let Launched { child, control } = launched?;
        match control.send(&message::welcome(), &[request.as_fd(), outcome.as_fd(), bell.as_fd()]) {
            Ok(Sent::Whole) => {}
            Ok(Sent::Full) => {
                let full = io::Error::other("too many descriptors of this user are on their way");
                return Err(failed("sending a worker its memory")(full));
            }
            // It has ended already, which says more as an event with its cause.
            Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
            Err(error) => return Err(failed("sending a worker its memory")(error)),
        }
        let link = Arc::new(SharedLink::new(id, memory, Growth::of(request), bell, child, control, ear));
        self.hub.watch(Arc::<SharedLink>::clone(&link)).map_err(failed("watching a worker"))?;
        Ok(link)
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        self.hub.wait(deadline, events);
    }

    fn wake(&self) {
        self.hub.wake();
    }

    fn flush(&self) {
        self.hub.flush();
    }
}
