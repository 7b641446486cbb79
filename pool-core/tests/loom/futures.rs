//! Models of a future. Each has at most three threads.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;
use pool_core::{Completer, Future, ReturnWhen, TaskError, as_completed, wait};

fn pending() -> (Completer<u32>, Future<u32>) {
    Completer::new("work")
}

/// Counts with std's atomics: the count is read where the model has joined its threads, and adds no steps to it.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

fn poll(future: &mut Future<u32>, bell: &Arc<Bell>) -> Poll<Result<u32, TaskError>> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn a034_two_blocked_results_are_woken_by_the_result() {
    loom::model(|| {
        let (completer, future) = pending();
        let other = future.clone();
        let completing = thread::spawn(move || completer.set_result(&42).unwrap());
        let waiting = thread::spawn(move || other.result().unwrap());
        assert_eq!(future.result().unwrap(), 42);
        assert_eq!(waiting.join().unwrap(), 42);
        completing.join().unwrap();
    });
}

#[test]
fn a035_of_cancelling_and_completing_one_wins_and_the_waiter_hears_of_it() {
    loom::model(|| {
        let (completer, future) = pending();
        let to_cancel = future.clone();
        let completing = thread::spawn(move || completer.set_result(&42).is_ok());
        let cancelling = thread::spawn(move || to_cancel.cancel());
        let result = future.result();
        let (completed, cancelled) = (completing.join().unwrap(), cancelling.join().unwrap());
        assert_ne!(completed, cancelled);
        match result {
            Ok(42) => assert!(completed && !future.cancelled()),
            Err(TaskError::Cancelled) => assert!(cancelled && future.cancelled()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn of_cancelling_and_beginning_one_wins() {
    loom::model(|| {
        let (completer, future) = pending();
        let to_cancel = future.clone();
        let cancelling = thread::spawn(move || to_cancel.cancel());
        let runs = completer.set_running_or_notify_cancel();
        assert_ne!(runs, cancelling.join().unwrap());
        assert_eq!(completer.set_result(&42).is_ok(), runs);
    });
}

#[test]
fn a_dropped_completer_wakes_the_waiter() {
    loom::model(|| {
        let (completer, future) = pending();
        let dropping = thread::spawn(move || drop(completer));
        assert!(matches!(future.result(), Err(TaskError::Abandoned)));
        dropping.join().unwrap();
    });
}

#[test]
fn a020_a024_a_callback_runs_once_whenever_it_is_added() {
    loom::model(|| {
        let (completer, future) = pending();
        let bell = Arc::new(Bell::default());
        let completing = thread::spawn(move || completer.set_result(&42).unwrap());
        let (adder, counter) = (future.clone(), Arc::clone(&bell));
        let adding = thread::spawn(move || {
            adder.add_done_callback(move |future| {
                assert!(future.done());
                counter.ring();
            });
        });
        let counter = Arc::clone(&bell);
        future.add_done_callback(move |_| counter.ring());
        adding.join().unwrap();
        completing.join().unwrap();
        assert_eq!(bell.rings(), 2);
    });
}

#[test]
fn a_task_that_was_told_to_wait_is_woken_once() {
    loom::model(|| {
        let (completer, mut future) = pending();
        let bell = Arc::new(Bell::default());
        let completing = thread::spawn(move || completer.set_result(&42).unwrap());
        let polls: Vec<_> = (0..2).map(|_| poll(&mut future, &bell)).collect();
        completing.join().unwrap();
        match &polls[..] {
            [_, Poll::Pending] => assert_eq!(bell.rings(), 1),
            [Poll::Pending, Poll::Ready(Ok(42))] => assert_eq!(bell.rings(), 1),
            [Poll::Ready(Ok(42)), Poll::Ready(Ok(42))] => assert_eq!(bell.rings(), 0),
            other => panic!("{other:?}"),
        }
        assert!(matches!(poll(&mut future, &bell), Poll::Ready(Ok(42))));
        assert_eq!(Arc::strong_count(&bell), 1);
    });
}

#[test]
fn a_handle_that_is_dropped_while_it_is_completed_leaves_no_waker() {
    loom::model(|| {
        let (completer, future) = pending();
        let bell = Arc::new(Bell::default());
        let mut awaited = future.clone();
        let pending = poll(&mut awaited, &bell).is_pending();
        let completing = thread::spawn(move || completer.set_result(&42).unwrap());
        drop(awaited);
        completing.join().unwrap();
        assert!(pending && bell.rings() <= 1);
        assert_eq!(Arc::strong_count(&bell), 1);
    });
}

#[test]
fn of_two_handles_that_are_used_up_at_least_the_last_gets_the_value() {
    loom::model(|| {
        let (completer, future) = pending();
        completer.set_result(&42).unwrap();
        let clone = future.clone();
        let other = thread::spawn(move || clone.into_result().is_ok());
        let own = future.into_result();
        let other = other.join().unwrap();
        if let Err(future) = own {
            assert!(future.into_result().is_ok(), "the other handle is gone by now");
        } else {
            assert!(!other, "the other handle was dropped before, and was not the last");
        }
    });
}

#[test]
fn a049_a_wait_for_all_misses_no_end() {
    loom::model(|| {
        let (first, one) = pending();
        let (second, two) = pending();
        let completing = thread::spawn(move || first.set_result(&1).unwrap());
        let cancelled = two.clone();
        let cancelling = thread::spawn(move || assert!(cancelled.cancel()));
        let waited = wait([one, two], None, ReturnWhen::AllCompleted).unwrap();
        assert_eq!((waited.done.len(), waited.not_done.len()), (2, 0));
        completing.join().unwrap();
        cancelling.join().unwrap();
        drop(second);
    });
}

#[test]
fn a042_a044_a_wait_for_the_first_ends_with_it() {
    for until in [ReturnWhen::FirstCompleted, ReturnWhen::FirstException] {
        loom::model(move || {
            let (first, one) = pending();
            let (_second, two) = pending();
            let failing = thread::spawn(move || first.set_error(TaskError::ShutDown).unwrap());
            let waited = wait([&one, &two], None, until).unwrap();
            assert_eq!((waited.done, waited.not_done), (vec![one], vec![two]));
            failing.join().unwrap();
        });
    }
}

#[test]
fn a050_each_end_is_yielded_once() {
    loom::model(|| {
        let (first, one) = pending();
        let (second, two) = pending();
        let mut ends = as_completed([&one, &two], None);
        let completing = thread::spawn(move || second.set_result(&2).unwrap());
        let other = thread::spawn(move || first.set_result(&1).unwrap());
        let yielded = [ends.next(), ends.next()].map(|end| end.unwrap().unwrap());
        assert!(yielded == [one.clone(), two.clone()] || yielded == [two, one]);
        assert!(ends.next().is_none());
        completing.join().unwrap();
        other.join().unwrap();
    });
}
