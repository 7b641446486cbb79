//! A value that goes along with frames: bytes that nobody can change and many read, or memory that is handed on and
//! written in place.
//!
//! What holds: bytes that are given out as a slice are sealed before anybody but their maker sees them, so that the slice is
//! sound whatever the processes do that have them; a value has a number of its own that nobody can guess who was not told it; whoever
//! was given a value for a worker is told when the last of its owners in this process is gone. What never happens here: a
//! decision on who gets it.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

#[cfg(all(target_os = "linux", not(pool_portable)))]
use parking_lot::Mutex;

use crate::body::Frozen;
#[cfg(all(target_os = "linux", not(pool_portable)))]
use crate::memfd::{self, NotFrozen};
use crate::open_memory::OpenMemory;
#[cfg(all(target_os = "linux", not(pool_portable)))]
use crate::shelf::Shelf;

/// Bytes that nobody can change, or memory to be written in place, owned together with whoever else has a clone.
///
/// ```
/// use pool_ipc::SharedValue;
///
/// let value = SharedValue::new(b"read by many")?;
/// assert_eq!(value.clone().as_slice(), b"read by many");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedValue(Arc<Inner>);

/// A value that keeps nothing alive.
#[derive(Clone)]
pub(crate) struct WeakValue(Weak<Inner>);

/// What there is once, however many owners there are.
struct Inner {
    id: u64,
    contents: Contents,
    /// It came from the parent of this process, under this number.
    received: bool,
    /// Where it was put for workers.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    shelves: Mutex<Vec<Weak<Shelf>>>,
}

/// What it is.
enum Contents {
    Frozen(Frozen),
    Open(OpenMemory),
}

/// Where the far end of a link finds the values that came with its frames.
pub trait SharedValues: Send + Sync {
    /// The value of this number, which came with a frame that is being read. Waits for it if it is still on its way.
    ///
    /// # Errors
    /// It came, but this process had no room for it: the system's error.
    fn take(&self, id: u64) -> io::Result<SharedValue>;
}

/// Links whose frames never come with values.
pub(crate) struct NoValues;

impl SharedValues for NoValues {
    fn take(&self, _id: u64) -> io::Result<SharedValue> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this worker's backend carries no shared values"))
    }
}

impl SharedValue {
    /// Copies `bytes` into memory of their own, once, and seals it.
    ///
    /// # Errors
    /// The system has no memory or no descriptor for it.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        Ok(Self::with(fresh_id(), Contents::Frozen(frozen_copy(bytes)?), false))
    }

    /// Makes memory of `len` zeroes that can be written in place.
    ///
    /// # Errors
    /// The system has no memory or no descriptor for it.
    pub fn open(len: usize) -> io::Result<Self> {
        Ok(Self::with(fresh_id(), Contents::Open(OpenMemory::new(len)?), false))
    }

    /// The value that a parent sent under this number.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn received(id: u64, memory: memfd::Frozen) -> Self {
        Self::with(id, Contents::Frozen(Frozen::Memfd(memory)), true)
    }

    /// The memory that a parent sent under this number.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn received_open(id: u64, memory: OpenMemory) -> Self {
        Self::with(id, Contents::Open(memory), true)
    }

    /// Names it among all values, in every process that was told of it.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether it came from this process's parent, rather than be made here.
    pub fn is_received(&self) -> bool {
        self.0.received
    }

    /// The bytes that nobody can change; none where it is memory to be written.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0.contents {
            Contents::Frozen(bytes) => bytes.as_slice(),
            Contents::Open(_) => &[],
        }
    }

    /// The memory to be written, if it is that.
    pub fn memory(&self) -> Option<&OpenMemory> {
        match &self.0.contents {
            Contents::Frozen(_) => None,
            Contents::Open(memory) => Some(memory),
        }
    }

    /// The same without a hold on it.
    pub(crate) fn downgrade(&self) -> WeakValue {
        WeakValue(Arc::downgrade(&self.0))
    }

    /// Has this shelf told when the last owner is gone.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn note_shelf(&self, shelf: Weak<Shelf>) {
        let mut shelves = self.0.shelves.lock();
        // Those of workers that are gone do not pile up.
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(shelf);
    }

    /// The descriptor that another process can map.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.0.contents {
            Contents::Open(memory) => memory.fd(),
            Contents::Frozen(Frozen::Memfd(memory)) => memory.fd(),
            Contents::Frozen(Frozen::Heap(_) | Frozen::Spare(_) | Frozen::Lease(_)) => None,
        }
    }

    fn with(id: u64, contents: Contents, received: bool) -> Self {
        Self(Arc::new(Inner {
            id,
            contents,
            received,
            #[cfg(all(target_os = "linux", not(pool_portable)))]
            shelves: Mutex::default(),
        }))
    }
}

impl fmt::Debug for SharedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.memory().map_or(self.as_slice().len(), OpenMemory::len);
        write!(f, "SharedValue({len} bytes)")
    }
}

impl WeakValue {
    /// Whether it has an owner yet.
    pub(crate) fn is_owned(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// The value, if it has an owner yet.
    pub(crate) fn upgrade(&self) -> Option<SharedValue> {
        self.0.upgrade().map(SharedValue)
    }
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
impl Drop for Inner {
    fn drop(&mut self) {
        for shelf in self.shelves.get_mut().drain(..) {
            if let Some(shelf) = shelf.upgrade() {
                shelf.forget(self.id);
            }
        }
    }
}

/// A number that was not given before, and that says nothing of the others.
fn fresh_id() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(all(target_os = "linux", not(pool_portable)))]
fn frozen_copy(bytes: &[u8]) -> io::Result<Frozen> {
    let fd = memfd::freeze(bytes)?;
    match memfd::Frozen::keep(fd, bytes.len() as u64) {
        Ok(memory) => Ok(Frozen::Memfd(memory)),
        Err(NotFrozen::System(error)) => Err(error),
        Err(unfit @ NotFrozen::Unfit(_)) => Err(io::Error::other(unfit)),
    }
}

#[cfg(not(all(target_os = "linux", not(pool_portable))))]
fn frozen_copy(bytes: &[u8]) -> io::Result<Frozen> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    copy.extend_from_slice(bytes);
    Ok(Frozen::Heap(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_bytes_that_it_was_made_of_none_too() {
        for bytes in [b"".as_slice(), b"a few", &[7; 100_000]] {
            let value = SharedValue::new(bytes).expect("there is memory");
            assert_eq!((value.as_slice(), value.is_received()), (bytes, false));
        }
    }

    #[test]
    fn no_two_values_have_the_same_number() {
        let ids: std::collections::HashSet<u64> = (0..10_000).map(|_| fresh_id()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
