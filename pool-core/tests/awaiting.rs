//! Futures that are awaited: wakers are kept one a handle, woken once, and never left behind.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pool_core::{Completer, Future, TaskError, thread};

const PATIENCE: Duration = Duration::from_secs(60);

fn pending() -> (Completer<u32>, Future<u32>) {
    Completer::new("awaited")
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll(future: &mut Future<u32>, bell: &Arc<Bell>) -> Poll<Result<u32, TaskError>> {
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn an_awaited_future_wakes_its_task_once_however_often_it_was_polled() {
    let (completer, mut future) = pending();
    let bell = Arc::new(Bell::default());
    for _ in 0..10 {
        assert!(poll(&mut future, &bell).is_pending());
    }
    assert_eq!(Arc::strong_count(&bell), 2, "one waker is kept");
    assert_eq!(bell.rings(), 0);
    completer.set_result(&42).unwrap();
    assert_eq!(bell.rings(), 1);
    assert_eq!(Arc::strong_count(&bell), 1);
    for _ in 0..2 {
        assert!(matches!(poll(&mut future, &bell), Poll::Ready(Ok(42))));
    }
}

#[test]
fn a_handle_that_moves_to_another_task_wakes_that_one_only() {
    let (completer, mut future) = pending();
    let bells: Vec<_> = (0..5).map(|_| Arc::new(Bell::default())).collect();
    for bell in &bells {
        assert!(poll(&mut future, bell).is_pending());
    }
    completer.set_result(&42).unwrap();
    assert_eq!(bells.iter().map(|bell| bell.rings()).collect::<Vec<_>>(), [0, 0, 0, 0, 1]);
    assert!(bells.iter().all(|bell| Arc::strong_count(bell) == 1));
}

#[test]
fn each_handle_that_is_awaited_has_its_own_waker_and_takes_it_along() {
    let (completer, future) = pending();
    let mut handles: Vec<_> = (0..4).map(|_| (future.clone(), Arc::new(Bell::default()))).collect();
    handles.iter_mut().for_each(|(handle, bell)| assert!(poll(handle, bell).is_pending()));
    let (_, dropped) = handles.remove(1);
    assert_eq!(Arc::strong_count(&dropped), 1, "a dropped handle leaves no waker behind");
    let mut late = (future.clone(), Arc::new(Bell::default()));
    assert!(poll(&mut late.0, &late.1).is_pending());
    handles.push(late);
    completer.set_result(&42).unwrap();
    assert!(handles.iter().all(|(_, bell)| bell.rings() == 1));
    assert_eq!(dropped.rings(), 0);
}

#[test]
fn a_waker_that_panics_harms_no_other_listener() {
    struct Alarm;
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            panic!("an alarm, on purpose")
        }
    }
    let (completer, future) = pending();
    let (mut first, mut second) = (future.clone(), future.clone());
    let waker = Waker::from(Arc::new(Alarm));
    assert!(Pin::new(&mut first).poll(&mut Context::from_waker(&waker)).is_pending());
    let bell = Arc::new(Bell::default());
    assert!(poll(&mut second, &bell).is_pending());
    completer.set_result(&42).unwrap();
    assert_eq!(bell.rings(), 1);
    assert_eq!(future.result().unwrap(), 42);
}

#[test]
fn a_future_and_a_reference_to_it_can_be_awaited() {
    let (completer, future) = pending();
    let completing = thread::spawn(move || completer.set_result(&42).unwrap());
    let sum = block_on(async move {
        let borrowed = (&future).await?;
        Ok::<u32, TaskError>(borrowed + future.await?)
    });
    assert_eq!(sum.unwrap(), 84);
    completing.join().unwrap();
}

/// Drives a future on this thread; one that is not woken within a minute is given up.
fn block_on<F: std::future::Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let started = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                std::thread::park_timeout(PATIENCE);
                assert!(started.elapsed() < PATIENCE, "nothing came for {PATIENCE:?}");
            }
        }
    }
}
