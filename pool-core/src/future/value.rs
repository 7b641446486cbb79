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

use crate::error::{CodecError, Coded, TaskError};
use crate::future::desk::{discard, panic_text};

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
        match postcard::to_stdvec(value) {
            Ok(bytes) => Ok(Self { body: Body::Owned(bytes), start: 0 }),
            Err(reason) => {
                let error = CodecError::new(task, Coded::ResultInWorker, type_name::<T>(), reason);
                Err(TaskError::Encode(Arc::new(error)))
            }
        }
    }

    /// The value, afresh.
    pub(crate) fn decode<T: DeserializeOwned>(&self, task: &str) -> Result<T, TaskError> {
        let bytes = self.body.as_slice().get(self.start..).unwrap_or_default();
        let decoded = catch_unwind(AssertUnwindSafe(|| postcard::take_from_bytes::<T>(bytes)));
        let reason = match decoded {
            Ok(Ok((value, []))) => return Ok(value),
            Ok(Ok((_, rest))) => format!("{} of {} bytes were left over", rest.len(), bytes.len()),
            Ok(Err(error)) => error.to_string(),
            Err(payload) => {
                let reason = format!("its Deserialize panicked: {}", panic_text(&*payload));
                discard(payload);
                reason
            }
        };
        Err(TaskError::Decode(Arc::new(CodecError::new(task, Coded::ResultInCaller, type_name::<T>(), reason))))
    }
}
