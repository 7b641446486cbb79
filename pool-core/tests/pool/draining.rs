//! What a shutdown with work left costs: the workers that are there do it, whatever comes back to them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_core::{Backend, Builder, Future, InProcess, SharedMemory, Shutdown, StartError};
use pool_ipc::{Abilities, Hub, IpcChannel, Link, LinkEvent, LinkId, OpenError, StartOrder};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::losses::kill;
use crate::watchdog::Watched;

claims! { on_each_backend:
    a_shutdown_with_work_left_starts_no_worker_in_the_place_of_one_that_is_there,
}

/// Where nothing can be stolen before, so that all of it is left behind.
mod what_a_lost_worker_leaves_behind_goes_to_the_one_that_stayed {
    test_on!(super::what_a_lost_worker_leaves_behind_goes_to_the_one_that_stayed: ipc_channel);
}

/// A backend that counts the workers that it starts.
#[derive(Debug)]
struct Counting {
    backend: Arc<dyn Backend>,
    started: Arc<AtomicUsize>,
}

struct CountingHub {
    hub: Arc<dyn Hub>,
    started: Arc<AtomicUsize>,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn abilities(&self) -> Abilities {
        self.backend.abilities()
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        Ok(Arc::new(CountingHub { hub: self.backend.open()?, started: Arc::clone(&self.started) }))
    }
}

impl fmt::Debug for CountingHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingHub").field("hub", &self.hub).field("started", &self.started).finish()
    }
}

impl Hub for CountingHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.hub.start(id, order)
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        self.hub.wait(deadline, events);
    }

    fn wake(&self) {
        self.hub.wake();
    }
}

/// The backend of a builder.
fn backend_of(builder: &Builder) -> Arc<dyn Backend> {
    match format!("{builder:?}") {
        text if text.contains("InProcess") => Arc::new(InProcess::new()),
        text if text.contains("IpcChannel") => Arc::new(IpcChannel::new()),
        _ => Arc::new(SharedMemory::new()),
    }
}

/// A pool, and how many workers it has started.
fn counted(builder: Builder, max_workers: usize) -> (Watched, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let counting = Counting { backend: backend_of(&builder), started: Arc::clone(&started) };
    (pool(builder.backend(counting), max_workers), started)
}

/// Short tasks, which are posted many at a time, and now and then one that takes long: what was posted behind that comes
/// back.
fn work(number: u32) -> u32 {
    if number % 40 == 7 {
        std::thread::sleep(Duration::from_millis(15));
    }
    number
}

fn a_shutdown_with_work_left_starts_no_worker_in_the_place_of_one_that_is_there(builder: Builder) {
    const WORKERS: usize = 4;
    let (pool, started) = counted(builder, WORKERS);
    let futures: Vec<Future<u32>> = (0..800).map(|number| pool.submit(work, (number,)).unwrap()).collect();
    pool.shutdown();
    assert!((0..).zip(&futures).all(|(number, future)| future.result().unwrap() == number));
    let started = started.load(Ordering::SeqCst);
    assert!(started <= WORKERS, "{started} workers have lived");
}

/// The first one stops.
fn stop_at_first(gate: String, item: u32) -> u32 {
    if item == 0 { stop_at(gate, item) } else { item }
}

fn what_a_lost_worker_leaves_behind_goes_to_the_one_that_stayed(builder: Builder) {
    let gate = Gate::new();
    let (pool, started) = counted(builder, 2);
    let inputs: Vec<(String, u32)> = (0..8).map(|item| (gate.name(), item)).collect();
    let (names, items): (Vec<String>, Vec<u32>) = inputs.into_iter().unzip();
    let results = pool.batch().chunksize(8).map(stop_at_first, (names, items)).unwrap();
    let held = gate.next();
    let done = pool.submit(u32::pow, (2, 8)).unwrap();
    assert_eq!(done.result().unwrap(), 256);
    pool.shutdown_with(Shutdown::new().no_wait());
    // A callback runs after all that the manager was told before it.
    let (send, receive) = std::sync::mpsc::channel();
    done.add_done_callback(move |_| send.send(()).unwrap());
    receive.recv().unwrap();
    kill(held.pid);
    let results: Vec<_> = results.collect();
    assert!(results[0].is_err());
    assert!((1..).zip(&results[1..]).all(|(item, result)| *result.as_ref().unwrap() == item));
    pool.shutdown();
    assert_eq!(started.load(Ordering::SeqCst), 2);
}
