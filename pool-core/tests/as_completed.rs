//! What `as_completed` promises, by the numbers of the list of behaviours (A50 to A54, B1), without a pool.
#![expect(clippy::unwrap_used, reason = "this is all test code")]

use std::sync::mpsc;
use std::time::Duration;

use pool_core::{Completer, Future, TaskError, WaitError, as_completed, thread};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test body that waits, and fails loudly should it wait for ever.
fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let handle = thread::spawn(move || {
        let value = body();
        let _ = sender.send(());
        value
    });
    match receiver.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came for {PATIENCE:?}"),
        _ => handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
    }
}

fn pending() -> (Completer<u32>, Future<u32>) {
    Completer::new("work")
}

fn succeeded() -> Future<u32> {
    let (completer, future) = pending();
    completer.set_result(&42).unwrap();
    future
}

#[test]
fn a050_b1_every_future_is_yielded_the_finished_ones_first() {
    let (first, one) = pending();
    let (_second, cancelled) = pending();
    assert!(cancelled.cancel());
    let (third, failed) = pending();
    third.set_error(TaskError::ShutDown).unwrap();
    let (fourth, two) = pending();
    let (_fifth, cancelled_later) = pending();
    let done = succeeded();
    let futures = [&one, &two, &cancelled, &cancelled_later, &failed, &done].map(Future::clone);

    let later = cancelled_later.clone();
    let mut ends = as_completed(&futures, None);
    let first_three: Vec<_> = ends.by_ref().take(3).map(Result::unwrap).collect();
    assert_eq!(first_three, [cancelled, failed, done]);

    let others = thread::spawn(move || {
        fourth.set_error(TaskError::ShutDown).unwrap();
        assert!(later.cancel());
        first.set_result(&1).unwrap();
    });
    let rest: Vec<_> = watched(move || ends.map(Result::unwrap).collect());
    assert_eq!(rest, [two, cancelled_later, one], "in the order of their ends");
    others.join().unwrap();
}

#[test]
fn a051_when_the_limit_passes_what_is_done_was_yielded_and_one_error_follows() {
    for limit in [Duration::ZERO, Duration::from_millis(100)] {
        let (_completer, slow) = pending();
        let done = succeeded();
        let mut ends = as_completed([&slow, &done], Some(limit));
        assert_eq!(ends.next(), Some(Ok(done)));
        let error = ends.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "1 (of 2) futures unfinished");
        assert_eq!(ends.next(), None);
        assert!(!slow.done(), "and it goes on");
    }
}

#[test]
fn a051_what_ends_after_the_limit_and_before_the_look_is_still_yielded() {
    let (completer, future) = pending();
    let mut ends = as_completed([&future], Some(Duration::ZERO));
    completer.set_result(&1).unwrap();
    assert_eq!(ends.next(), Some(Ok(future)));
    assert_eq!(ends.next(), None);
}

#[test]
fn a052_a_future_that_is_given_several_times_is_yielded_once() {
    let (completer, future) = pending();
    let done = succeeded();
    let repeated = std::iter::repeat_n(&future, 3).chain(std::iter::repeat_n(&done, 3));
    let mut ends = as_completed(repeated, None);
    assert_eq!(ends.size_hint(), (1, Some(2)));
    assert_eq!(ends.next(), Some(Ok(done.clone())));
    completer.set_result(&1).unwrap();
    assert_eq!(ends.next(), Some(Ok(future)));
    assert_eq!(ends.next(), None);
}

#[test]
fn a053_a_future_that_was_yielded_is_not_held() {
    let futures = vec![succeeded(), succeeded(), succeeded()];
    let mut ends = as_completed(futures, None);
    for _ in 0..3 {
        let future = ends.next().unwrap().unwrap();
        assert_eq!(future.into_result().expect("it is the only handle").unwrap(), 42);
    }
    assert!(ends.next().is_none());
}

#[test]
fn a054_the_error_counts_what_is_unfinished() {
    let (_first, one) = pending();
    let (_second, two) = pending();
    let futures = [one, succeeded(), two, succeeded()];
    let limit = Duration::from_millis(1);
    let error = as_completed(futures, Some(limit)).find_map(Result::err).unwrap();
    assert_eq!(error.to_string(), "2 (of 4) futures unfinished");
    assert!(matches!(error, WaitError::Unfinished { unfinished: 2, total: 4, .. }));
    assert!(matches!(TaskError::from(error), TaskError::WaitTimedOut(late) if late.limit == limit));
}

#[test]
fn an_iterator_that_is_dropped_lets_go_of_its_futures() {
    let (completer, future) = pending();
    let mut ends = as_completed([succeeded(), future.clone()], None);
    assert!(ends.next().is_some());
    drop(ends);
    completer.set_result(&42).unwrap();
    assert_eq!(future.into_result().expect("it is the only handle").unwrap(), 42);
}

#[test]
fn two_hundred_thousand_futures_are_yielded_each_once() {
    let (completers, futures): (Vec<_>, Vec<_>) = (0..200_000).map(|_| pending()).unzip();
    let ends = as_completed(&futures, None);
    let completing = thread::spawn(move || completers.iter().for_each(|completer| completer.set_result(&1).unwrap()));
    let yielded: Vec<_> = watched(move || ends.map(Result::unwrap).collect());
    assert!(yielded == futures, "in the order of their ends");
    completing.join().unwrap();
}

#[test]
fn two_hundred_thousand_futures_are_given_up_at_once() {
    let (completers, futures): (Vec<_>, Vec<_>) = (0..200_000).map(|_| pending()).unzip();
    watched(move || drop(as_completed(futures, None)));
    drop(completers);
}

#[test]
fn an_iteration_may_move_to_another_thread() {
    let (completer, future) = pending();
    let mut ends = as_completed([future], None);
    let iterating = thread::spawn(move || ends.next().unwrap().unwrap().result().unwrap());
    completer.set_result(&42).unwrap();
    assert_eq!(watched(move || iterating.join().unwrap()), 42);
}
