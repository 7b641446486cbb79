//! Calls of one task that follow each other in a frame: each is published and the next one claimed without a way back from
//! the task's own code.
//!
//! Keeps true: an item's outcome is published before the next item is looked at, and what is not an everyday end of a call is
//! left to whoever began the row. Never: has a panic of the pool's own taken for the task's.

use std::ops::Range;

use pool_ipc::{FixedEnd, Job};

use super::{ROOM_KEPT, panics};
use crate::sharing;
use crate::task::{Calls, FixedCalls, TaskId};
use crate::wire::{FIXED_VALUE, RequestReader, mark_shared, write_value};

/// Where a row of calls has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// An item is being answered, or is answered and not published.
    Answering,
    /// The next item is claimed, and not begun: it is not of this task, or no item at all.
    Claimed(u32),
    /// All is published, and there is nothing left to claim.
    Over,
}

/// A row of calls, from its first one on.
pub(super) struct Row<'d> {
    job: &'d mut dyn Job,
    reader: &'d mut RequestReader,
    task: TaskId,
    /// Where the first call's arguments are in the request.
    first: Range<usize>,
    standing: Standing,
}

impl<'d> Row<'d> {
    pub(super) fn new(job: &'d mut dyn Job, reader: &'d mut RequestReader, task: TaskId, first: Range<usize>) -> Self {
        Self { job, reader, task, first, standing: Standing::Answering }
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }
}

impl Calls for Row<'_> {
    fn arguments(&self) -> &[u8] {
        self.job.request().get(self.first.clone()).unwrap_or_default()
    }

    fn fixed_tag(&self) -> Option<u8> {
        self.reader.fixed_items().map(|_| FIXED_VALUE)
    }

    fn go_on_fixed(&mut self, first: &[u8], run: &mut FixedCalls<'_>) {
        let Some(items) = self.reader.fixed_items() else { return };
        if !may_go_on() {
            return;
        }
        let mut pause = panics::Pause::begin();
        let end = self.job.publish_fixed(first, items, &mut |items| pause.interrupt(|| run(items, may_go_on)));
        pause.end();
        self.standing = match end {
            FixedEnd::Answered => Standing::Answering,
            FixedEnd::Claimed(item) => Standing::Claimed(item),
            FixedEnd::Over => Standing::Over,
        };
    }

    fn go_on(&mut self, reply: &mut Vec<u8>) -> Option<&[u8]> {
        if !may_go_on() || reply.capacity() > ROOM_KEPT {
            return None;
        }
        if sharing::is_answer_shared() {
            mark_shared(reply);
        }
        let Some(item) = panics::pause(|| self.job.publish_and_claim(reply)) else {
            self.standing = Standing::Over;
            return None;
        };
        self.standing = Standing::Claimed(item);
        let request = self.job.request();
        match self.reader.find(request, item) {
            Some((task, arguments)) if task == self.task => {
                self.standing = Standing::Answering;
                write_value(reply);
                request.get(arguments)
            }
            _ => None,
        }
    }
}

/// Whether the next call may follow without a look at what else has to happen after this one.
#[inline]
fn may_go_on() -> bool {
    !pool_ipc::is_soft_stop_heeded() && !panics::has_heard()
}
