//! What `wait` promises, by the numbers of the list of behaviours (A41 to A49, B1), without a pool.
#![expect(clippy::unwrap_used, reason = "this is all test code")]

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use pool_core::{Completer, Future, ReturnWhen, TaskError, Waited, thread, wait};

const PATIENCE: Duration = Duration::from_secs(60);
const CONDITIONS: [ReturnWhen; 3] = [ReturnWhen::FirstCompleted, ReturnWhen::FirstException, ReturnWhen::AllCompleted];

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

fn failed() -> Future<u32> {
    let (completer, future) = pending();
    completer.set_error(TaskError::ShutDown).unwrap();
    future
}

fn cancelled() -> Future<u32> {
    let (_completer, future) = pending();
    assert!(future.cancel());
    future
}

/// Waits without a limit while another thread does something, from about the same moment on.
fn wait_while<F>(futures: &[Future<u32>], until: ReturnWhen, meanwhile: F) -> Waited<u32>
where
    F: FnOnce() + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(2));
    let started = Arc::clone(&barrier);
    let other = thread::spawn(move || {
        started.wait();
        meanwhile();
    });
    let futures = futures.to_vec();
    let waited = watched(move || {
        barrier.wait();
        wait(futures, None, until).unwrap()
    });
    other.join().unwrap();
    waited
}

#[test]
fn a041_a_future_that_is_given_several_times_counts_once() {
    for until in CONDITIONS {
        let (completer, future) = pending();
        let thrice = [future.clone(), future.clone(), future.clone()];
        let waited = wait_while(&thrice, until, move || completer.set_result(&1).unwrap());
        assert_eq!((waited.done, waited.not_done), (vec![future], vec![]));
    }
}

#[test]
fn a042_the_first_end_is_enough() {
    for _ in 0..50 {
        let (first, one) = pending();
        let (_second, two) = pending();
        let futures = [one.clone(), two.clone()];
        let waited = wait_while(&futures, ReturnWhen::FirstCompleted, move || first.set_result(&1).unwrap());
        assert_eq!((waited.done, waited.not_done), (vec![one], vec![two]));
    }
}

#[test]
fn a042_b1_a_cancelled_future_is_done() {
    let (_completer, open) = pending();
    let cancelled = cancelled();
    let futures = [open.clone(), cancelled.clone()];
    let waited = watched(move || wait(futures, None, ReturnWhen::FirstCompleted).unwrap());
    assert_eq!((waited.done, waited.not_done), (vec![cancelled], vec![open]));
}

#[test]
fn a042_b1_a_wait_is_woken_by_cancel() {
    for until in CONDITIONS {
        let (_completer, future) = pending();
        let to_cancel = future.clone();
        let waited = wait_while(&[future], until, move || assert!(to_cancel.cancel()));
        assert_eq!(waited.done.len(), 1);
    }
}

#[test]
fn a043_what_is_done_already_is_returned_at_once() {
    let (_completer, open) = pending();
    let (done, cancelled) = (succeeded(), cancelled());
    let futures = [open.clone(), done.clone(), cancelled.clone()];
    let waited = watched(move || wait(futures, None, ReturnWhen::FirstCompleted).unwrap());
    assert_eq!((waited.done, waited.not_done), (vec![done, cancelled], vec![open]));
}

#[test]
fn a044_the_first_error_is_enough_and_a_value_is_not() {
    for _ in 0..50 {
        let (first, one) = pending();
        let (second, two) = pending();
        let (_third, three) = pending();
        let futures = [one.clone(), two.clone(), three.clone()];
        let waited = wait_while(&futures, ReturnWhen::FirstException, move || {
            first.set_result(&1).unwrap();
            second.set_error(TaskError::ShutDown).unwrap();
        });
        assert_eq!((waited.done, waited.not_done), (vec![one, two], vec![three]));
    }
}

