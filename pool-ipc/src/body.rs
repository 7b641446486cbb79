//! The bytes of payloads and outcomes: vectors, memory that changes no more, or pieces of both.
//!
//! What holds: whoever has a body can read its bytes for as long as it lives, and they stay what they are. Large values
//! are not copied to be put together: they stay where they are until somebody needs all bytes in one piece. Never here:
//! memory that another process can write.

use std::collections::TryReserveError;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use crate::shared_value::SharedValue;
use crate::slot::layout::ARENA_MAX;
use crate::slot::region::Lease;
use crate::spare::Spare;

/// Payloads and outcomes with more bytes than this have memory of their own.
pub const LARGE: usize = ARENA_MAX;

/// Bytes that are this process's own, or memory that is proven to change no more.
#[derive(Clone)]
pub enum Body {
    /// Private memory.
    Owned(Vec<u8>),
    /// Memory that nobody can write any more.
    Frozen(FrozenMemory),
    /// Several pieces.
    Joined(Joined),
    /// A few bytes, without any memory beside the value itself.
    Small(SmallBytes),
    /// Bytes that speak of shared values, and those.
    Accompanied(Accompanied),
}

/// Bytes of any other kind with shared values that go wherever they go.
#[derive(Clone)]
pub struct Accompanied(Box<(Body, Values)>);

// There is one for each task that waits.
const _: () = assert!(size_of::<Body>() == size_of::<Vec<u8>>());

/// Shared values, each once.
pub(crate) type Values = Arc<[SharedValue]>;

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

    /// `bytes` with the insets in it, which stand in the order of their places.
    #[inline]
    pub fn joined(bytes: Vec<u8>, insets: Vec<Inset>) -> Self {
        if insets.is_empty() { Self::Owned(bytes) } else { Self::Joined(Joined::new(bytes, insets)) }
    }

    /// A second owner of the same bytes, which become frozen if they were not.
    pub fn share(&mut self) -> Self {
        match self {
            Self::Owned(bytes) => *self = Self::frozen(Frozen::Heap(std::mem::take(bytes))),
            Self::Accompanied(Accompanied(both)) => return both.0.share().along(Some(Arc::clone(&both.1))),
            Self::Frozen(_) | Self::Joined(_) | Self::Small(_) => {}
        }
        self.clone()
    }

    /// The same bytes, and the shared values that they speak of. These go wherever the bytes go.
    #[inline]
    #[must_use]
    pub fn accompanied(self, values: Vec<SharedValue>) -> Self {
        if values.is_empty() { self } else { self.along(Some(values.into())) }
    }

    /// The shared values that go with the bytes.
    #[inline]
    pub fn values(&self) -> &[SharedValue] {
        if let Self::Accompanied(Accompanied(both)) = self { &both.1 } else { &[] }
    }

    /// The bytes alone.
    #[must_use]
    pub fn unaccompanied(self) -> Self {
        self.apart().0
    }

    /// The shared values that go with the bytes, if any do, to go [`along`](Self::along) with others.
    pub(crate) fn company(&self) -> Option<Values> {
        if let Self::Accompanied(Accompanied(both)) = self { Some(Arc::clone(&both.1)) } else { None }
    }

    /// The bytes, and what goes with them.
    pub(crate) fn apart(self) -> (Self, Option<Values>) {
        match self {
            Self::Accompanied(Accompanied(both)) => (both.0, Some(both.1)),
            bare => (bare, None),
        }
    }

    /// Bytes that nothing goes with yet, and what goes with them from now on.
    pub(crate) fn along(self, company: Option<Values>) -> Self {
        match company {
            Some(values) => Self::Accompanied(Accompanied(Box::new((self, values)))),
            None => self,
        }
    }

    /// How many bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Owned(bytes) => bytes.len(),
            Self::Small(small) => usize::from(small.len),
            other => other.len_apart(),
        }
    }

    #[cold]
    fn len_apart(&self) -> usize {
        match self {
            Self::Joined(joined) => joined.len(),
            Self::Accompanied(Accompanied(both)) => both.0.len(),
            whole => whole.as_slice().len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, in one piece. Those of several pieces are put together by the first call, which needs memory.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Small(small) => &small.bytes[..usize::from(small.len)],
            other => other.as_slice_apart(),
        }
    }

    #[cold]
    fn as_slice_apart(&self) -> &[u8] {
        match self {
            Self::Frozen(memory) => memory,
            Self::Joined(joined) => joined.whole(),
            Self::Accompanied(Accompanied(both)) => both.0.as_slice(),
            Self::Owned(_) | Self::Small(_) => unreachable!("these have their bytes with them"),
        }
    }

    /// The memory that the bytes lie in, where parts of it can be kept without a copy.
    pub fn memory(&self) -> Option<&FrozenMemory> {
        match self {
            Self::Frozen(memory) => Some(memory),
            Self::Accompanied(Accompanied(both)) => both.0.memory(),
            Self::Owned(_) | Self::Joined(_) | Self::Small(_) => None,
        }
    }

    /// Whether there is more to it than the bytes: memory to keep parts of, or shared values.
    #[inline]
    pub fn is_apart(&self) -> bool {
        matches!(self, Self::Frozen(_) | Self::Accompanied(_))
    }

    /// The bytes, as they lie.
    pub(crate) fn pieces(&self) -> Vec<&[u8]> {
        match self {
            Self::Joined(joined) => pieces(&joined.0.bytes, &joined.0.insets),
            Self::Accompanied(Accompanied(both)) => both.0.pieces(),
            whole => vec![whole.as_slice()],
        }
    }

    /// Puts several pieces together, which [`as_slice`](Self::as_slice) then has no more to do.
    ///
    /// # Errors
    /// There is no memory for that.
    pub(crate) fn make_whole(&mut self) -> Result<(), TryReserveError> {
        match self {
            Self::Joined(joined) => *self = Self::Owned(joined.copy()?),
            Self::Accompanied(Accompanied(both)) => both.0.make_whole()?,
            Self::Owned(_) | Self::Frozen(_) | Self::Small(_) => {}
        }
        Ok(())
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

/// Memory that nobody can write any more: shared within this process, or a fully sealed memfd. Cheap to clone.
#[derive(Clone)]
pub struct FrozenMemory(pub(crate) Arc<Frozen>);

/// The kinds of frozen memory.
pub(crate) enum Frozen {
    Heap(Vec<u8>),
    /// An outcome, copied out.
    Spare(Spare),
    /// In a worker: a request where it lies, which the parent leaves alone for as long as this is there.
    Lease(Lease),
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    Memfd(crate::memfd::Frozen),
}

impl Frozen {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Spare(spare) => spare.as_ref(),
            Self::Lease(lease) => lease.as_ref(),
            #[cfg(all(target_os = "linux", not(pool_portable)))]
            Self::Memfd(memory) => memory.as_ref(),
        }
    }
}

