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

    /// How long ago the event was. It was told before it took place, so it is there by now, once.
    pub(crate) fn since_the_event(&self) -> Duration {
        let now = monotonic();
        let mut bytes = [0; 8];
        assert_eq!(self.socket.recv(&mut bytes).expect("the task told the moment"), 8);
        let again = self.socket.recv(&mut [0; 8]);
        assert!(again.is_err(), "the task ran twice");
        now.saturating_sub(Duration::from_nanos(u64::from_le_bytes(bytes)))
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
