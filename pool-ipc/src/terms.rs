//! On which terms the items of a frame are run: which attempt it is, and how long it may take.
//!
//! Links carry terms and enforce none of them: whoever posts looks at what runs ([`Link::running`](crate::Link::running))
//! and stops it. The far end can be asked for them while it runs an item ([`Assignment`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backend::Ticket;
use crate::clock;
use crate::frame::Owner;

/// The terms of a frame. A frame without any costs nothing for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How often the items were run before.
    pub attempt: u32,
    /// How long each item may run, from its claim on.
    pub timeout: Option<Duration>,
    /// When the items are to be over.
    pub deadline: Option<Instant>,
}

impl Terms {
    /// Whether it matters when an item begins.
    pub(crate) fn is_timed(&self) -> bool {
        self.timeout.is_some() || self.deadline.is_some()
    }
}

/// The item that a worker runs.
#[derive(Clone)]
pub struct Running {
    /// Its frame.
    pub ticket: Ticket,
    /// The frame's owner.
    pub owner: Owner,
    /// Which item of it.
    pub item: u32,
    /// The frame's terms.
    pub terms: Option<Arc<Terms>>,
    /// When the worker claimed it: told by the worker where the frame has a time limit, and believed as far as it can be
    /// true.
    pub since: Option<Instant>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ticket, item, terms, since, .. } = self;
        f.debug_struct("Running")
            .field("ticket", ticket)
            .field("item", item)
            .field("terms", terms)
            .field("since", since)
            .finish_non_exhaustive()
    }
}

/// What a far end knows of the item that it runs. May be asked by any thread, at any time.
pub trait Assignment: Send + Sync {
    /// How often the item was run before. 0 if no item runs.
    fn attempt(&self) -> u32;

    /// When the item will be stopped, if it has a limit.
    fn stops_at(&self) -> Option<Instant>;

    /// Whether the parent wants the item to end.
    fn is_cancelled(&self) -> bool;
}

/// An assignment of a far end that tells nothing.
pub(crate) struct Untold;

impl Assignment for Untold {
    fn attempt(&self) -> u32 {
        0
    }

    fn stops_at(&self) -> Option<Instant> {
        None
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Terms as they travel: three numbers, 0 where nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) attempt: u32,
    pub(crate) timeout: u64,
    pub(crate) deadline: u64,
}

impl Written {
    pub(crate) fn of(terms: Option<&Terms>) -> Self {
        let Some(terms) = terms else { return Self::default() };
        let timeout = terms.timeout.map_or(0, |timeout| clock::nanoseconds(timeout).max(1));
        Self { attempt: terms.attempt, timeout, deadline: terms.deadline.map_or(0, clock::ticks_of) }
    }

    /// Whether it matters when an item begins.
    #[cfg_attr(not(all(target_os = "linux", not(pool_portable))), expect(dead_code, reason = "channels ask"))]
    pub(crate) fn is_timed(self) -> bool {
        self.timeout != 0 || self.deadline != 0
    }

    /// When an item that began at these ticks is stopped.
    pub(crate) fn stops_at(self, begun: u64) -> Option<Instant> {
        let by_timeout = (self.timeout != 0).then(|| begun.saturating_add(self.timeout));
        let by_deadline = (self.deadline != 0).then_some(self.deadline);
        by_timeout.into_iter().chain(by_deadline).min().and_then(clock::moment_of)
    }
}

/// When an item began, by what its worker wrote: not before its frame was posted, and not after it was first seen.
pub(crate) fn believed(told: u64, posted: Instant, seen: Instant) -> Instant {
    clock::moment_of(told).unwrap_or(seen).clamp(posted.min(seen), seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_believed_as_far_as_it_can_be_true() {
        let (posted, seen) = (Instant::now(), Instant::now() + Duration::from_secs(10));
        for lie in [0, 1, u64::MAX] {
            let begun = believed(lie, posted, seen);
            assert!(posted <= begun && begun <= seen, "{lie}");
        }
    }

    #[test]
    fn what_is_not_set_is_no_limit() {
        assert!(!Written::of(None).is_timed());
        assert!(!Written::of(Some(&Terms { attempt: 3, ..Terms::default() })).is_timed());
        let timed = Written::of(Some(&Terms { timeout: Some(Duration::ZERO), ..Terms::default() }));
        assert!(timed.is_timed(), "a limit of nothing is a limit");
        assert_eq!(Written::default().stops_at(5), None);
    }
}
