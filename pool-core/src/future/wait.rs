//! `wait`: many futures at once, until the first is done, the first failed, or all are.
//!
//! Keeps true: the cost is that of visiting each future twice, whatever the condition; a future that is given twice
//! counts once; a cancelled future is done. Never waits on the thread that would have to complete what it waits for.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{TaskError, WaitTimedOut};
use crate::future::listening::Listening;
use crate::future::state::NoOutcome;
use crate::future::watch::{Until, Watch};
use crate::future::{Future, deadline, is_past};

/// Waits for some or all of many futures.
///
/// Without a limit it waits as long as it takes. Futures that are not done when the limit passes are no error: they are in
/// [`Waited::not_done`].
///
/// ```
/// use pool_core::{Completer, ReturnWhen, wait};
///
/// let (first, one) = Completer::<u32>::new("one");
/// let (second, two) = Completer::<u32>::new("two");
/// first.set_result(&1)?;
/// let waited = wait([&one, &two], None, ReturnWhen::FirstCompleted)?;
/// assert_eq!((waited.done, waited.not_done), (vec![one], vec![two]));
/// # drop(second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`WaitError::WouldDeadlock`]: on the thread that runs a pool's callbacks, where it would have to wait for futures of
/// that pool. A limit of zero does not wait, and is allowed there.
pub fn wait<T, F>(
    futures: impl IntoIterator<Item = F>,
    timeout: Option<Duration>,
    until: ReturnWhen,
) -> Result<Waited<T>, WaitError>
where
    F: Borrow<Future<T>>,
{
    let deadline = timeout.and_then(deadline);
    let futures = distinct(futures);
    if !is_met(&futures, until) && !is_past(deadline) {
        wait_for(&futures, until, deadline)?;
    }
    let (done, not_done) = futures.into_iter().partition(Future::done);
    Ok(Waited { done, not_done })
}

/// What ends a [`wait`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// Any future is done.
    FirstCompleted,
    /// Any future has an error, or all are done. To be cancelled is not an error here.
    FirstException,
    /// All futures are done.
    #[default]
    AllCompleted,
}

/// The futures of a [`wait`], each once, in the order in which they were given.
#[derive(Debug)]
pub struct Waited<T> {
    /// Those that are done.
    pub done: Vec<Future<T>>,
    /// Those that are not.
    pub not_done: Vec<Future<T>>,
}

/// Why waiting for many futures did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// The limit of [`as_completed`](crate::as_completed) passed.
    #[non_exhaustive]
    Unfinished {
        /// How many futures were not done.
        unfinished: usize,
        /// How many there were.
        total: usize,
        /// The limit.
        limit: Duration,
    },
    /// The wait was for futures that the calling thread itself would have to complete: callbacks run on the pool's manager
    /// thread.
    WouldDeadlock,
    /// The wait was for futures that are completed in the process that this one was forked from.
    Forked,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { unfinished, total, .. } => write!(f, "{unfinished} (of {total}) futures unfinished"),
            Self::WouldDeadlock => TaskError::WouldDeadlock.fmt(f),
            Self::Forked => TaskError::Forked.fmt(f),
        }
    }
}

impl std::error::Error for WaitError {}

impl From<WaitError> for TaskError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Unfinished { limit, .. } => Self::WaitTimedOut(WaitTimedOut::new(limit)),
            WaitError::WouldDeadlock => Self::WouldDeadlock,
            WaitError::Forked => Self::Forked,
        }
    }
}

/// Each future once.
pub(super) fn distinct<T, F: Borrow<Future<T>>>(futures: impl IntoIterator<Item = F>) -> Vec<Future<T>> {
    let mut seen = HashSet::new();
    let first_seen = |future: &F| seen.insert(Arc::as_ptr(future.borrow().shared()));
    futures.into_iter().filter(first_seen).map(|future| future.borrow().clone()).collect()
}

/// Why one of these will not be completed while the calling thread waits.
pub(super) fn never<'a, T: 'a>(futures: impl IntoIterator<Item = &'a Future<T>>) -> Option<WaitError> {
    let pending = futures.into_iter().filter(|future| !future.done());
    pending.filter_map(|future| future.shared().never()).next().map(|never| match never {
        NoOutcome::Forked => WaitError::Forked,
        NoOutcome::WouldDeadlock | NoOutcome::TooLate => WaitError::WouldDeadlock,
    })
}

fn is_met<T>(futures: &[Future<T>], until: ReturnWhen) -> bool {
    match until {
        _ if futures.iter().all(Future::done) => true,
        ReturnWhen::FirstCompleted => futures.iter().any(Future::done),
        ReturnWhen::FirstException => futures.iter().any(has_failed),
        ReturnWhen::AllCompleted => false,
    }
}

fn has_failed<T>(future: &Future<T>) -> bool {
    future.shared().has_failed()
}

fn wait_for<T>(futures: &[Future<T>], until: ReturnWhen, deadline: Option<Instant>) -> Result<(), WaitError> {
    if let Some(error) = never(futures) {
        return Err(error);
    }
    let watch = Arc::new(Watch::new());
    for (number, future) in futures.iter().enumerate() {
        // One that is done by now reports itself, so that every future has exactly one report.
        if let Listening::Done(()) = future.shared().add_watch(&watch, number) {
            watch.report(number, has_failed(future));
        }
    }
    let until = match until {
        ReturnWhen::FirstCompleted => Until::Count(1),
        ReturnWhen::FirstException => Until::FailureOrCount(futures.len()),
        ReturnWhen::AllCompleted => Until::Count(futures.len()),
    };
    let _ = watch.wait(until, deadline);
    futures.iter().filter(|future| !future.done()).for_each(|future| future.shared().remove_watch(&watch));
    Ok(())
}
