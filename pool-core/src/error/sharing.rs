//! Memory that was to be shared, and was not to be had.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a [`SharedBuffer`](crate::SharedBuffer) was not made, or not read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SharedBufferError {
    /// The system had no memory, or no descriptor, for it.
    NoMemory {
        /// How many bytes it was to have.
        size: u64,
        /// What the system said.
        source: io::Error,
    },
    /// It is a task's now, and comes back by that task's result.
    Sent,
    /// There are no such bytes.
    OutOfRange {
        /// The first byte that was asked for.
        offset: usize,
        /// How many were asked for.
        len: usize,
        /// How many there are.
        size: usize,
    },
    /// The process was forked, and the buffer is the other process's.
    Forked,
}

impl fmt::Display for SharedBufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory { size, source } => write!(f, "no room for a shared buffer of {size} bytes: {source}"),
            Self::Sent => f.write_str("the shared buffer was sent to a task"),
            Self::OutOfRange { offset, len, size } => {
                write!(f, "{len} bytes from {offset} on of a shared buffer that has {size}")
            }
            Self::Forked => f.write_str("the shared buffer belongs to the process that this one was forked from"),
        }
    }
}

impl Error for SharedBufferError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoMemory { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// The system had no memory, or no descriptor, for a shared value.
#[derive(Debug)]
#[non_exhaustive]
pub struct SharedBytesError {
    /// How many bytes it was to have.
    pub size: u64,
    /// What the system said.
    pub source: io::Error,
}

impl SharedBytesError {
    pub(crate) fn new(size: u64, source: io::Error) -> Self {
        Self { size, source }
    }
}

impl fmt::Display for SharedBytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for a shared value of {} bytes: {}", self.size, self.source)
    }
}

impl Error for SharedBytesError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
