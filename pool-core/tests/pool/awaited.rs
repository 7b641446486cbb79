//! Tasks that are awaited: the waker is called once the task has ended, and never after its handle is gone.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

use pool_core::{Builder, Future};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::watchdog::LIMIT;

claims! { on_each_backend:
    a129_an_awaited_task_runs_in_a_worker_and_wakes_who_awaits_it,
    a129_who_awaits_no_more_is_not_woken,
}

/// Counts how often it is woken, and tells of it.
struct Bell {
    rings: AtomicUsize,
    teller: mpsc::Sender<()>,
}

impl Bell {
    fn new() -> (Arc<Self>, mpsc::Receiver<()>) {
        let (teller, told) = mpsc::channel();
        (Arc::new(Self { rings: AtomicUsize::new(0), teller }), told)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rings.fetch_add(1, Ordering::Relaxed);
        // Where nobody listens any more the count tells of it.
        let _ = self.teller.send(());
    }
}

fn poll<T>(future: &mut Future<T>, bell: &Arc<Bell>) -> Poll<Option<T>>
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let waker = Waker::from(Arc::clone(bell));
    Pin::new(future).poll(&mut Context::from_waker(&waker)).map(Result::ok)
}

fn a129_an_awaited_task_runs_in_a_worker_and_wakes_who_awaits_it(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let mut future = pool.submit(stop_at, (gate.name(), 7)).unwrap();
    let held = gate.next();
    let (bell, told) = Bell::new();
    assert!(poll(&mut future, &bell).is_pending());
    assert_eq!((held.pid, bell.rings.load(Ordering::Relaxed)), (pool.worker_pids()[0], 0));
    drop(held);
    told.recv_timeout(LIMIT).unwrap();
    assert_eq!(poll(&mut future, &bell), Poll::Ready(Some(7)));
    assert_eq!(bell.rings.load(Ordering::Relaxed), 1);
}

fn a129_who_awaits_no_more_is_not_woken(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.submit(stop_at, (gate.name(), 7)).unwrap();
    let held = gate.next();
    let (bell, _told) = Bell::new();
    let mut awaited = future.clone();
    assert!(poll(&mut awaited, &bell).is_pending());
    assert!(!awaited.cancel(), "it runs");
    drop(awaited);
    drop(held);
    assert_eq!(future.result().unwrap(), 7);
    pool.shutdown();
    assert_eq!((bell.rings.load(Ordering::Relaxed), Arc::strong_count(&bell)), (0, 1));
}
