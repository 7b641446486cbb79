//! Bytes that many tasks read and nobody copies; in `buffer`, memory that is handed there and back.
//!
//! Keeps true: what a task sees is sealed, so that the slice is sound and the same for everybody for ever; only a number
//! stands among the encoded arguments. Never: sends anything itself, which is left to the link that the arguments take.

mod buffer;
mod scope;

use std::fmt;
use std::ops::Deref;

use pool_ipc::SharedValue;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::SharedBytesError;

pub use buffer::SharedBuffer;
pub(crate) use scope::{Attempts, Sending, begin_result, undo};
pub(crate) use scope::{
    begin_answer, begin_arguments, end_arguments, end_calls, is_answer_shared, serve_process, serve_thread,
};

/// Bytes that any number of tasks read where they lie: copied once, when they are made, and never again.
///
/// A clone is another owner of the same bytes. As an argument it takes a few bytes of the call; each worker that gets one
/// maps the memory with the first task that asks for it, and reads there. So a table of 64 MiB that 10,000 tasks need costs one
/// copy in all.
///
/// ```
/// use pool_core::{ProcessPoolExecutor, SharedBytes, SharedBytesError};
///
/// fn occurrences(text: SharedBytes, letter: u8) -> usize {
///     text.iter().filter(|&&byte| byte == letter).count()
/// }
///
/// let text = SharedBytes::new("so many tasks, one text".repeat(1000))?;
/// let pool = ProcessPoolExecutor::new(2)?;
/// let counts = pool.map(occurrences, (vec![text; 3], [b's', b'x', b'e']))?;
/// assert_eq!(counts.collect::<Result<Vec<_>, _>>()?, [3000, 1000, 2000]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Who has it, and for how long
/// The memory is sealed: neither this program nor any worker can change it, whatever it does. It is given back when the last
/// owner is gone: in this process the clones, the calls that are not over and the results that hold one; in a worker what its
/// tasks hold. A worker keeps its mapping for further tasks until this process has no owner any more, and is then told at
/// once. It takes a descriptor here, and one in each worker that has it. A worker's first one also takes it a thread, and
/// this process a descriptor.
///
/// # What may hold one
/// The arguments of [`submit`](crate::ProcessPoolExecutor::submit) and [`map`](crate::ProcessPoolExecutor::map), on every
/// backend, also inside of other types; and a result may hold what came with the arguments of that very task. Anything else is
/// an error of its `Serialize` or `Deserialize` that says so: one that a task made itself is returned as
/// [`Bytes`](crate::Bytes), and the arguments of an initializer and of a [`Process`](crate::Process) hold none.
#[derive(Clone)]
pub struct SharedBytes(SharedValue);

impl SharedBytes {
    /// Copies `bytes` into memory that can be shared.
    ///
    /// # Errors
    /// The system has no memory or no descriptor for it.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, SharedBytesError> {
        let bytes = bytes.as_ref();
        SharedValue::new(bytes).map(Self).map_err(|source| SharedBytesError::new(bytes.len() as u64, source))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len())
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id() || **self == **other
    }
}

impl Eq for SharedBytes {}

impl Serialize for SharedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        scope::note(&self.0).map_err(S::Error::custom)?;
        serializer.serialize_u64(self.0.id())
    }
}

impl<'de> Deserialize<'de> for SharedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = u64::deserialize(deserializer)?;
        let (value, _) = scope::find(id).map_err(D::Error::custom)?;
        if value.memory().is_some() {
            return Err(D::Error::custom("a shared value that is no SharedBytes"));
        }
        Ok(Self(value))
    }
}
