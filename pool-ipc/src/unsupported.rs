//! Where worker processes cannot be started: the names that a program uses, and a typed error behind each.
//!
//! What holds: a program that swaps the backend to [`InProcess`](crate::InProcess) builds and runs here; every other one
//! hears that its backend is not supported. What never happens here: anything else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Abilities, Backend, FarEnd, Hub, OpenError};

/// Worker processes that share memory with this one: not on this platform.
#[derive(Clone, Copy, Debug, Default)]
pub struct SharedMemory;

/// Worker processes that are reached through the `ipc-channel` crate: not on this platform.
#[derive(Clone, Copy, Debug, Default)]
pub struct IpcChannel;

/// Who is to take over a process that was started as a worker: there is none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// The hook that runs before `main`.
    Hook,
    /// The program itself, by calling `init` first in `main`.
    Init,
}

/// What this child process was started as: there is none here.
pub enum Entry {
    /// A pool's worker.
    Worker(Box<dyn FarEnd>),
    /// A process of its own, for one function.
    Process(ChildProcess),
}

/// The far side of a process that was started for one function: there is none here.
#[derive(Debug)]
pub struct ChildProcess(Infallible);

impl SharedMemory {
    /// The backend, which cannot be opened.
    pub fn new() -> Self {
        Self
    }

    /// The same.
    #[must_use]
    pub fn spin(self, _limit: Duration) -> Self {
        self
    }
}

impl IpcChannel {
    /// The backend, which cannot be opened.
    pub fn new() -> Self {
        Self
    }
}

impl Backend for SharedMemory {
    fn name(&self) -> &'static str {
        "shared_memory"
    }

    fn abilities(&self) -> Abilities {
        NO_ABILITIES
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        Err(OpenError::Unsupported { backend: self.name() })
    }
}

impl Backend for IpcChannel {
    fn name(&self) -> &'static str {
        "ipc_channel"
    }

    fn abilities(&self) -> Abilities {
        NO_ABILITIES
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        Err(OpenError::Unsupported { backend: self.name() })
    }
}

const NO_ABILITIES: Abilities = Abilities { processes: false, recall: false, frames_a_link: 0 };

impl ChildProcess {
    /// The bytes that the parent started it with.
    pub fn boot(&self) -> &[u8] {
        match self.0 {}
    }

    /// The process that started it.
    pub fn parent_pid(&self) -> u32 {
        match self.0 {}
    }
}

/// No process was started as a child of this library here.
pub fn awaiting() -> Option<Takeover> {
    None
}

/// How many ancestors of this process were started by this library: none.
pub fn depth() -> u32 {
    0
}

/// Has no effect: there are no children to wait for it.
pub fn set_init_called() {}

/// Has no effect: there are no workers with groups.
pub fn end_own_group() {}

/// Makes this process the child that it was started as.
///
/// # Errors
/// Always: it is no child.
pub fn enter() -> io::Result<Entry> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "no process is started as a worker on this platform"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_that_are_not_here_say_so() {
        let backends: [&dyn Backend; 2] = [&SharedMemory::new(), &IpcChannel::new()];
        for backend in backends {
            let error = backend.open().expect_err("it is not supported");
            assert_eq!(error.to_string(), format!("backend {} is not supported on this platform", backend.name()));
        }
        assert!(awaiting().is_none() && enter().is_err() && depth() == 0);
    }
}
