//! Frames that wait for their next attempt.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pool_ipc::{Frame, Owner};

use crate::error::TaskError;
use crate::future::{Encoded, Judged};
use crate::manager::Manager;
use crate::manager::completing::Unannounced;
use crate::manager::event::Event;
use crate::manager::work::Work;

/// Frames of one item each, by the time at which they are to be posted again.
#[derive(Default)]
pub(crate) struct Delayed {
    by_time: BTreeMap<(Instant, u64), Frame>,
    count: u64,
}

impl Delayed {
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|(&(at, _), _)| at)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    fn add(&mut self, at: Instant, frame: Frame) {
        self.count += 1;
        self.by_time.insert((at, self.count), frame);
    }

    fn pop_due(&mut self, now: Instant) -> Option<Frame> {
        let is_due = self.next().is_some_and(|at| at <= now);
        if is_due { self.by_time.pop_first().map(|(_, frame)| frame) } else { None }
    }

    /// Drops those whose items have an outcome. Whether there were any.
    fn purge(&mut self) -> bool {
        let before = self.by_time.len();
        self.by_time.retain(|_, frame| !Work::of(&frame.owner).has(frame.window.start));
        self.by_time.len() < before
    }

    pub(crate) fn take_all(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.by_time).into_values().collect()
    }
}

impl Manager {
    /// Something is over that a pool which drains may have waited for as its last.
    pub(super) fn end_if_due(&mut self, now: Instant) {
        if self.state.awaits_its_end() && !self.abandoned {
            self.decide(Event::Submitted, now);
        }
    }

    /// Brings an outcome to its future, which is still to be announced, or has the item run again.
    pub(super) fn conclude(
        &mut self,
        owner: Owner,
        item: u32,
        outcome: Result<Encoded, TaskError>,
        now: Instant,
    ) -> Option<Unannounced> {
        let work = Work::of(&owner);
        let judged = match self.takes_retries() {
            true => work.judge(item, outcome),
            false => Judged::Final(outcome.map_err(|error| work.last_error(item, error))),
        };
        match judged {
            Judged::Final(outcome) => {
                self.count(&work, item, &outcome);
                self.callbacks.extend(work.complete_quietly(item, outcome));
                Some(Unannounced::new(owner))
            }
            Judged::Again { payload, terms, pause } => {
                let window = item..item + 1;
                work.unpost(&window);
                let rank = self.pool.backlog.next_rank();
                let frame = Frame { owner, payload, window, terms: Some(terms), rank };
                // A pause beyond the clock is one without end.
                let at = now.checked_add(pause).unwrap_or(now + Duration::from_secs(u64::from(u32::MAX)));
                self.delayed.add(at, frame);
                None
            }
        }
    }

    /// Whether what failed may be run again: nothing is, once all that waits is doomed.
    fn takes_retries(&self) -> bool {
        !self.abandoned && self.doom.is_none() && self.state.broken().is_none()
    }

    /// How many items are to be run again, at most: an outcome that is not brought yet may be such a one, too.
    pub(super) fn to_be_tried_again(&self) -> usize {
        self.delayed.len() + if self.takes_retries() { self.completions.len() } else { 0 }
    }

    /// Something that waits here may have been cancelled, and a pool that drains may have waited for nothing else.
    pub(super) fn forget_withdrawn(&mut self, now: Instant) {
        if self.delayed.purge() {
            self.decide(Event::Submitted, now);
        }
    }

    /// Gives those back whose pause is over.
    pub(super) fn resume(&mut self, now: Instant) {
        while let Some(frame) = self.delayed.pop_due(now) {
            self.pool.backlog.give_back(vec![frame]);
        }
    }
}
