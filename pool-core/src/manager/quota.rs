//! A link that takes so many items and no more: what its worker may run in its life.
//!
//! Keeps true: what is posted and not taken back never exceeds the allowance, whoever posts. What a worker gives back by
//! itself counts as run, since it had no room for it, so it may run a little less than it might. Decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pool_ipc::{Frame, Link, LinkEvent, LinkId, Load, Refused, RefusedWhy, Running, Share, Ticket};

/// A link with an allowance.
#[derive(Debug)]
pub(crate) struct Quota {
    link: Arc<dyn Link>,
    left: AtomicUsize,
}

impl Quota {
    pub(crate) fn new(link: Arc<dyn Link>, allowance: u32) -> Self {
        Self { link, left: AtomicUsize::new(allowance as usize) }
    }

    fn give_back(&self, items: usize) {
        self.left.fetch_add(items, Ordering::SeqCst);
    }
}

impl Link for Quota {
    fn id(&self) -> LinkId {
        self.link.id()
    }

    fn pid(&self) -> u32 {
        self.link.pid()
    }

    fn capacity(&self) -> u32 {
        self.link.capacity()
    }

    /// A frame of more items than are left is refused whole, as by a link that is full.
    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        let items = frame.items() as usize;
        let take = |left: usize| left.checked_sub(items);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_err() {
            return Err(Refused { frame, why: RefusedWhy::Full });
        }
        self.link.post(frame).inspect_err(|_| self.give_back(items))
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        self.link.recall(ticket).inspect(|frame| self.give_back(frame.items() as usize))
    }

    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        let frames = self.link.recall_tail(share);
        self.give_back(frames.iter().map(|frame| frame.items() as usize).sum());
        frames
    }

    fn unclaimed(&self) -> usize {
        self.link.unclaimed()
    }

    fn room(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.link.is_running(ticket, item)
    }

    fn running(&self) -> Option<Running> {
        self.link.running()
    }

    fn load(&self) -> Load {
        Load { room: self.room(), ..self.link.load() }
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.link.shortest_timeout()
    }

    fn resident(&self) -> Option<u64> {
        self.link.resident()
    }

    fn cancel(&self, ticket: Ticket) {
        self.link.cancel(ticket);
    }

    fn outstanding(&self) -> usize {
        self.link.outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        self.link.collect(events);
    }

    fn close(&self) {
        self.link.close();
    }

    fn signal(&self, signal: i32, group: bool) -> bool {
        self.link.signal(signal, group)
    }
}
