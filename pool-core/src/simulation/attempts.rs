//! The checks of attempts: whether an item may be begun, and whether an end without an outcome of its own is due to it.
//!
//! Keeps true: they count what workers did, and never ask the pool.

use std::time::Duration;

use crate::error::{Exhausted, TaskError, TimeLimit};
use crate::simulation::book::{Book, Entry, Item};
use crate::simulation::policy::{Fate, Policy};

/// Whether an item may be begun now.
///
/// # Errors
/// Why not.
pub(super) fn may_begin(book: &Book, entry: &Entry, item: &Item, told: u32, now: Duration) -> Result<(), String> {
    if entry.cancelled {
        return Err("after it was cancelled".to_owned());
    }
    // A frame that cannot be had back is run to its end by a worker that does not mind being asked.
    let is_single = entry.items.len() == 1;
    if let Some(closed_at) = entry.closes_at().filter(|at| *at < book.rested_at && (book.recall || is_single)) {
        return Err(format!("at {now:?}, though it was not to begin after {closed_at:?}"));
    }
    if item.tainted {
        return Ok(());
    }
    // Items that a liar had and did not begin may have had the blame for it.
    if told != item.begun && book.liars.is_empty() {
        return Err(format!("is said to have failed {told} times, and did so {} times", item.begun));
    }
    if item.begun == 0 {
        return Ok(());
    }
    let Some(policy) = entry.policy else { return Err("for the second time".to_owned()) };
    let Some(failed_at) = failed_at(book, item) else { return Err("and runs elsewhere".to_owned()) };
    if item.begun >= policy.attempts {
        return Err(format!("more often than {} times", policy.attempts));
    }
    if !policy.minds(item.published, entry.limits.timeout.is_some()) {
        return Err(format!("again, and is not to be after {:?}", item.published));
    }
    let deaths = item.begun - item.panics - item.unwanted;
    if entry.limits.timeout.is_none() && deaths >= policy.poison_limit {
        return Err(format!("and has cost {deaths} workers"));
    }
    let pause = now.saturating_sub(failed_at);
    if pause < policy.least_pause(item.begun) {
        return Err(format!("after a pause of {pause:?}"));
    }
    Ok(())
}

/// Whether the item waits for its first or its next attempt.
pub(super) fn waits(book: &Book, entry: &Entry, item: &Item) -> bool {
    let minds = |policy: Policy| policy.minds(item.published, entry.limits.timeout.is_some());
    item.begun == 0 || entry.policy.is_some_and(minds) && failed_at(book, item).is_some()
}

/// When the last attempt was over, if it was.
fn failed_at(book: &Book, item: &Item) -> Option<Duration> {
    match item.published {
        Some(_) => Some(item.published_at),
        None => item.by.and_then(|link| book.times_of_death.get(&link).copied()),
    }
}

/// Whether this end of an item's last attempt is one to be tried again, and there is an attempt left.
pub(super) fn is_left(entry: &Entry, item: &Item, end: Result<(), &TaskError>) -> bool {
    // Those that are not to begin any more are not tried again.
    let is_barred = entry.kill_asked || entry.cancel_asked || entry.limits.deadline.is_some();
    let Some(policy) = entry.policy.filter(|_| !is_barred) else { return false };
    let (minded, deaths) = match end {
        Ok(()) => (policy.unwanted && item.published == Some(Fate::Unwanted), 0),
        Err(TaskError::Exhausted(exhausted)) => {
            (minds(policy, exhausted.last()), exhausted.causes.iter().filter(|cause| is_death(cause)).count())
        }
        Err(error) => (minds(policy, error), usize::from(is_death(error))),
    };
    minded && item.begun < policy.attempts && deaths < policy.poison_limit as usize
}

fn minds(policy: Policy, error: &TaskError) -> bool {
    match error {
        TaskError::WorkerDied(_) => policy.worker_died,
        TaskError::TimedOut(late) => policy.timed_out && late.kind == TimeLimit::Timeout,
        TaskError::Panicked(_) => policy.panicked,
        _ => false,
    }
}

/// Whether this is what an attempt came to.
pub(super) fn is_end_of_one(error: &TaskError) -> bool {
    match error {
        TaskError::WorkerDied(_) | TaskError::Panicked(_) | TaskError::Killed(_) => true,
        TaskError::TimedOut(late) => late.pid.is_some(),
        TaskError::ForcedShutdown(forced) => forced.pid.is_some(),
        _ => false,
    }
}

fn is_death(error: &TaskError) -> bool {
    matches!(error, TaskError::WorkerDied(_))
}

/// What is wrong with the causes of an item that failed in several attempts.
pub(super) fn judge_causes(book: &Book, entry: &Entry, item: &Item, exhausted: &Exhausted) -> Option<String> {
    let Some(policy) = entry.policy else { return Some("nobody asked for further attempts".to_owned()) };
    let (last, earlier) = exhausted.causes.split_last()?;
    if earlier.is_empty() {
        return Some("it failed once".to_owned());
    }
    let is_unwanted = |cause: &TaskError| matches!(cause, TaskError::Unwanted(_));
    if let Some(cause) = earlier.iter().find(|cause| !(minds(policy, cause) || policy.unwanted && is_unwanted(cause))) {
        return Some(format!("it was tried again after {cause}"));
    }
    let count = |is: fn(&TaskError) -> bool| exhausted.causes.iter().filter(|cause| is(cause)).count() as u32;
    let panics = count(|cause| matches!(cause, TaskError::Panicked(_)));
    // What came between two attempts was none.
    let attempts = count(|_| true) - u32::from(!is_end_of_one(last));
    let told = (attempts, panics, count(|cause| matches!(cause, TaskError::Unwanted(_))));
    if !item.tainted && book.liars.is_empty() && told != (item.begun, item.panics, item.unwanted) {
        return Some(format!("the causes are not what happened: {told:?}"));
    }
    let known = |pid: u32, cause| book.deaths.values().any(|death| *death == (pid, cause));
    let is_known = |error: &TaskError| match error {
        TaskError::WorkerDied(died) => known(died.pid, died.cause),
        TaskError::TimedOut(late) => late.pid.zip(late.cause).is_some_and(|(pid, cause)| known(pid, cause)),
        _ => true,
    };
    let unknown = earlier.iter().find(|cause| !is_known(cause));
    unknown.map(|cause| format!("nobody died like that, of {last}: {cause}"))
}
