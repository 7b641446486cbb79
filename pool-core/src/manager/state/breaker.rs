//! When starting further workers makes no sense any more, as their likes end without doing anything.
//!
//! Keeps true:
//! 1. Only losses count that no task is blamed for: workers that end before their hello, or that end while they run nothing.
//!    A task that crashes its worker has an error of its own, however many there are of that kind. What the pool ends itself
//!    does not count either.
//! 2. Workers that end side by side, none of them started after the end of another, count as one.
//! 3. A few that do not even say hello, in a row, are enough. Of all losses, some more are: so many within such a time,
//!    without one finished task between.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pool_ipc::{ExitCause, LinkId};

use crate::error::{Loss, LossTime};

/// How much may go wrong with workers that have not said hello, in a row and where no other worker is there: three that
/// end by themselves, one that does not answer in time, or many that somebody kills, which says little about the next.
const EARLY_DEATHS: u32 = 21;
const ENDED_EARLY: u32 = 7;
const KILLED_EARLY: u32 = 1;

/// The signals by which somebody else ends a worker: SIGKILL and SIGTERM.
const FOREIGN_SIGNALS: [i32; 2] = [9, 15];

/// How many losses there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RestartLimit {
    pub(crate) losses: usize,
    pub(crate) within: Duration,
}

impl RestartLimit {
    /// Far above what chance does, and far below a storm: a process is started in a few milliseconds.
    pub(crate) const DEFAULT: Self = Self { losses: 50, within: Duration::from_secs(10) };
}

/// What went wrong lately.
#[derive(Debug)]
pub(super) struct Breaker {
    limit: RestartLimit,
    /// The weight of the workers that ended before they said hello, since the last that did.
    early: u32,
    /// Links numbered below this were started before the last loss that was counted.
    counted_below: u64,
    /// The losses since the last finished task, oldest first; one more than are allowed at most.
    losses: VecDeque<(Instant, Loss)>,
}

impl Breaker {
    pub(super) fn new(limit: RestartLimit) -> Self {
        Self { limit, early: 0, counted_below: 0, losses: VecDeque::new() }
    }

    /// A worker said hello.
    pub(super) fn heard_hello(&mut self) {
        self.early = 0;
    }

    /// A task was finished.
    pub(super) fn saw_success(&mut self) {
        self.losses.clear();
    }

    /// A worker ended that no task is blamed for. `next` is the link that the next worker will have.
    pub(super) fn note(&mut self, link: LinkId, next: u64, loss: Loss, now: Instant) {
        if link.0 < self.counted_below {
            return;
        }
        self.counted_below = next;
        let weight = match (loss.time, loss.cause) {
            (LossTime::Idle, _) => 0,
            (LossTime::TooLate, _) => EARLY_DEATHS,
            (_, ExitCause::Signal(signal)) if FOREIGN_SIGNALS.contains(&signal) => KILLED_EARLY,
            _ => ENDED_EARLY,
        };
        self.early = self.early.saturating_add(weight);
        self.losses.push_back((now, loss));
        if self.losses.len() > self.limit.losses.saturating_add(1) {
            self.losses.pop_front();
        }
    }

    /// Workers do not even come up.
    pub(super) fn is_hopeless(&self) -> bool {
        self.early >= EARLY_DEATHS
    }

    /// Until when nobody is to be started, if there were too many losses.
    pub(super) fn closed_until(&self) -> Option<Instant> {
        let (first, _) = self.losses.front().filter(|_| self.losses.len() > self.limit.losses)?;
        let (last, _) = self.losses.back()?;
        first.checked_add(self.limit.within).filter(|end| end >= last)
    }

    /// Whether that is so now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.closed_until().is_none_or(|end| end < now)
    }

    /// The losses that were too many.
    pub(super) fn causes(&self) -> Vec<Loss> {
        self.losses.iter().map(|(_, loss)| loss.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
