//! When a hub looks again at links whose workers do not ring for each item.
//!
//! A worker that runs a frame of short items rings when it leaves the frame, else it would ring all the time. Should an
//! item then take long, the outcomes before it would wait for it. So the hub looks a moment later, and the look of a link
//! that has not moved asks its worker to ring at the next item. A link costs one wake-up for each spell of progress.

use std::time::{Duration, Instant};

use crate::backend::LinkId;

/// How long outcomes of a frame that makes progress may lie there, if it stops to.
const LOOK: Duration = Duration::from_millis(1);

/// What is to be done after a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Next {
    /// The worker rings.
    Ring,
    /// Look soon.
    Look,
}

/// The links to look at, all at the same moment.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    due: Option<Instant>,
    links: Vec<LinkId>,
}

impl Looks {
    pub(crate) fn note(&mut self, link: LinkId, next: Next) {
        if next == Next::Look && !self.links.contains(&link) {
            self.links.push(link);
            self.due.get_or_insert_with(|| Instant::now() + LOOK);
        }
    }

    /// When a wait with this deadline has to end.
    pub(crate) fn bound(&self, deadline: Option<Instant>) -> Option<Instant> {
        self.due.into_iter().chain(deadline).min()
    }

    /// The links that are to be looked at now.
    pub(crate) fn take_due(&mut self) -> Vec<LinkId> {
        if self.due.is_none_or(|due| Instant::now() < due) {
            return Vec::new();
        }
        self.due = None;
        std::mem::take(&mut self.links)
    }
}