impl FrozenMemory {
    /// The part of it that these bytes are, if they lie in it.
    pub fn slice_of(&self, bytes: &[u8]) -> Option<FrozenSlice> {
        let start = bytes.as_ptr().addr().checked_sub(self.as_ptr().addr())?;
        let end = start.checked_add(bytes.len())?;
        (end <= self.len()).then(|| FrozenSlice { memory: self.clone(), range: start..end })
    }
}

impl From<Vec<u8>> for FrozenMemory {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Frozen::Heap(bytes)))
    }
}

impl Deref for FrozenMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for FrozenMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrozenMemory({} bytes)", self.len())
    }
}

/// A part of frozen memory, all of which it keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FrozenSlice {
    memory: FrozenMemory,
    /// Lies within the memory.
    range: Range<usize>,
}

impl FrozenSlice {
    /// The bytes, to be changed, if they are this process's own and nobody else has them.
    pub fn get_mut(&mut self) -> Option<&mut [u8]> {
        match Arc::get_mut(&mut self.memory.0)? {
            Frozen::Heap(bytes) => bytes.get_mut(self.range.clone()),
            Frozen::Spare(spare) => spare.bytes_mut().get_mut(self.range.clone()),
            Frozen::Lease(_) => None,
            #[cfg(all(target_os = "linux", not(pool_portable)))]
            Frozen::Memfd(_) => None,
        }
    }

