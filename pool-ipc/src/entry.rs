//! The door by which a child process enters its work.

use std::io;

use crate::arrival::{self, Arrived};
use crate::backend::FarEnd;
use crate::ipc_channel;
use crate::passport::Role;
use crate::shared_memory;

/// What this child process was started as.
pub enum Entry {
    /// A pool's worker.
    Worker(Box<dyn FarEnd>),
    /// A process of its own, for one function.
    Process(ChildProcess),
}

/// The far side of a process that was started for one function.
#[derive(Debug)]
pub struct ChildProcess {
    arrived: Arrived,
}

impl ChildProcess {
    /// The bytes that the parent started it with.
    pub fn boot(&self) -> &[u8] {
        self.arrived.boot.as_ref()
    }

    /// The process that started it.
    pub fn parent_pid(&self) -> u32 {
        self.arrived.parent_pid
    }
}

/// Makes this process the child that it was started as. To be called once, where [`awaiting`](crate::awaiting) is true.
///
/// # Errors
/// It is no child, or was taken over before; the system refused a descriptor, memory or a thread; or its parent runs
/// another build, whose links have another layout.
pub fn enter() -> io::Result<Entry> {
    let arrived = arrival::arrive()?;
    match arrived.role {
        Role::Worker => shared_memory::worker::far_end(arrived).map(Entry::Worker),
        Role::Process => Ok(Entry::Process(ChildProcess { arrived })),
        Role::ChannelWorker => ipc_channel::worker::far_end(arrived).map(Entry::Worker),
    }
}
