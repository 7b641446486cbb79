//! The bytes of a value that a future keeps, and the way back to the value.
//!
//! Decoding calls code of the value's type: it happens in the caller's thread, under no lock, and what goes wrong in it,
//! a panic too, is that call's error and nobody else's.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pool_ipc::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CodecError, Coded, NoMemory, Reason, TaskError};
use crate::future::desk::panic_text;
use crate::sharing;
use crate::task::{EncodeFailure, decode, decode_fixed, encode_into};
use crate::wire::is_fixed;

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;

/// An encoded value: the bytes of `body` from `start` on. What stands before is the messenger's.
pub(crate) struct Encoded {
    /// The message that the value came in.
    pub(crate) body: Body,
    /// Where in it the value begins.
    pub(crate) start: usize,
}

impl Encoded {
    /// Encodes a value of this process.
    pub(super) fn new<T: Serialize + ?Sized>(task: &str, value: &T) -> Result<Self, TaskError> {
        let mut bytes = Vec::new();
        match encode_into(&mut bytes, value) {
            Ok(()) => Ok(Self { body: Body::Owned(bytes), start: 0 }),
            Err(EncodeFailure::Codec { reason }) => {
                let error = CodecError::new(task, Coded::ResultInWorker, type_name::<T>(), reason);
                Err(TaskError::Encode(Arc::new(error)))
            }
            Err(EncodeFailure::NoMemory { size }) => Err(TaskError::NoMemory(NoMemory::new(task, size, ENOMEM))),
        }
    }

    /// The value, afresh.
    pub(crate) fn decode<T: DeserializeOwned>(&self, task: &str) -> Result<T, TaskError> {
        let (head, bytes) = self.body.as_slice().split_at_checked(self.start).unwrap_or_default();
        let decoded =
            if is_fixed(head) { decode_number(task, bytes) } else { decode_value(task, bytes, Some(&self.body)) };
        decoded.map_err(|error| *error)
    }
}

/// What a future keeps of its outcome: small values without any memory beside it. Cheap to clone.
#[derive(Clone)]
pub(super) enum Conclusion {
    Small(SmallValue),
    Value(Arc<Encoded>),
    Error(Arc<TaskError>),
}

/// The bytes from `start` to `len`.
#[derive(Clone, Copy)]
pub(super) struct SmallValue {
    start: u8,
    len: u8,
    bytes: [u8; Self::MOST],
}

impl SmallValue {
    /// As many bytes as make a conclusion no larger than two pointers.
    const MOST: usize = 13;

    fn of(encoded: &Encoded) -> Option<Self> {
        let (Body::Owned(_) | Body::Small(_)) = &encoded.body else { return None };
        let from = encoded.body.as_slice();
        if encoded.start > 0 && is_fixed(from) {
            return None;
        }
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        // What begins beyond its end has no bytes, wherever that is.
        Some(Self { start: encoded.start.min(from.len()) as u8, len: from.len() as u8, bytes })
    }

    fn value(&self) -> &[u8] {
        self.bytes.get(usize::from(self.start)..usize::from(self.len)).unwrap_or_default()
    }
}

impl Conclusion {
    /// The value, afresh, or a copy of the error.
    pub(super) fn decode<T: DeserializeOwned>(&self, task: &str) -> Result<T, TaskError> {
        match self {
            Self::Small(small) => decode_value(task, small.value(), None).map_err(|error| *error),
            Self::Value(encoded) => encoded.decode(task),
            Self::Error(error) => Err((**error).clone()),
        }
    }

    pub(super) fn error(&self) -> Option<&TaskError> {
        if let Self::Error(error) = self { Some(error) } else { None }
    }
}

impl From<Result<Encoded, TaskError>> for Conclusion {
    fn from(outcome: Result<Encoded, TaskError>) -> Self {
        match outcome {
            Ok(encoded) => SmallValue::of(&encoded).map_or_else(|| Self::Value(Arc::new(encoded)), Self::Small),
            Err(error) => Self::Error(Arc::new(error)),
        }
    }
}

/// The value that these bytes are. It may speak of what goes with the body that they are of, and keep parts of that.
///
/// Errors are boxed here, and up to who asks: a number and what might be an error in its place then fit into two registers. What
/// is written to memory in words and read as a whole makes a processor wait, at each step from hand to hand.
#[inline]
pub(crate) fn decode_value<T: DeserializeOwned>(
    task: &str,
    bytes: &[u8],
    of: Option<&Body>,
) -> Result<T, Box<TaskError>> {
    let result = sharing::begin_result(of);
    let decoded = catch_unwind(AssertUnwindSafe(|| decode::<T>(bytes).map_err(Box::new)));
    drop(result);
    match decoded {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(reason)) => Err(undecoded::<T>(task, Ok(reason))),
        Err(payload) => Err(undecoded::<T>(task, Err(payload))),
    }
}

/// The value of fixed width that these bytes are.
#[inline]
pub(crate) fn decode_number<T: DeserializeOwned>(task: &str, bytes: &[u8]) -> Result<T, Box<TaskError>> {
    // A worker that lies may call any value one: its type's code may be the program's, which may panic.
    match catch_unwind(AssertUnwindSafe(|| decode_fixed::<T>(bytes).map_err(Box::new))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(reason)) => Err(undecoded::<T>(task, Ok(reason))),
        Err(payload) => Err(undecoded::<T>(task, Err(payload))),
    }
}

#[cold]
fn undecoded<T>(task: &str, failure: std::thread::Result<Box<Reason>>) -> Box<TaskError> {
    let reason = match failure {
        Ok(reason) => *reason,
        Err(payload) => {
            let reason = format!("its Deserialize panicked: {}", panic_text(&*payload));
            pool_ipc::discard(payload);
            Reason::of_type(reason)
        }
    };
    Box::new(TaskError::Decode(Arc::new(CodecError::new(task, Coded::ResultInCaller, type_name::<T>(), reason))))
}
