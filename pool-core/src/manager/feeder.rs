//! The feeder thread (`QueueFeederThread`): carries frames from the backlog to links, and starts workers.
//!
//! It does what may take a while (starting a process, copying a large payload), so that outcomes never wait for it. Keeps
//! true: every order is reported back; a frame that it cannot post is given back or failed, never dropped. Decides nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use pool_ipc::{Link, LinkId, RefusedWhy};

use crate::error::{StartFailure, refused};
use crate::future::Posting;
use crate::manager::pool::Pool;
use crate::manager::state::Event;
use crate::manager::work::Work;

/// What the feeder is told to do.
pub(crate) enum Order {
    Start(LinkId),
    /// Post so many frames, which were reserved.
    Feed {
        link: Arc<dyn Link>,
        frames: usize,
    },
}

/// The feeder's orders. Bounded: one for each link, and one for each worker to start.
#[derive(Default)]
pub(crate) struct Orders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    stopped: bool,
}

impl Orders {
    pub(crate) fn give(&self, order: Order) {
        self.state.lock().orders.push_back(order);
        self.changed.notify_one();
    }

    /// Ends the feeder once it has done what it was told.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    fn next(&self) -> Option<Order> {
        let mut state = self.state.lock();
        loop {
            match state.orders.pop_front() {
                Some(order) => return Some(order),
                None if state.stopped => return None,
                None => self.changed.wait(&mut state),
            }
        }
    }
}

/// The feeder thread's whole life.
pub(crate) fn run(pool: &Pool) {
    while let Some(order) = pool.orders.next() {
        match order {
            Order::Start(id) => start(pool, id),
            Order::Feed { link, frames } => feed(pool, &link, frames),
        }
    }
}

fn start(pool: &Pool, id: LinkId) {
    let event = match pool.recruit(id) {
        Ok(link) => {
            pool.enlist(link);
            Event::Started(id)
        }
        Err(error) => Event::StartFailed(id, StartFailure::System(error)),
    };
    pool.tell(event);
}

fn feed(pool: &Pool, link: &Arc<dyn Link>, frames: usize) {
    for left in (0..frames).rev() {
        let Some(frame) = pool.backlog.pop() else { break };
        let work = Work::of(&frame.owner);
        match work.post(frame, link) {
            Posting::Posted | Posting::Cancelled => pool.backlog.settle(),
            Posting::Refused(refusal) if matches!(refusal.why, RefusedWhy::Full | RefusedWhy::Closed) => {
                // What was reserved goes back, too: it is somebody else's now.
                pool.backlog.unpop(refusal.frame);
                pool.backlog.unreserve(left);
                break;
            }
            Posting::Refused(refusal) => {
                let error = refused(work.task(), &refusal.why);
                pool.run_callbacks(work.fail(refusal.frame.window, &error));
                pool.backlog.settle();
            }
        }
    }
    pool.tell(Event::Fed(link.id()));
}
