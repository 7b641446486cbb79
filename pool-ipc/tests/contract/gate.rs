//! A gate: an item waits in it until the test lets it go, wherever the item runs.
//!
//! It is a socket in the abstract namespace, so that it leaves no file. The worker connects and tells which item it is;
//! the test accepts, which proves that the item runs, and lets it go by a byte. A test that fails lets all go.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::rig::LIMIT;

/// Where items stop.
pub(crate) struct Gate {
    name: String,
    listener: UnixListener,
}

/// An item that stands in the gate. Dropping it lets the item go.
pub(crate) struct Held {
    stream: UnixStream,
    pub(crate) item: u32,
}

impl Gate {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pool-ipc-contract-{}-{number}", std::process::id());
        let listener = UnixListener::bind_addr(&address(&name)).expect("the name is new");
        Self { name, listener }
    }

    /// What a request names it by.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until an item has come.
    pub(crate) fn next(&self) -> Held {
        wait_readable(&self.listener, "an item to come to the gate");
        let (mut stream, _) = self.listener.accept().expect("somebody connects");
        let mut item = [0; 4];
        wait_readable(&stream, "an item to say its number");
        stream.read_exact(&mut item).expect("it says its number");
        Held { stream, item: u32::from_le_bytes(item) }
    }
}

impl Held {
    /// Lets the item go on.
    pub(crate) fn release(mut self) {
        // A worker that was killed meanwhile does not hear it.
        let _ = self.stream.write_all(&[1]);
    }
}

/// The worker's side: stops until the test says so.
pub(crate) fn stop_at(name: &str, item: u32) {
    let mut stream = UnixStream::connect_addr(&address(name)).expect("the gate is there");
    stream.write_all(&item.to_le_bytes()).expect("the test listens");
    let _ = stream.read(&mut [0]);
}

fn address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).expect("the name is short")
}

fn wait_readable(fd: &impl AsFd, what: &str) {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let limit = Timespec { tv_sec: LIMIT.as_secs() as i64, tv_nsec: 0 };
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))).expect("poll works");
    assert!(ready == 1, "waited {LIMIT:?} in vain for {what}");
}
