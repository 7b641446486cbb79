//! The moment of the event, told by the task itself, on the clock that all processes share.
//!
//! It goes through a datagram socket in the abstract namespace, which leaves no file, and which no deed reaches: the
//! moment is told before the deed.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Where moments are told.
pub(crate) struct Clock {
    name: String,
    socket: UnixDatagram,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let name = format!("pool-core-clock-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { name, socket }
    }

    /// What tasks call it by.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// How often the event took place, and how long ago the last was. It was told before it took place, so it is there by
    /// now.
    pub(crate) fn events(&self) -> (usize, Option<Duration>) {
        let now = monotonic();
        let mut last = None;
        let mut count = 0;
        let mut bytes = [0; 8];
        while let Ok(length) = self.socket.recv(&mut bytes) {
            assert_eq!(length, bytes.len());
            count += 1;
            last = Some(now.saturating_sub(Duration::from_nanos(u64::from_le_bytes(bytes))));
        }
        (count, last)
    }
}

/// Tells that it is now.
pub(crate) fn stamp(clock: &str) {
    let address = SocketAddr::from_abstract_name(clock).unwrap();
    let nanoseconds = u64::try_from(monotonic().as_nanos()).unwrap();
    let socket = UnixDatagram::unbound().unwrap();
    socket.connect_addr(&address).unwrap();
    socket.send(&nanoseconds.to_le_bytes()).unwrap();
}

fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}
