//! What an attempt of a simulated task comes to by itself, and the retries that its caller asks for.
//!
//! Keeps true: what is allowed is said here once more, so that the pool's own counting is not believed.

use std::time::Duration;

use pool_ipc::{Body, Terms};

use crate::future::{Retry, RetryPolicy};
use crate::simulation::random::Random;
use crate::simulation::request::UNWANTED;
use crate::simulation::sabotage::Sabotage;

/// What an attempt comes to that is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The task's value.
    Value,
    /// A value that the policy may mind.
    Unwanted,
    Panic,
}

/// When a task is to be run again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) attempts: u32,
    pub(super) worker_died: bool,
    pub(super) timed_out: bool,
    pub(super) panicked: bool,
    pub(super) unwanted: bool,
    pub(super) poison_limit: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Policy {
    pub(super) fn new(random: &mut Random) -> Self {
        let (first, longest) = random.pick(&[(0, 0), (1, 5), (20, 1_000)]);
        Self {
            attempts: random.pick(&[2, 3, 6]),
            worker_died: !random.one_in(4),
            timed_out: random.one_in(2),
            panicked: !random.one_in(4),
            unwanted: random.one_in(2),
            poison_limit: random.pick(&[3, 3, 1, 9]),
            first_pause: Duration::from_millis(first),
            longest_pause: Duration::from_millis(longest),
        }
    }

    /// The pool's part of it.
    pub(super) fn retry(
        self,
        task: u64,
        payload: &Body,
        terms: Option<&Terms>,
        put_in: Option<Sabotage>,
    ) -> Box<Retry> {
        let more = u32::from(put_in == Some(Sabotage::OneAttemptTooMany));
        let (first, longest) = match put_in {
            Some(Sabotage::PauseIsSkipped) => (Duration::ZERO, Duration::ZERO),
            _ => (self.first_pause, self.longest_pause),
        };
        let policy = RetryPolicy::new(self.attempts + more)
            .on_worker_died(self.worker_died)
            .on_timeout(self.timed_out)
            .on_panic(self.panicked)
            .poison_limit(self.poison_limit)
            .backoff(first, longest);
        let policy = if self.unwanted { policy.on_value(|value: &u64| *value == UNWANTED) } else { policy };
        Retry::new(policy, payload.clone(), terms).seeded(task)
    }

    /// The least time between an attempt, counted from 1, that failed and the next one.
    pub(super) fn least_pause(self, attempt: u32) -> Duration {
        let doubled = self.first_pause * 2_u32.pow(attempt - 1);
        doubled.min(self.longest_pause) / 2
    }

    /// Whether an attempt that came to this may be followed by another one. A worker that was stopped for a time limit looks
    /// like one that died.
    pub(super) fn minds(self, published: Option<Fate>, has_timeout: bool) -> bool {
        match published {
            Some(Fate::Value) => false,
            Some(Fate::Unwanted) => self.unwanted,
            Some(Fate::Panic) => self.panicked,
            None => self.worker_died || self.timed_out && has_timeout,
        }
    }
}
