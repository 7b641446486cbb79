//! What a policy makes of outcomes, without a pool.

use pool_ipc::ExitCause;

use super::*;
use crate::error::{Panic, TimeLimit, TimedOut, WorkerDied};

fn died() -> Result<Encoded, TaskError> {
    Err(TaskError::WorkerDied(Arc::new(WorkerDied::new("work", 7, ExitCause::Signal(9), None))))
}

fn panicked() -> Result<Encoded, TaskError> {
    Err(TaskError::Panicked(Arc::new(Panic::new("work", "no"))))
}

fn late(kind: TimeLimit) -> Result<Encoded, TaskError> {
    let late = TimedOut::new("work", kind, Duration::from_secs(1), None);
    Err(TaskError::TimedOut(Arc::new(late)))
}

fn value(value: u32) -> Result<Encoded, TaskError> {
    Ok(Encoded { body: Body::from(postcard::to_stdvec(&value).unwrap()), start: 0 })
}

fn retry(policy: RetryPolicy) -> Box<Retry> {
    Retry::new(policy, Body::shared(vec![1]), None)
}

#[track_caller]
fn again(judged: Judged) -> u32 {
    match judged {
        Judged::Again { terms, .. } => terms.attempt,
        Judged::Final(outcome) => panic!("final: {:?}", outcome.err()),
    }
}

#[track_caller]
fn finally(judged: Judged) -> Result<Encoded, TaskError> {
    match judged {
        Judged::Final(outcome) => outcome,
        Judged::Again { terms, .. } => panic!("attempt {} follows", terms.attempt),
    }
}

#[test]
fn a_policy_minds_what_it_was_told_to_and_nothing_else() {
    let plain = RetryPolicy::new(9);
    assert!(plain.minds(&died()));
    for outcome in
        [panicked(), late(TimeLimit::Timeout), late(TimeLimit::Deadline), value(1), Err(TaskError::Cancelled)]
    {
        assert!(!plain.minds(&outcome));
    }
    let all = plain.on_panic(true).on_timeout(true).on_value(|value: &u32| *value == 1).on_worker_died(false);
    for outcome in [panicked(), late(TimeLimit::Timeout), value(1)] {
        assert!(all.minds(&outcome));
    }
    for outcome in [died(), late(TimeLimit::Deadline), value(2), Err(TaskError::ShutDown)] {
        assert!(!all.minds(&outcome));
    }
    assert!(all.nonsense::<u32>().is_none() && all.nonsense::<u64>().is_some());
}

#[test]
fn attempts_are_counted_by_item_and_the_last_error_has_all_causes() {
    let retry = retry(RetryPolicy::new(3).on_panic(true));
    assert_eq!(again(retry.judge("work", 0, died())), 1);
    assert_eq!(again(retry.judge("work", 5, died())), 1);
    assert_eq!(again(retry.judge("work", 0, panicked())), 2);
    let Err(TaskError::Exhausted(all)) = finally(retry.judge("work", 0, died())) else { panic!("not exhausted") };
    assert_eq!(all.causes.len(), 3);
    assert!(matches!(all.last(), TaskError::WorkerDied(_)));
    assert!(finally(retry.judge("work", 5, value(1))).is_ok(), "a success is a success");
}

#[test]
fn an_error_that_is_not_minded_comes_with_those_before_it() {
    let retry = retry(RetryPolicy::new(9));
    again(retry.judge("work", 0, died()));
    let Err(TaskError::Exhausted(all)) = finally(retry.judge("work", 0, panicked())) else { panic!("not exhausted") };
    assert!(matches!(*all.causes, [TaskError::WorkerDied(_), TaskError::Panicked(_)]));
    let text = all.to_string();
    assert!(text.starts_with("task work failed in attempt 2: task work panicked"), "{text}");
    assert!(text.ends_with("\n  attempt 1: worker 7 died while it ran task work: signal 9 (SIGKILL)"), "{text}");
}

#[test]
fn a_first_failure_that_is_not_minded_is_itself() {
    assert!(matches!(finally(retry(RetryPolicy::new(9)).judge("work", 0, panicked())), Err(TaskError::Panicked(_))));
    assert!(matches!(finally(retry(RetryPolicy::new(1)).judge("work", 0, died())), Err(TaskError::WorkerDied(_))));
}

#[test]
fn poison_is_not_given_another_worker() {
    let retry = retry(RetryPolicy::new(100).on_panic(true).poison_limit(2));
    again(retry.judge("work", 0, died()));
    again(retry.judge("work", 0, panicked()));
    assert!(matches!(finally(retry.judge("work", 0, died())), Err(TaskError::Exhausted(_))));
}

#[test]
fn the_value_of_the_last_attempt_is_delivered() {
    let retry = retry(RetryPolicy::new(2).on_value(|value: &u32| *value == 1));
    again(retry.judge("work", 0, value(1)));
    assert_eq!(finally(retry.judge("work", 0, value(1))).unwrap().decode::<u32>("work").unwrap(), 1);
}

#[test]
fn a_predicate_that_panics_has_said_no() {
    let retry = retry(RetryPolicy::new(2).on_value(|_: &u32| panic!("a predicate")));
    assert!(finally(retry.judge("work", 0, value(1))).is_ok());
}

#[test]
fn an_error_that_is_not_judged_has_the_causes_before_it() {
    let retry = retry(RetryPolicy::new(9));
    again(retry.judge("work", 0, died()));
    let not_begun = late(TimeLimit::Deadline).map_or_else(|error| error, |_| panic!("it is an error"));
    assert!(matches!(retry.last_error("work", 1, not_begun.clone()), TaskError::TimedOut(_)), "another item");
    again(retry.judge("work", 2, died()));
    let cancelled = retry.last_error("work", 2, TaskError::Cancelled);
    assert!(cancelled.is_cancellation() && matches!(cancelled, TaskError::Exhausted(_)), "{cancelled}");
    assert!(matches!(retry.last_error("work", 2, TaskError::Cancelled), TaskError::Cancelled), "it is told once");
    let error = retry.last_error("work", 0, not_begun);
    assert_eq!(
        error.to_string(),
        "task work failed in attempt 2: task work had not begun by the deadline of 1s from its submit\n  \
         attempt 1: worker 7 died while it ran task work: signal 9 (SIGKILL)"
    );
}
