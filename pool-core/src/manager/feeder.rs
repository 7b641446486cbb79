//! The feeder thread (`QueueFeederThread`): carries frames from the backlog to links, and starts workers.
//!
//! It does what may take a while (starting a process, copying a large payload), so that outcomes never wait for it. Keeps
//! true: every order is reported back; a frame that it cannot post is given back or failed, never dropped. Decides nothing.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pool_ipc::{Link, LinkId, RefusedWhy, StartError};

use crate::error::{Broken, StartFailure, TaskError, refused};
use crate::future::{Posting, panic_text};
use crate::manager::backlog::Popped;
use crate::manager::event::Event;
use crate::manager::orders::Order;
use crate::manager::pool::{Pool, has_timeout};
use crate::manager::work::Work;

/// Does what the manager ordered.
pub(crate) fn obey(pool: &Pool, order: Order) {
    match order {
        Order::Start(id) => start(pool, id),
        Order::Feed { link, frames } => feed(pool, &link, frames),
    }
}

fn start(pool: &Pool, id: LinkId) {
    // A backend is a value that anybody may have written; what it throws is its answer.
    let started = catch_unwind(AssertUnwindSafe(|| pool.recruit(id))).unwrap_or_else(|payload| {
        let source = std::io::Error::other(format!("the backend panicked: {}", panic_text(&*payload)));
        Err(StartError { doing: "starting a worker", path: None, source })
    });
    let event = match started {
        Ok(link) => {
            log::debug!("worker {} was started", link.pid());
            pool.enlist(link);
            Event::Started(id)
        }
        Err(error) => Event::StartFailed(id, StartFailure::System(error)),
    };
    pool.tell(event);
}

fn feed(pool: &Pool, link: &Arc<dyn Link>, frames: usize) {
    let (mut limited, mut several) = (false, false);
    // What the link has already may be later than anything that came back.
    let mut last = if link.outstanding() == 0 { 0 } else { u64::MAX };
    for left in (0..frames).rev() {
        let mut frame = match pool.backlog.pop_behind(last) {
            Popped::Frame(frame) => frame,
            Popped::Overdue => {
                pool.backlog.unreserve(left + 1);
                break;
            }
            Popped::Nothing => break,
        };
        last = last.max(frame.rank);
        let room = u32::try_from(link.room()).unwrap_or(u32::MAX);
        if 0 < room && room < frame.items() {
            // It may not run them all. The rest is for another one.
            pool.backlog.give_back(vec![frame.split_off(room)]);
        }
        limited |= has_timeout(&frame);
        several |= frame.items() > 1;
        let (work, window) = (Work::of(&frame.owner), frame.window.clone());
        let posting = catch_unwind(AssertUnwindSafe(|| work.post(frame, link)));
        match posting {
            Ok(Posting::Posted | Posting::Cancelled) => pool.backlog.settle(),
            Ok(Posting::Refused(refusal)) if matches!(refusal.why, RefusedWhy::Full | RefusedWhy::Closed) => {
                // What was reserved goes back, too: it is somebody else's now.
                pool.backlog.unpop(refusal.frame);
                pool.backlog.unreserve(left);
                break;
            }
            Ok(Posting::Refused(refusal)) => {
                let error = refused(work.task(), &refusal.why);
                fail(pool, &work, window, &error);
            }
            Err(payload) => {
                let (thread, message) = ("QueueFeederThread".to_owned(), panic_text(&*payload).to_owned());
                let error = TaskError::Broken(Arc::new(Broken::Internal { thread, message }));
                log::error!("posting a frame: {error}");
                fail(pool, &work, window, &error);
            }
        }
    }
    pool.tell(Event::Fed(link.id()));
    if several {
        pool.tell(Event::Burdened(link.id()));
    }
    if limited {
        pool.tell(Event::Limited(link.id()));
    }
}

fn fail(pool: &Pool, work: &Work, window: Range<u32>, error: &TaskError) {
    pool.run_callbacks(work.fail(window, error));
    pool.backlog.settle();
}
