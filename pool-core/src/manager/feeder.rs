//! The feeder thread (`QueueFeederThread`): carries frames from the backlog to links, and starts workers.
//!
//! It does what may take a while (starting a process, copying a large payload), so that outcomes never wait for it. Keeps
//! true: every order is reported back; a frame that it cannot post is given back or failed, never dropped. Decides nothing.

use std::sync::Arc;

use pool_ipc::{Link, LinkId, RefusedWhy};

use crate::error::{StartFailure, refused};
use crate::future::Posting;
use crate::manager::event::Event;
use crate::manager::orders::Order;
use crate::manager::pool::Pool;
use crate::manager::work::Work;

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
