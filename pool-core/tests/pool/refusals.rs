//! Links that refuse a frame though their worker has nothing, as where too many descriptors are under way on the whole
//! machine: played by a backend whose links are full for a while, whatever they hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pool_core::{Backend, Builder, Future, InProcess, IpcChannel, SharedMemory, StartError};
use pool_ipc::{
    Abilities, Frame, Hub, Link, LinkEvent, LinkId, OpenError, Refused, RefusedWhy, Running, Share, StartOrder, Ticket,
};

use crate::backends::pool;

claims! { on_each_backend:
    tasks_that_no_idle_worker_takes_run_later_and_are_not_offered_over_and_over,
}

/// How long links refuse everything, from the first post on.
const REFUSING: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Crowded {
    inner: Arc<dyn Backend>,
    posts: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct CrowdedHub {
    inner: Arc<dyn Hub>,
    posts: Arc<AtomicUsize>,
    until: Arc<OnceLock<Instant>>,
}

#[derive(Debug)]
struct CrowdedLink {
    inner: Arc<dyn Link>,
    posts: Arc<AtomicUsize>,
    until: Arc<OnceLock<Instant>>,
}

impl Backend for Crowded {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn abilities(&self) -> Abilities {
        self.inner.abilities()
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        let posts = Arc::clone(&self.posts);
        Ok(Arc::new(CrowdedHub { inner: self.inner.open()?, posts, until: Arc::default() }))
    }
}

impl Hub for CrowdedHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        let inner = self.inner.start(id, order)?;
        Ok(Arc::new(CrowdedLink { inner, posts: Arc::clone(&self.posts), until: Arc::clone(&self.until) }))
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        self.inner.wait(deadline, events);
    }

    fn wake(&self) {
        self.inner.wake();
    }
}

impl Link for CrowdedLink {
    fn id(&self) -> LinkId {
        self.inner.id()
    }

    fn pid(&self) -> u32 {
        self.inner.pid()
    }

    fn capacity(&self) -> u32 {
        self.inner.capacity()
    }

    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        if Instant::now() < *self.until.get_or_init(|| Instant::now() + REFUSING) {
            self.posts.fetch_add(1, Ordering::SeqCst);
            return Err(Refused { frame, why: RefusedWhy::Full });
        }
        self.inner.post(frame)
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        self.inner.recall(ticket)
    }

    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        self.inner.recall_tail(share)
    }

    fn unclaimed(&self) -> usize {
        self.inner.unclaimed()
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.inner.is_running(ticket, item)
    }

    fn running(&self) -> Option<Running> {
        self.inner.running()
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.inner.shortest_timeout()
    }

    fn cancel(&self, ticket: Ticket) {
        self.inner.cancel(ticket);
    }

    fn outstanding(&self) -> usize {
        self.inner.outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        self.inner.collect(events);
    }

    fn close(&self) {
        self.inner.close();
    }

    fn signal(&self, signal: i32, group: bool) -> bool {
        self.inner.signal(signal, group)
    }
}

fn tasks_that_no_idle_worker_takes_run_later_and_are_not_offered_over_and_over(builder: Builder) {
    let inner: Arc<dyn Backend> = match format!("{builder:?}") {
        text if text.contains("InProcess") => Arc::new(InProcess::new()),
        text if text.contains("IpcChannel") => Arc::new(IpcChannel::new()),
        _ => Arc::new(SharedMemory::new()),
    };
    let posts = Arc::new(AtomicUsize::new(0));
    let pool = pool(builder.backend(Crowded { inner, posts: Arc::clone(&posts) }), 1);
    let futures: Vec<Future<u32>> = (0..3).map(|number| pool.submit(u32::pow, (number, 2)).unwrap()).collect();
    assert!((0..).zip(&futures).all(|(number, future)| future.result().unwrap() == u32::pow(number, 2)));
    // After 1, 2, 4 and so on to 64 milliseconds, and now and then as the worker says something.
    let posts = posts.load(Ordering::SeqCst);
    assert!(posts <= 16, "{posts} posts were refused");
}
