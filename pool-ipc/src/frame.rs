//! What travels: frames to a worker, outcomes back, and the accounts of what a dead worker left.
//!
//! Nothing here knows what a task is. A frame is bytes, a count of items and an owner that only the sender understands.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::terms::Terms;

/// Whatever the sender of a frame wants back with each of its outcomes. Links carry it and never look inside.
pub type Owner = Arc<dyn Any + Send + Sync>;

/// The most items that one frame may hold: a slot's word counts them in 15 bits.
pub const MAX_ITEMS: u32 = (1 << 15) - 1;

/// One or more items of work as they are handed to a [`Link`](crate::Link).
///
/// The payload is shared by all items; `window` tells which of them are still to run. A frame that was partly run, and
/// lost its worker or was recalled, comes back with a smaller window and the same bytes.
pub struct Frame {
    /// Comes back with every outcome.
    pub owner: Owner,
    /// The request, read by the far end only.
    pub payload: Body,
    /// The items that are to run, as numbers that the far end understands. Never empty when posted.
    pub window: Range<u32>,
    /// On which terms they are to run.
    pub terms: Option<Arc<Terms>>,
    /// Where it stands among the other frames of its sender, who alone minds it: links carry it along.
    pub rank: u64,
}

impl Frame {
    /// A frame of items `0..items`.
    pub fn new(owner: Owner, payload: impl Into<Body>, items: u32) -> Self {
        Self { owner, payload: payload.into(), window: 0..items, terms: None, rank: 0 }
    }

    /// Keeps the first `items` and gives the others away, as a frame of their own with the same bytes.
    pub fn split_off(&mut self, items: u32) -> Self {
        let end = self.window.start.saturating_add(items).min(self.window.end);
        let window = end..self.window.end;
        self.window.end = end;
        let (owner, terms) = (Owner::clone(&self.owner), self.terms.clone());
        Self { owner, payload: self.payload.share(), window, terms, rank: self.rank }
    }

    /// How many items are to run.
    pub fn items(&self) -> u32 {
        self.window.end.saturating_sub(self.window.start)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("window", &self.window).field("bytes", &self.payload.len()).finish()
    }
}

/// Bytes that are this process's own: a vector, or memory that is proven to change no more.
#[derive(Clone)]
pub enum Body {
    /// Private memory.
    Owned(Vec<u8>),
    /// Memory that nobody can write any more.
    Frozen(FrozenMemory),
    /// A few bytes, without any memory beside the value itself.
    Small(SmallBytes),
}

/// At most [`SmallBytes::MOST`] bytes.
#[derive(Clone, Copy)]
pub struct SmallBytes {
    len: u8,
    bytes: [u8; Self::MOST],
}

impl SmallBytes {
    /// As many as do not make a [`Body`] larger.
    pub const MOST: usize = 15;
}

/// Memory that nobody can write any more: shared within this process, or a fully sealed memfd. Cheap to clone.
#[derive(Clone)]
pub struct FrozenMemory(pub(crate) Arc<Frozen>);

/// The kinds of frozen memory.
pub(crate) enum Frozen {
    Heap(Vec<u8>),
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    Memfd(crate::memfd::Frozen),
}

impl Body {
    /// Bytes that further owners within this process may share.
    pub(crate) fn frozen(frozen: Frozen) -> Self {
        Self::Frozen(FrozenMemory(Arc::new(frozen)))
    }

    /// Bytes that several owners in this process may share without a copy.
    pub fn shared(bytes: Vec<u8>) -> Self {
        Self::frozen(Frozen::Heap(bytes))
    }

    /// A copy of these bytes.
    pub fn copied(from: &[u8]) -> Self {
        if from.len() > SmallBytes::MOST {
            return Self::Owned(from.to_vec());
        }
        let (len, mut bytes) = (from.len() as u8, [0; SmallBytes::MOST]);
        bytes[..from.len()].copy_from_slice(from);
        Self::Small(SmallBytes { len, bytes })
    }

    /// A second owner of the same bytes, which become frozen if they were not.
    pub(crate) fn share(&mut self) -> Self {
        if let Self::Owned(bytes) = self {
            *self = Self::frozen(Frozen::Heap(std::mem::take(bytes)));
        }
        self.clone()
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Small(small) => &small.bytes[..usize::from(small.len)],
            Self::Frozen(memory) => match &*memory.0 {
                Frozen::Heap(bytes) => bytes,
                #[cfg(all(target_os = "linux", not(pool_portable)))]
                Frozen::Memfd(memory) => memory.as_ref(),
            },
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.len())
    }
}

/// The end of one item, in its sender's eyes.
#[derive(Debug)]
pub struct Outcome {
    /// The owner of the item's frame.
    pub owner: Owner,
    /// Which item of it.
    pub item: u32,
    /// What the far end published, or why that could not be carried.
    pub result: Result<Body, Undelivered>,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, errno } = self;
        write!(f, "a result of {size} bytes could not be carried: {}", std::io::Error::from_raw_os_error(*errno))
    }
}

impl std::error::Error for Undelivered {}

/// A result that the far end had but could not place anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Its size in bytes.
    pub size: u64,
    /// The system's error number.
    pub errno: i32,
}

/// What became of one frame that a link still held when it ended.
#[derive(Debug)]
pub struct Lost {
    /// The frame's owner.
    pub owner: Owner,
    /// The item that was being run, if one was.
    pub blamed: Option<u32>,
    /// The items that nobody had begun, ready to be posted to another link.
    pub rest: Option<Frame>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_split_into_two_that_share_its_bytes() {
        let mut frame = Frame::new(Arc::new(()), vec![1, 2], 5);
        let rest = frame.split_off(2);
        assert_eq!((frame.window.clone(), rest.window.clone()), (0..2, 2..5));
        assert_eq!(frame.payload.as_slice(), rest.payload.as_slice());
        assert_eq!((frame.split_off(9).items(), frame.items()), (0, 2));
    }
}
