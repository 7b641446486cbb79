//! What travels: frames to a worker, outcomes back, and the accounts of what a dead worker left.
//!
//! Nothing here knows what a task is. A frame is bytes, a count of items and an owner that only the sender understands.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use crate::body::Body;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use crate::body::Frozen;
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