    /// The bytes, copied only if they are not this process's own or somebody else has them, too.
    pub fn into_vec(self) -> Vec<u8> {
        let Self { memory, range } = self;
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(range.end);
            bytes.drain(..range.start);
            bytes
        };
        match Arc::try_unwrap(memory.0) {
            Ok(Frozen::Heap(bytes)) => cut(bytes),
            Ok(Frozen::Spare(spare)) => cut(spare.into_vec()),
            Ok(Frozen::Lease(lease)) => lease.as_ref()[range].to_vec(),
            #[cfg(all(target_os = "linux", not(pool_portable)))]
            Ok(Frozen::Memfd(memory)) => memory.as_ref()[range].to_vec(),
            Err(shared) => FrozenMemory(shared)[range].to_vec(),
        }
    }
}

impl From<Vec<u8>> for FrozenSlice {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { memory: bytes.into(), range }
    }
}

impl Deref for FrozenSlice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }
}

/// Bytes that belong into others.
#[derive(Clone, Debug)]
pub struct Inset {
    /// How many of the others stand before it.
    pub at: usize,
    /// The bytes.
    pub bytes: FrozenSlice,
}

/// Bytes in several pieces. Cheap to clone.
#[derive(Clone)]
pub struct Joined(Arc<Pieces>);

struct Pieces {
    bytes: Vec<u8>,
    insets: Vec<Inset>,
    /// All of them in one piece, once somebody wanted that.
    whole: OnceLock<Vec<u8>>,
}

impl Joined {
    fn new(bytes: Vec<u8>, insets: Vec<Inset>) -> Self {
        Self(Arc::new(Pieces { bytes, insets, whole: OnceLock::new() }))
    }

    fn len(&self) -> usize {
        pieces(&self.0.bytes, &self.0.insets).iter().map(|piece| piece.len()).sum()
    }

    fn whole(&self) -> &[u8] {
        self.0.whole.get_or_init(|| pieces(&self.0.bytes, &self.0.insets).concat())
    }

    fn copy(&self) -> Result<Vec<u8>, TryReserveError> {
        together(&pieces(&self.0.bytes, &self.0.insets))
    }
}

/// A copy of all pieces in one.
pub(crate) fn together(pieces: &[&[u8]]) -> Result<Vec<u8>, TryReserveError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(pieces.iter().map(|piece| piece.len()).sum())?;
    pieces.iter().for_each(|piece| copy.extend_from_slice(piece));
    Ok(copy)
}

/// Bytes with insets, in the order in which they follow each other.
pub(crate) fn pieces<'a>(bytes: &'a [u8], insets: &'a [Inset]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::with_capacity(2 * insets.len() + 1);
    let mut from = 0;
    for inset in insets {
        let at = inset.at.clamp(from, bytes.len());
        pieces.extend([&bytes[from..at], &*inset.bytes]);
        from = at;
    }
    pieces.push(&bytes[from..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_as_one_wherever_the_insets_stand() {
        let memory = FrozenMemory::from(b"-inset-".to_vec());
        let inset = |at| Inset { at, bytes: memory.slice_of(&memory[1..6]).unwrap() };
        for (places, whole) in [(vec![0], "insetabc"), (vec![3], "abcinset"), (vec![1, 1, 2], "ainsetinsetbinsetc")] {
            let mut body = Body::joined(b"abc".to_vec(), places.into_iter().map(inset).collect());
            assert_eq!((body.len(), body.as_slice()), (whole.len(), whole.as_bytes()));
            assert_eq!(body.pieces().concat(), whole.as_bytes());
            let second = body.share();
            body.make_whole().unwrap();
            assert!(matches!(body, Body::Owned(_)));
            assert_eq!(body.as_slice(), second.as_slice());
        }
    }

    #[test]
    fn bytes_from_elsewhere_are_no_part_of_a_memory() {
        let memory = FrozenMemory::from(vec![1; 10]);
        assert!(memory.slice_of(&[1; 10]).is_none());
        assert_eq!(memory.slice_of(&memory[10..]).map(|slice| slice.len()), Some(0));
    }

    #[test]
    fn a_part_is_changed_in_place_by_its_only_owner_and_kept_from_all_others() {
        let mut slice = FrozenSlice::from(vec![1, 2, 3]);
        slice.get_mut().unwrap()[0] = 9;
        let second = slice.clone();
        assert!(slice.get_mut().is_none());
        assert_eq!(second.into_vec(), [9, 2, 3]);
        let middle = FrozenSlice { range: 1..2, ..slice };
        assert_eq!(middle.into_vec(), [2]);
    }
}
