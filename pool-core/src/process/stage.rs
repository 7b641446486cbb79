//! How far a process has come, as its parent sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pool_ipc::{ExitCause, ProcessHandle};

use super::error::ProcessError;
use super::target::{self, Target};
use crate::error::{CodecError, Coded, NoMemory, Reason};
use crate::future::panic_text;
use crate::task::{Arguments, EncodeFailure};
use crate::wire::encode_single;

/// How far a process has come. Moved by `Process::start` (`Initial` to `Starting`, and from there to `Started` or, when
/// that fails, back) and by `Process::close` (to `Closed`, which is final, from `Initial` and from `Started` once it has
/// ended).
pub(super) enum Stage {
    /// It can be started.
    Initial(Call),
    /// A thread is starting it, and has the call in hands.
    Starting,
    /// It was started, and may have ended.
    Started(Arc<ProcessHandle>),
    /// Nothing of it is left but what is known.
    Closed {
        /// Its number, if it was started.
        pid: Option<u32>,
        /// How it ended, if it was started.
        cause: Option<ExitCause>,
    },
}

/// A target with its arguments, which are encoded when the process starts.
pub(super) struct Call {
    encode: Box<dyn Fn() -> Result<Vec<u8>, EncodeFailure> + Send>,
    target: &'static str,
    arguments: &'static str,
}

impl Call {
    /// A call that nobody has made yet.
    pub(super) fn new<F, Args>(_target: F, args: Args) -> Self
    where
        F: Target<Args>,
        Args: Arguments + Send + 'static,
    {
        let id = target::id_of::<F, Args>();
        let (target, arguments) = (std::any::type_name::<F>(), std::any::type_name::<Args>());
        Self { encode: Box::new(move || encode_single(id, &args, 0)), target, arguments }
    }

    /// The request. A panic of the arguments' Serialize is an error like any other.
    pub(super) fn encode(&self, name: &str) -> Result<Vec<u8>, ProcessError> {
        match catch_unwind(AssertUnwindSafe(|| (self.encode)())) {
            Ok(Ok(request)) => Ok(request),
            Ok(Err(failure)) => Err(self.refused(name, failure)),
            Err(payload) => {
                let reason = format!("its Serialize panicked: {}", panic_text(&*payload));
                Err(self.unencoded(name, Reason::of_type(reason)))
            }
        }
    }

    /// The error of a process that has this failure.
    pub(super) fn refused(&self, name: &str, failure: EncodeFailure) -> ProcessError {
        match failure {
            EncodeFailure::Codec { reason } => self.unencoded(name, reason),
            EncodeFailure::NoMemory { size } => {
                ProcessError::NoMemory { name: name.to_owned(), memory: NoMemory::new(self.target, size, ENOMEM) }
            }
        }
    }

    fn unencoded(&self, name: &str, reason: Reason) -> ProcessError {
        let error = CodecError::new(self.target, Coded::ArgumentsInCaller, self.arguments, reason);
        ProcessError::Encode { name: name.to_owned(), source: Arc::new(error) }
    }
}

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;
