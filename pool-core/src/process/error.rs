//! Why a process could not do what it was asked for.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use pool_ipc::{CommandError, StartError};

use crate::error::{CodecError, NoMemory};

/// Why a call on a [`Process`](crate::Process) failed. Nothing has changed then: a process that could not be started may be
/// started again.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// It was started before; a process is started once.
    AlreadyStarted {
        /// Its name.
        name: String,
    },
    /// It was not started yet.
    NotStarted {
        /// Its name.
        name: String,
    },
    /// It was closed.
    Closed {
        /// Its name.
        name: String,
    },
    /// It cannot be closed, as it still runs.
    StillRunning {
        /// Its name.
        name: String,
        /// Its number, unless it is being started at this moment.
        pid: Option<u32>,
    },
    /// It belongs to another process, which this one was forked from.
    Forked {
        /// Its name.
        name: String,
        /// The process that made it.
        owner: u32,
    },
    /// A daemon may not have children: they would be left behind when it is ended.
    DaemonParent {
        /// The name of the process that was to be started.
        name: String,
        /// The name of the daemon that this process is.
        daemon: String,
    },
    /// A daemon ends with its parent, so it cannot outlive it as well.
    DaemonOutlives {
        /// Its name.
        name: String,
    },
    /// The arguments could not be encoded.
    Encode {
        /// Its name.
        name: String,
        /// What could not be encoded.
        source: Arc<CodecError>,
    },
    /// The arguments do not fit into memory.
    NoMemory {
        /// Its name.
        name: String,
        /// How much there was no room for.
        memory: NoMemory,
    },
    /// No process can have such a program, argument, directory or environment.
    Command {
        /// Its name.
        name: String,
        /// Which of them, and why.
        source: CommandError,
    },
    /// The system did not start it.
    Start {
        /// Its name.
        name: String,
        /// What was being done, and what the system said.
        source: StartError,
    },
    /// The system could not wait for it.
    Wait {
        /// Its name.
        name: String,
        /// Its number.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { name } => write!(f, "process {name} was started before"),
            Self::NotStarted { name } => write!(f, "process {name} was not started yet"),
            Self::Closed { name } => write!(f, "process {name} is closed"),
            Self::StillRunning { name, pid: Some(pid) } => {
                write!(f, "process {name} (pid {pid}) still runs; join or kill it before it is closed")
            }
            Self::StillRunning { name, pid: None } => write!(f, "process {name} is being started"),
            Self::Forked { name, owner } => {
                write!(f, "process {name} belongs to process {owner}, which this one was forked from")
            }
            Self::DaemonParent { name, daemon } => {
                write!(f, "process {name} cannot be started by {daemon}: a daemon may not have children")
            }
            Self::DaemonOutlives { name } => write!(f, "process {name} is a daemon and cannot outlive its parent"),
            Self::Encode { name, source } => write!(f, "process {name} cannot be started: {source}"),
            Self::NoMemory { name, memory } => write!(f, "process {name} cannot be started: {memory}"),
            Self::Command { name, source } => write!(f, "process {name} cannot be started: {source}"),
            Self::Start { name, source } => write!(f, "process {name} cannot be started: {source}"),
            Self::Wait { name, pid, source } => write!(f, "process {name} (pid {pid}) cannot be waited for: {source}"),
        }
    }
}

impl Error for ProcessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Encode { source, .. } => Some(&**source),
            Self::Command { source, .. } => Some(source),
            Self::Start { source, .. } => Some(source),
            Self::Wait { source, .. } => Some(source),
            _ => None,
        }
    }
}
