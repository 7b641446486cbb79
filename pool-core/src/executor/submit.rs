//! From a function and its arguments to a frame and a future.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Instant;

use pool_ipc::{Body, Frame, Owner, SharedValue, SmallBytes, Terms};

use crate::error::{CodecError, Coded, NoMemory, Reason, SubmitError};
use crate::future::{Desk, Future, Origin, Pack, Retry, RetryPolicy, Shared, panic_text};
use crate::manager::Pool;
use crate::manager::{TimeLimits, watch_deadline};
use crate::sharing::{Attempts, Sending};
use crate::task::{self, Arguments, EncodeFailure, Task, TaskId};
use crate::wire::{encode_sharing_single, encode_sharing_single_in};

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;

/// Submits a single call.
pub(super) fn submit<F, Args>(
    pool: &Arc<Pool>,
    name: &'static str,
    limits: TimeLimits,
    policy: Option<RetryPolicy>,
    _task: F,
    args: &Args,
) -> Result<Future<F::Output>, SubmitError>
where
    F: Task<Args>,
    Args: Arguments,
{
    pool.admit()?;
    check::<F::Output>(limits, policy.as_ref())?;
    let id = task::id_of::<F, Args>();
    let limits = limits.or(pool.time_limits());
    if policy.is_none() && limits.is_none() {
        return submit_plain(pool, name, id, args);
    }
    let mut values = Vec::new();
    let attempts = Attempts::of(policy.is_some());
    let payload = encode::<Args, _>(name, attempts, &mut values, || encode_sharing_single(id, args))?;
    let terms = limits.terms(Instant::now());
    let (payload, retry) = arm(policy.as_ref(), payload, values, terms.as_deref());
    let shared = Shared::with_retry(name, desk(pool), retry);
    let owner: Owner = Arc::<Shared>::clone(&shared);
    pool.submit(Frame { terms: terms.clone(), ..Frame::new(Owner::clone(&owner), payload, 1) })?;
    watch_deadline(pool, &owner, terms.as_deref(), limits.deadline);
    Ok(Future::of(shared))
}

/// Submits a call that has neither limits nor a policy.
fn submit_plain<R, Args: Arguments>(
    pool: &Arc<Pool>,
    name: &'static str,
    id: TaskId,
    args: &Args,
) -> Result<Future<R>, SubmitError> {
    let room = ROOM.try_with(Cell::take).unwrap_or_default();
    let mut values = Vec::new();
    let encoder = || encode_sharing_single_in(room, id, args);
    let payload = encode::<Args, _>(name, Attempts::One, &mut values, encoder)?;
    let mut shared = Shared::of(Origin::plain(name, pool));
    match payload {
        Body::Owned(request) if Pack::takes(&request) && values.is_empty() => {
            let submitted = pool.submit_small(&mut shared, &request);
            // A thread that ends may have no room any more.
            let _ = ROOM.try_with(|room| room.set(request));
            submitted?;
        }
        payload => pool.submit(Frame::new(Arc::<Shared>::clone(&shared), payload.accompanied(values), 1))?,
    }
    Ok(Future::of(shared))
}

thread_local! {
    /// Where small calls are encoded, before they are copied to where they travel.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whether the limits can be kept, and the policy makes sense for values of type `R`.
pub(super) fn check<R>(limits: TimeLimits, policy: Option<&RetryPolicy>) -> Result<(), SubmitError> {
    let limit = limits.impossible().map(|name| (name, "more than 0"));
    match limit.or_else(|| policy.and_then(RetryPolicy::nonsense::<R>)) {
        None => Ok(()),
        Some((name, allowed)) => Err(SubmitError::Option { name, allowed }),
    }
}

/// A payload, kept for further attempts where a policy wants that.
pub(super) fn arm(
    policy: Option<&RetryPolicy>,
    payload: Body,
    values: Vec<SharedValue>,
    terms: Option<&Terms>,
) -> (Body, Option<Box<Retry>>) {
    let mut payload = payload.accompanied(values);
    match policy {
        None => (compact(payload), None),
        Some(policy) => {
            let retry = Retry::new(policy.clone(), payload.share(), terms);
            (payload, Some(retry))
        }
    }
}

/// A small payload as a part of its frame: where it went to, another thread would have to free its memory.
fn compact(payload: Body) -> Body {
    match payload {
        Body::Owned(bytes) if bytes.len() <= SmallBytes::MOST => Body::copied(&bytes),
        payload => payload,
    }
}

/// The pool as its futures know it.
pub(super) fn desk(pool: &Arc<Pool>) -> Weak<dyn Desk> {
    let weak: Weak<Pool> = Arc::downgrade(pool);
    weak
}

/// Runs an encoder of arguments of type `Args`, and adds the shared values in them to `values`; what goes wrong in it, a panic
/// too, is this call's error.
#[inline]
pub(super) fn encode<Args, T>(
    name: &str,
    attempts: Attempts,
    values: &mut Vec<SharedValue>,
    encoder: impl FnOnce() -> Result<T, EncodeFailure>,
) -> Result<T, SubmitError> {
    let sending = Sending::begin(attempts);
    let outcome = catch_unwind(AssertUnwindSafe(encoder));
    let failure = match outcome {
        Ok(Ok(encoded)) => {
            sending.end(Some(values));
            return Ok(encoded);
        }
        Ok(Err(failure)) => Ok(failure),
        Err(payload) => Err(payload),
    };
    sending.end(None);
    Err(refused::<Args>(name, failure))
}

/// Why a call was not encoded, as its submitter hears it.
#[cold]
pub(super) fn refused<Args>(name: &str, failure: std::thread::Result<EncodeFailure>) -> SubmitError {
    let refused = |reason| {
        let type_name = std::any::type_name::<Args>();
        SubmitError::Encode(Arc::new(CodecError::new(name, Coded::ArgumentsInCaller, type_name, reason)))
    };
    match failure {
        Ok(EncodeFailure::Codec { reason }) => refused(reason),
        Ok(EncodeFailure::NoMemory { size }) => SubmitError::NoMemory(NoMemory::new(name, size, ENOMEM)),
        Err(payload) => refused(Reason::of_type(format!("its Serialize panicked: {}", panic_text(&*payload)))),
    }
}