#[test]
fn a044_without_an_error_all_are_waited_for() {
    let (first, one) = pending();
    let (second, two) = pending();
    let to_cancel = two.clone();
    let waited = wait_while(&[one, two], ReturnWhen::FirstException, move || {
        assert!(to_cancel.cancel());
        first.set_result(&1).unwrap();
    });
    assert_eq!((waited.done.len(), waited.not_done.len()), (2, 0));
    drop(second);
}

#[test]
fn a045_a_mixture_waits_for_the_first_error() {
    let (completer, one) = pending();
    let (_other, two) = pending();
    let (done, cancelled) = (succeeded(), cancelled());
    let futures = [done.clone(), cancelled.clone(), one.clone(), two.clone()];
    let waited = wait_while(&futures, ReturnWhen::FirstException, move || {
        completer.set_error(TaskError::ShutDown).unwrap();
    });
    assert_eq!((waited.done, waited.not_done), (vec![done, cancelled, one], vec![two]));
}

#[test]
fn a046_a_future_that_failed_already_is_returned_at_once() {
    let (_completer, open) = pending();
    let failed = failed();
    let futures = [open.clone(), failed.clone()];
    let waited = watched(move || wait(futures, None, ReturnWhen::FirstException).unwrap());
    assert_eq!((waited.done, waited.not_done), (vec![failed], vec![open]));
}

#[test]
fn a047_all_are_waited_for_whatever_becomes_of_them() {
    let (first, one) = pending();
    let (second, two) = pending();
    let futures = [one, failed(), cancelled(), two, succeeded()];
    let waited = wait_while(&futures, ReturnWhen::AllCompleted, move || {
        second.set_error(TaskError::ShutDown).unwrap();
        first.set_result(&1).unwrap();
    });
    assert_eq!(waited.done, futures);
    assert!(waited.not_done.is_empty());
}

#[test]
fn a048_a_limit_that_passes_is_no_error() {
    let (_completer, open) = pending();
    let done = succeeded();
    for limit in [Duration::ZERO, Duration::from_millis(50)] {
        let waited = wait([&open, &done], Some(limit), ReturnWhen::AllCompleted).unwrap();
        assert_eq!((waited.done, waited.not_done), (vec![done.clone()], vec![open.clone()]));
    }
}

#[test]
fn a049_of_a_hundred_futures_that_end_at_once_none_is_missed() {
    for _ in 0..10 {
        let (completers, futures): (Vec<_>, Vec<_>) = (0..100).map(|_| pending()).unzip();
        let waited = wait_while(&futures, ReturnWhen::AllCompleted, move || {
            let barrier = Arc::new(Barrier::new(completers.len()));
            let completing: Vec<_> = completers
                .into_iter()
                .map(|completer| {
                    let barrier = Arc::clone(&barrier);
                    thread::spawn(move || {
                        barrier.wait();
                        completer.set_result(&1).unwrap();
                    })
                })
                .collect();
            completing.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(waited.done.len(), 100);
    }
}

#[test]
fn several_waits_for_the_same_futures_all_end() {
    let (completer, future) = pending();
    let waits: Vec<_> = CONDITIONS
        .into_iter()
        .cycle()
        .take(12)
        .map(|until| {
            let future = future.clone();
            thread::spawn(move || wait([future], None, until).unwrap().done.len())
        })
        .collect();
    completer.set_result(&1).unwrap();
    assert_eq!(watched(move || waits.into_iter().map(|wait| wait.join().unwrap()).sum::<usize>()), 12);
}

#[test]
fn no_futures_at_all_are_done() {
    for until in CONDITIONS {
        let waited = wait(Vec::<Future<u32>>::new(), None, until).unwrap();
        assert!(waited.done.is_empty() && waited.not_done.is_empty());
    }
}

#[test]
fn a_limit_that_no_clock_reaches_waits_for_ever() {
    let (completer, future) = pending();
    let waiting = thread::spawn(move || wait([future], Some(Duration::MAX), ReturnWhen::AllCompleted).unwrap());
    completer.set_result(&1).unwrap();
    assert_eq!(watched(move || waiting.join().unwrap().done.len()), 1);
}
