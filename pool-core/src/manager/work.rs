//! What a frame is for: the future of a single call, or the calls of a batch.
//!
//! Frames carry their owner without knowing it; here it is told which of the two it is, and both are posted, taken back
//! and completed alike.

use std::ops::Range;
use std::sync::Arc;

use pool_ipc::{Frame, Link, Owner, Refused};

use crate::error::TaskError;
use crate::future::{Callback, Encoded, Judged, Posting, Recall, Retry, Shared};
use crate::manager::batch::Batch;

/// Whose frame it is.
pub(crate) enum Work<'a> {
    Single(&'a Shared),
    Batch(&'a Batch),
}

impl<'a> Work<'a> {
    /// The owner of a frame of this crate, which is no pack.
    pub(crate) fn of(owner: &'a Owner) -> Self {
        match owner.downcast_ref() {
            Some(shared) => Self::Single(shared),
            None => Self::Batch(owner.downcast_ref().expect("all frames are made for a future or a batch")),
        }
    }

    /// The task's name.
    pub(crate) fn task(&self) -> &'static str {
        match self {
            Self::Single(shared) => shared.task(),
            Self::Batch(batch) => batch.task(),
        }
    }

    /// Posts the frame unless it was cancelled.
    pub(crate) fn post(&self, frame: Frame, link: &Arc<dyn Link>) -> Posting<Refused> {
        let window = frame.window.clone();
        let post = || link.post(frame).map(|ticket| (Arc::clone(link), ticket));
        match self {
            Self::Single(shared) => shared.post_with(post),
            Self::Batch(batch) => batch.post_with(window, post),
        }
    }

    /// The pool has a frame of this window back.
    pub(crate) fn unpost(&self, window: &Range<u32>) {
        match self {
            Self::Single(shared) => shared.unpost(),
            Self::Batch(batch) => batch.unpost(window),
        }
    }

    /// Ends what nobody has begun with this error. Gives the callbacks, which are the caller's to run, and what was taken
    /// back for that.
    #[must_use]
    pub(crate) fn withdraw(&self, error: &TaskError) -> (Vec<Callback>, Vec<Recall>) {
        match self {
            Self::Single(shared) => {
                let (callbacks, recalled) = shared.withdraw(error);
                (callbacks, recalled.into_iter().collect())
            }
            Self::Batch(batch) => (Vec::new(), batch.withdraw(error)),
        }
    }

    /// Whether everything has its outcome.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Single(shared) => shared.is_done(),
            Self::Batch(batch) => batch.is_done(),
        }
    }

    /// Whether an item has its outcome.
    pub(crate) fn has(&self, item: u32) -> bool {
        match self {
            Self::Single(shared) => shared.is_done(),
            Self::Batch(batch) => batch.has(item),
        }
    }

    /// Whether several items are told of as one.
    pub(crate) fn is_batch(&self) -> bool {
        matches!(self, Self::Batch(_))
    }

    /// What is to become of the outcome of an execution.
    pub(crate) fn judge(&self, item: u32, outcome: Result<Encoded, TaskError>) -> Judged {
        match self.retry() {
            None => Judged::Final(outcome),
            Some(retry) if self.is_withdrawn() => Judged::Final(retry.conclude(self.task(), item, outcome)),
            Some(retry) => retry.judge(self.task(), item, outcome),
        }
    }

    /// The error of an execution that is the last, whatever there is to say of it.
    pub(crate) fn last_error(&self, item: u32, error: TaskError) -> TaskError {
        match self.retry() {
            None => error,
            Some(retry) => retry.last_error(self.task(), item, error),
        }
    }

    /// Whether nothing of it is to begin any more.
    fn is_withdrawn(&self) -> bool {
        match self {
            Self::Single(shared) => shared.is_withdrawn(),
            Self::Batch(batch) => batch.is_withdrawn(),
        }
    }

    fn retry(&self) -> Option<&Retry> {
        match self {
            Self::Single(shared) => shared.retry(),
            Self::Batch(batch) => batch.retry(),
        }
    }

    /// Brings the outcome of an item. The callbacks are the caller's to run.
    #[must_use]
    pub(crate) fn complete(&self, item: u32, outcome: Result<Encoded, TaskError>) -> Vec<Callback> {
        match self {
            Self::Single(shared) => shared.complete(outcome),
            Self::Batch(batch) => {
                batch.complete(item, outcome);
                Vec::new()
            }
        }
    }

    /// The same, but that those are not woken who wait for a future: [`wake_waiters`](Self::wake_waiters) does.
    #[must_use]
    pub(crate) fn complete_quietly(&self, item: u32, outcome: Result<Encoded, TaskError>) -> Vec<Callback> {
        match self {
            Self::Single(shared) => shared.complete_quietly(outcome),
            Self::Batch(_) => self.complete(item, outcome),
        }
    }

    /// Wakes who waits for a future that is done.
    pub(crate) fn wake_waiters(&self) {
        match self {
            Self::Single(shared) => shared.wake_waiters(),
            Self::Batch(_) => {}
        }
    }

    /// Brings the same error to all items of a window.
    #[must_use]
    pub(crate) fn fail(&self, window: Range<u32>, error: &TaskError) -> Vec<Callback> {
        window.flat_map(|item| self.complete(item, Err(error.clone()))).collect()
    }
}
