//! Memory that goes to a task and comes back, and is never copied on the way.
//!
//! Keeps true: whoever has sent a buffer cannot touch it by that value any more, and gets it back at most once; nothing is
//! borrowed from memory that another process may write. Never: believes what another process left in it.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pool_ipc::{OpenMemory, SharedValue};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scope;
use crate::error::SharedBufferError;

/// How much [`SharedBuffer::update`] has in hands at a time: what stays in the nearest cache.
const BLOCK: usize = 16 * 1024;

/// Memory that is written in place, here and in a task, and handed there and back without a copy: at the same cost for
/// 64 KiB and for 1 GiB.
///
/// As an argument it goes with the call: the call consumes it. The task changes it and returns it, alone or inside of another
/// type, and the future's `result()` gives the very same memory back.
///
/// ```
/// use pool_core::{ProcessPoolExecutor, SharedBuffer, SharedBufferError};
///
/// fn invert(picture: SharedBuffer) -> Result<SharedBuffer, String> {
///     let all = 0..picture.len();
///     picture.update(all, |bytes| bytes.iter_mut().for_each(|byte| *byte = !*byte)).map_err(|e| e.to_string())?;
///     Ok(picture)
/// }
///
/// let picture = SharedBuffer::new(1 << 20)?;
/// picture.write_at(5000, b"\x0f\xf0")?;
/// let pool = ProcessPoolExecutor::new(1)?;
/// let future = pool.submit(invert, (picture,))?;
/// let picture = future.result()??;
/// assert_eq!(picture.to_vec()?[4999..5003], [0xff, 0xf0, 0x0f, 0xff]);
/// // It came back once.
/// assert!(future.result().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # No slices
/// A worker that had the memory could go on writing it, if it is broken or hostile, after it handed it back. So there is no
/// `&[u8]` of it, in no process: bytes are copied in and out, a block at a time ([`update`](Self::update)), or read and written
/// as atomic [`words`](Self::words). That is sound whatever a worker does; what the bytes then are is not: check what you
/// would not take from a worker's result.
///
/// # Whose it is
/// Once sent, it is the call's. A call that fails, is cancelled or is refused takes it along: a worker that dies may have
/// changed half of it. Hence no [`RetryPolicy`](crate::RetryPolicy) either: such a call is an error. It comes back once, by the
/// first `result()`; and only by the task that it went to, which cannot send it on to a pool of its own. A task that does not
/// return it ends it. Its memory is taken when it is made (`new` fails where there is none), and given back with its last
/// owner; a worker keeps its mapping until then, so that it costs nothing to send it there again.
pub struct SharedBuffer {
    value: SharedValue,
    holding: Arc<Holding>,
}

/// How this value has its memory.
pub(super) struct Holding(AtomicU64);

/// It was made here, or has come back.
const OWN: u64 = 0;

/// It was sent. Loans are odd.
const SENT: u64 = 2;

impl Holding {
    fn new(how: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(how)))
    }

    /// It was not sent after all.
    pub(super) fn undo(&self) {
        self.0.store(OWN, Ordering::Relaxed);
    }
}

impl SharedBuffer {
    /// Memory of `len` zeroes.
    ///
    /// # Errors
    /// The system has no memory or no descriptor for it. From 16 MiB on the machine is asked first what it has to give
    /// (`MemAvailable` and free swap); nobody asks for the limit of a control group, beyond which the kernel may kill a process of
    /// the group instead.
    pub fn new(len: usize) -> Result<Self, SharedBufferError> {
        match SharedValue::open(len) {
            Ok(value) => Ok(Self { value, holding: Holding::new(OWN) }),
            Err(source) => Err(SharedBufferError::NoMemory { size: len as u64, source }),
        }
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.value.memory().map_or(0, OpenMemory::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// The range is not within, or the buffer was sent.
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<(), SharedBufferError> {
        let memory = self.memory()?;
        if memory.read(offset, to) { Ok(()) } else { Err(self.outside(offset, to.len())) }
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// The range is not within, or the buffer was sent.
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<(), SharedBufferError> {
        let memory = self.memory()?;
        if memory.write(offset, bytes) { Ok(()) } else { Err(self.outside(offset, bytes.len())) }
    }

    /// All of it, copied.
    ///
    /// # Errors
    /// The buffer was sent, or this process has no memory for the copy.
    pub fn to_vec(&self) -> Result<Vec<u8>, SharedBufferError> {
        let (mut bytes, size) = (Vec::new(), self.len() as u64);
        let reserved = bytes.try_reserve_exact(self.len());
        reserved.map_err(|_| SharedBufferError::NoMemory { size, source: ErrorKind::OutOfMemory.into() })?;
        bytes.resize(self.len(), 0);
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Changes a range, a block at a time, from its beginning to its end: each is copied out, given to `change` and copied back.
    ///
    /// # Errors
    /// The range is not within, or the buffer was sent.
    pub fn update(
        &self,
        range: std::ops::Range<usize>,
        mut change: impl FnMut(&mut [u8]),
    ) -> Result<(), SharedBufferError> {
        let len = range.end.saturating_sub(range.start);
        if range.end > self.len() {
            return Err(self.outside(range.start, len));
        }
        let mut block = vec![0; len.min(BLOCK)];
        for start in range.clone().step_by(BLOCK) {
            let bytes = &mut block[..BLOCK.min(range.end - start)];
            self.read_at(start, bytes)?;
            change(bytes);
            self.write_at(start, bytes)?;
        }
        Ok(())
    }

    /// All but the last `len() % 8` bytes, as words that are read and written in place.
    ///
    /// # Errors
    /// The buffer was sent.
    pub fn words(&self) -> Result<&[AtomicU64], SharedBufferError> {
        Ok(self.memory()?.words())
    }

    fn memory(&self) -> Result<&OpenMemory, SharedBufferError> {
        let memory = self.value.memory().filter(|_| self.holding.0.load(Ordering::Relaxed) != SENT);
        let memory = memory.ok_or(SharedBufferError::Sent)?;
        if memory.is_here() { Ok(memory) } else { Err(SharedBufferError::Forked) }
    }

    fn outside(&self, offset: usize, len: usize) -> SharedBufferError {
        SharedBufferError::OutOfRange { offset, len, size: self.len() }
    }
}

impl fmt::Debug for SharedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBuffer({} bytes)", self.len())
    }
}

impl Serialize for SharedBuffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let loan = match self.holding.0.load(Ordering::Relaxed) {
            SENT => return Err(S::Error::custom("a SharedBuffer was sent already")),
            OWN => {
                scope::note_loan(&self.value, &self.holding).map_err(S::Error::custom)?;
                self.holding.0.store(SENT, Ordering::Relaxed);
                self.value.memory().map_or(0, OpenMemory::lend)
            }
            loan => {
                scope::note_return(&self.value).map_err(S::Error::custom)?;
                loan
            }
        };
        (self.value.id(), loan).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedBuffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, loan) = <(u64, u64)>::deserialize(deserializer)?;
        let (value, place) = scope::find(id).map_err(D::Error::custom)?;
        let memory = value.memory().ok_or_else(|| D::Error::custom("a shared value that is no SharedBuffer"))?;
        let holding = match place {
            scope::Place::Arguments => loan,
            scope::Place::Result if memory.take_back(loan) => OWN,
            scope::Place::Result => return Err(D::Error::custom("a SharedBuffer has come back already")),
        };
        Ok(Self { value, holding: Holding::new(holding) })
    }
}
