//! Many calls of one function that travel together, each with an outcome of its own.
//!
//! Keeps true: each item is resolved once; who waits for an item is woken when that item is resolved; cancelling takes
//! back what nobody has begun and nothing else. Never decodes, and never knows which items come next.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Instant;

use pool_ipc::{Link, Refused, Ticket};

use crate::error::TaskError;
use crate::future::{Desk, Encoded, Posting};
use crate::sync::plain::{Condvar, Mutex};

/// Where a frame was posted, so that it can be taken back.
pub(crate) type Posted = (Arc<dyn Link>, Ticket);

/// The outcome of one item.
pub(crate) type ItemOutcome = Result<Encoded, TaskError>;

/// A batch, shared by the pool and the one who reads its outcomes.
pub(crate) struct Batch {
    task: &'static str,
    desk: Weak<dyn Desk>,
    state: Mutex<State>,
    /// Notified whenever an item is resolved.
    resolved: Condvar,
}

struct State {
    /// By item; taken out by the reader.
    outcomes: Vec<Item>,
    /// Where its frames are or were. A frame may be split several times.
    posted: Vec<Posted>,
    /// So many of them are kept before those are let go whose links hold nothing, lest links that ended live on here.
    most_posted: usize,
    cancelled: bool,
}

enum Item {
    Pending,
    Resolved(ItemOutcome),
    Taken,
}

/// Why an item has no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotYet {
    TooLate,
    WouldDeadlock,
    /// It comes to the process that this one was forked from.
    Forked,
}

/// How many links a batch may know that hold nothing of it.
const FEW: usize = 16;

impl State {
    fn note(&mut self, posted: Posted) {
        if self.posted.len() >= self.most_posted {
            self.posted.retain(|(link, _)| link.outstanding() > 0);
            self.most_posted = 2 * self.posted.len() + FEW;
        }
        self.posted.push(posted);
    }
}

impl Batch {
    pub(crate) fn new(task: &'static str, desk: Weak<dyn Desk>, items: u32) -> Arc<Self> {
        let outcomes = std::iter::repeat_with(|| Item::Pending).take(items as usize).collect();
        let state = State { outcomes, posted: Vec::new(), most_posted: FEW, cancelled: false };
        Arc::new(Self { task, desk, state: Mutex::new(state), resolved: Condvar::new() })
    }

    pub(crate) fn task(&self) -> &'static str {
        self.task
    }

    /// Posts a frame unless the batch is cancelled; then its items are resolved as such.
    pub(crate) fn post_with(
        &self,
        window: Range<u32>,
        post: impl FnOnce() -> Result<Posted, Refused>,
    ) -> Posting<Refused> {
        let mut state = self.state.lock();
        if state.cancelled {
            drop(state);
            window.for_each(|item| self.complete(item, Err(TaskError::Cancelled)));
            return Posting::Cancelled;
        }
        match post() {
            Ok(posted) => {
                state.note(posted);
                Posting::Posted
            }
            Err(refused) => Posting::Refused(refused),
        }
    }

    /// Brings the outcome of an item. A second one is dropped.
    pub(crate) fn complete(&self, item: u32, outcome: ItemOutcome) {
        let mut state = self.state.lock();
        match state.outcomes.get_mut(item as usize) {
            Some(pending @ Item::Pending) => *pending = Item::Resolved(outcome),
            _ => log::debug!("item {item} of a batch of task {} was resolved again", self.task),
        }
        drop(state);
        self.resolved.notify_all();
    }

    /// Takes the outcome of an item, once it is there.
    pub(crate) fn take(&self, item: u32, deadline: Option<Instant>) -> Result<ItemOutcome, NotYet> {
        let mut state = self.state.lock();
        loop {
            let slot = &mut state.outcomes[item as usize];
            match std::mem::replace(slot, Item::Taken) {
                Item::Resolved(outcome) => return Ok(outcome),
                Item::Taken => return Ok(Err(TaskError::Taken)),
                Item::Pending => *slot = Item::Pending,
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(NotYet::TooLate);
            }
            if let Some(desk) = self.desk.upgrade() {
                if desk.is_current_thread() {
                    return Err(NotYet::WouldDeadlock);
                }
                if desk.is_foreign() {
                    return Err(NotYet::Forked);
                }
            }
            match deadline {
                None => self.resolved.wait(&mut state),
                // Whether it is too late is asked above.
                Some(deadline) => drop(self.resolved.wait_until(&mut state, deadline)),
            }
        }
    }

    /// Takes back what nobody has begun.
    pub(crate) fn cancel(&self) {
        let desk = self.desk.upgrade();
        if desk.as_ref().is_some_and(|desk| desk.is_foreign()) {
            return;
        }
        let mut state = self.state.lock();
        state.cancelled = true;
        let mut recalled = Vec::new();
        for (link, ticket) in std::mem::take(&mut state.posted) {
            recalled.extend(link.recall(ticket).map(|frame| (link.id(), frame)));
        }
        drop(state);
        for (link, frame) in recalled {
            frame.window.clone().for_each(|item| self.complete(item, Err(TaskError::Cancelled)));
            if let Some(desk) = &desk {
                desk.recalled(link, frame);
            }
        }
    }
}
