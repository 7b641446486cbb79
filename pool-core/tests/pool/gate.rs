//! A gate: a task waits in it until the test lets it go, wherever the task runs.
//!
//! It is a socket in the abstract namespace, which leaves no file. The task connects and says which it is; the test
//! accepts, which proves that the task runs, and lets it go by a byte. A test that fails lets all go.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::watchdog::LIMIT;

/// Where tasks stop.
pub(crate) struct Gate {
    name: String,
    listener: UnixListener,
}

/// What the gate of these numbers is called.
pub(crate) fn name_of([process, number]: [u32; 2]) -> String {
    format!("pool-core-gate-{process}-{number}")
}

/// A task that stands in the gate. Dropping it lets the task go.
pub(crate) struct Held {
    _stream: UnixStream,
    pub(crate) item: u32,
    /// The process that the task runs in.
    pub(crate) pid: u32,
}

impl Gate {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = name_of([std::process::id(), number]);
        let listener = UnixListener::bind_addr(&address(&name)).unwrap();
        Self { name, listener }
    }

    /// What tasks call it by.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// The same, for those whose arguments are numbers.
    pub(crate) fn numbers(&self) -> [u32; 2] {
        let numbers: Vec<u32> = self.name.rsplit('-').take(2).map(|number| number.parse().unwrap()).collect();
        [numbers[1], numbers[0]]
    }

    /// Waits until a task has come.
    pub(crate) fn next(&self) -> Held {
        assert!(self.is_somebody_there(LIMIT.as_secs()), "no task came to the gate within {LIMIT:?}");
        let (mut stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut words = [0; 8];
        stream.read_exact(&mut words).unwrap();
        let word = |at: usize| u32::from_le_bytes(words[at..at + 4].try_into().unwrap());
        Held { item: word(0), pid: word(4), _stream: stream }
    }

    /// Whether no task is there now.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_somebody_there(0)
    }

    fn is_somebody_there(&self, seconds: u64) -> bool {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let limit = Timespec { tv_sec: seconds.try_into().unwrap(), tv_nsec: 0 };
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))).unwrap() == 1
    }
}

/// A task: stops at the gate, and returns the item.
pub(crate) fn stop_at(name: String, item: u32) -> u32 {
    let mut stream = knock(&name, item);
    // Nothing, or an error, where the test let go of it.
    let _ = stream.read(&mut [0]);
    item
}

/// A task: says that it is there, and does not stop.
pub(crate) fn pass(name: String, item: u32) -> u32 {
    drop(knock(&name, item));
    item
}

/// Comes to the gate, for whoever is to stop there: it may pass once this says no more.
pub(crate) fn knock(name: &str, item: u32) -> UnixStream {
    let mut stream = UnixStream::connect_addr(&address(name)).unwrap();
    stream.write_all(&item.to_le_bytes()).unwrap();
    stream.write_all(&std::process::id().to_le_bytes()).unwrap();
    stream
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).unwrap()
}
