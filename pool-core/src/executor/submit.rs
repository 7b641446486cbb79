//! From a function and its arguments to a frame and a future.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use pool_ipc::{Frame, Owner};

use crate::error::{CodecError, Coded, NoMemory, SubmitError};
use crate::future::{Desk, Future, Shared, panic_text};
use crate::manager::Pool;
use crate::manager::{TimeLimits, watch_deadline};
use crate::task::{self, Arguments, EncodeFailure, Task};
use crate::wire::encode_single;

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;

/// Submits a single call.
pub(super) fn submit<F, Args>(
    pool: &Arc<Pool>,
    name: &'static str,
    limits: TimeLimits,
    _task: F,
    args: &Args,
) -> Result<Future<F::Output>, SubmitError>
where
    F: Task<Args>,
    Args: Arguments,
{
    pool.admit()?;
    let id = task::id_of::<F, Args>();
    let payload = encode::<Args, _>(name, || encode_single(id, args, 0))?;
    let shared = Shared::new(name, desk(pool));
    let owner: Owner = Arc::<Shared>::clone(&shared);
    let limits = limits.or(pool.time_limits());
    let terms = limits.terms(Instant::now());
    pool.submit(Frame { terms: terms.clone(), ..Frame::new(Owner::clone(&owner), payload, 1) })?;
    watch_deadline(pool, &owner, terms.as_deref(), limits.deadline);
    Ok(Future::of(shared))
}

/// The pool as its futures know it.
pub(super) fn desk(pool: &Arc<Pool>) -> Weak<dyn Desk> {
    let weak: Weak<Pool> = Arc::downgrade(pool);
    weak
}

/// Runs an encoder of arguments of type `Args`; what goes wrong in it, a panic too, is this call's error.
pub(super) fn encode<Args, T>(
    name: &str,
    encoder: impl FnOnce() -> Result<T, EncodeFailure>,
) -> Result<T, SubmitError> {
    let refused = |reason: String| {
        let type_name = std::any::type_name::<Args>();
        SubmitError::Encode(Arc::new(CodecError::new(name, Coded::ArgumentsInCaller, type_name, reason)))
    };
    match catch_unwind(AssertUnwindSafe(encoder)) {
        Ok(Ok(encoded)) => Ok(encoded),
        Ok(Err(EncodeFailure::Codec { reason })) => Err(refused(reason.to_owned())),
        Ok(Err(EncodeFailure::NoMemory { size })) => Err(SubmitError::NoMemory(NoMemory::new(name, size, ENOMEM))),
        Err(payload) => {
            let reason = format!("its Serialize panicked: {}", panic_text(&*payload));
            Err(refused(reason))
        }
    }
}
