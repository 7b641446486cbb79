//! A panic of the pool's own: played by a backend whose hub panics where the manager waits, or whose links do where the
//! feeder and the manager ask them something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use pool_core::{
    Backend, Broken, Builder, Future, InProcess, IpcChannel, SharedMemory, SubmitError, TaskError, thread,
};
use pool_ipc::{Abilities, Hub, Link, LinkEvent, LinkId, OpenError, StartError, StartOrder};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::slow_callbacks::stand_still;
use crate::watchdog::LIMIT;

claims! { on_each_backend:
    b18_a_panic_of_the_manager_resolves_every_future,
    b18_a_panic_in_the_managers_place_resolves_every_future_while_a_callback_stands_still,
}

/// A backend whose hub panics once it is told to.
#[derive(Debug)]
struct Panicking {
    inner: Arc<dyn Backend>,
    fuse: Arc<AtomicBool>,
}

#[derive(Debug)]
struct PanickingHub {
    inner: Arc<dyn Hub>,
    fuse: Arc<AtomicBool>,
}

impl Backend for Panicking {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        Ok(Arc::new(PanickingHub { inner: self.inner.open()?, fuse: Arc::clone(&self.fuse) }))
    }
}

impl Hub for PanickingHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        self.inner.start(id, order)
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        self.inner.wait(deadline, events);
        assert!(!self.fuse.swap(false, Ordering::SeqCst), "played");
    }

    fn wake(&self) {
        self.inner.wake();
    }
}

/// The same backend with a fuse: once it is lit, the next wait of the hub panics.
fn with_fuse(builder: Builder) -> (Builder, Arc<AtomicBool>) {
    let inner: Arc<dyn Backend> = match format!("{builder:?}") {
        text if text.contains("InProcess") => Arc::new(InProcess::new()),
        text if text.contains("IpcChannel") => Arc::new(IpcChannel::new()),
        _ => Arc::new(SharedMemory::new()),
    };
    let fuse = Arc::new(AtomicBool::new(false));
    (builder.backend(Panicking { inner, fuse: Arc::clone(&fuse) }), fuse)
}

#[track_caller]
fn assert_broken(error: &TaskError) {
    assert!(matches!(error, TaskError::Broken(broken) if matches!(&**broken, Broken::Internal { .. })), "{error}");
}

fn b18_a_panic_of_the_manager_resolves_every_future(builder: Builder) {
    let (builder, fuse) = with_fuse(builder);
    let (pool, gate) = (pool(builder, 1), Gate::new());
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let queued: Vec<Future<u32>> = (1..20).map(|number| pool.submit(stop_at, (gate.name(), number)).unwrap()).collect();
    let (said, heard) = mpsc::channel();
    queued[0].add_done_callback(move |queued| said.send(queued.exception().unwrap()).unwrap());
    fuse.store(true, Ordering::SeqCst);
    // Whatever wakes the manager. It may be refused, or taken and failed.
    let last = pool.submit(u32::pow, (2, 8));
    // A worker that is a thread goes on until its task is done.
    drop(held);
    queued.iter().for_each(|queued| assert_broken(&queued.exception().unwrap()));
    assert_broken(&heard.recv_timeout(LIMIT).unwrap());
    if let Some(error) = running.exception() {
        assert_broken(&error);
    }
    if let Ok(last) = last {
        assert_broken(&last.exception().unwrap());
    }
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn b18_a_panic_in_the_managers_place_resolves_every_future_while_a_callback_stands_still(builder: Builder) {
    let (builder, fuse) = with_fuse(builder);
    let (pool, gate) = (pool(builder, 1), Gate::new());
    let stand = stand_still(&pool);
    let running = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let queued = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let (said, heard) = mpsc::channel();
    queued.add_done_callback(move |_| said.send(thread::current().name().to_owned()).unwrap());
    fuse.store(true, Ordering::SeqCst);
    let _ = pool.submit(u32::pow, (2, 8));
    drop(held);
    assert_broken(&queued.exception().unwrap());
    if let Some(error) = running.exception() {
        assert_broken(&error);
    }
    assert!(heard.try_recv().is_err(), "its callback waits for the one that stands still");
    drop(stand);
    assert!(heard.recv_timeout(LIMIT).unwrap().starts_with("Thread-"));
    pool.shutdown();
}
