//! What goes wrong at a backend, a hub or a link, in the contract's own words.
//!
//! Keeps true: each error names what it is about (the path, the size, the slot), and what was handed over comes back.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::frame::Frame;

/// A frame that was not taken, and why.
#[derive(Debug)]
pub struct Refused {
    /// The frame, unchanged.
    pub frame: Frame,
    /// The reason.
    pub why: RefusedWhy,
}

/// Why a link did not take a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedWhy {
    /// All of its slots are taken, or there is no way for so much at the moment; try again after the next outcome, or after
    /// a while where none is due.
    Full,
    /// It was closed, or its worker is gone.
    Closed,
    /// The system has no memory or descriptors for a payload of this size.
    NoMemory {
        /// The payload's size in bytes.
        size: u64,
        /// The system's error number.
        errno: i32,
    },
    /// The frame has no items or too many of them.
    Items {
        /// How many.
        items: u32,
    },
}

impl fmt::Display for RefusedWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("all slots of the link are taken"),
            Self::Closed => f.write_str("the link is closed"),
            Self::NoMemory { size, errno } => {
                write!(f, "no room for a payload of {size} bytes: {}", io::Error::from_raw_os_error(*errno))
            }
            Self::Items { items } => {
                write!(f, "a frame of {items} items, where 1 to {} are allowed", crate::frame::MAX_ITEMS)
            }
        }
    }
}

/// Why a hub could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// This platform has no such backend.
    Unsupported {
        /// The backend's name.
        backend: &'static str,
    },
    /// The system refused.
    System {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { backend } => write!(f, "backend {backend} is not supported on this platform"),
            Self::System { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsupported { .. } => None,
            Self::System { source, .. } => Some(source),
        }
    }
}

/// Why a worker could not be started.
#[derive(Debug)]
pub struct StartError {
    /// What was being done.
    pub doing: &'static str,
    /// The program that was to run, or the directory that it was to start in where that is what is wrong.
    pub path: Option<PathBuf>,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} ({}): {}", self.doing, path.display(), self.source),
            None => write!(f, "{}: {}", self.doing, self.source),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// How a worker broke the protocol. What it wrote is not believed any further.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corrupt {
    /// A slot's word holds what the ledger forbids.
    Word {
        /// Which slot.
        slot: usize,
        /// The word.
        word: u64,
    },
    /// An outcome's record points outside of its memory or is malformed.
    Record {
        /// Which slot.
        slot: usize,
    },
    /// A control message that no worker of ours sends.
    Message {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A descriptor that is not the sealed memory it was said to be.
    Descriptor {
        /// What is wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { slot, word } => write!(f, "slot {slot} holds the impossible word {word:#018x}"),
            Self::Record { slot } => write!(f, "slot {slot} holds a malformed outcome"),
            Self::Message { what } => write!(f, "impossible control message: {what}"),
            Self::Descriptor { what } => write!(f, "unusable descriptor: {what}"),
        }
    }
}

impl std::error::Error for Corrupt {}
