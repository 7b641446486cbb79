//! Looking for a moment before sleeping: a sleeper takes microseconds to wake, and what it waits for may take less.
//!
//! Keeps true: who looks in vain looks less and less often, so that this costs little where it cannot help; who looked and
//! had to leave the processor to others, again and again, leaves it to them for as long as it has gained by looking, so that
//! they keep most of it and nobody is later than by sleeping. Never looks longer than it may.

use std::time::{Duration, Instant};

use crate::preemption::was_preempted;

/// The most that anybody looks at a time.
pub(crate) const MOST: Duration = Duration::from_millis(1);

/// So many looks go by between two glances at the clock.
const LOOKS: u32 = 32;

/// After as many misses in a row no more waits are left out than after the one before: 2^6 - 1.
const MOST_MISSES: u32 = 6;

/// Between the beginnings of two looks there is less, unless a task takes long, nobody waits for anything, or others have the
/// processor meanwhile.
const GAP: Duration = Duration::from_micros(200);

/// Who was preempted twice within this time has others beside it who want the processor.
const CROWDED: Duration = Duration::from_millis(250);

/// What a look that finds something surely spares where there are such others: to wake a sleeper takes three times as long there.
const SPARED: Duration = Duration::from_micros(20);

/// The longest that anybody leaves the processor to others at a time.
const LONGEST_NAP: Duration = Duration::from_millis(5);

/// Who looks, and how well that went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spin {
    limit: Duration,
    /// How often in a row it was in vain.
    misses: u32,
    /// How many waits are to sleep at once.
    skip: u32,
    /// What was gained by looking and not given to others yet, up to the longest nap.
    gained: Duration,
    /// When the last look began.
    last: Option<Instant>,
    preempted_at: Option<Instant>,
    /// Until when others are taken to want the processor.
    crowded_until: Option<Instant>,
}

/// What somebody is to do who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Waiting {
    /// Look from this moment on, by [`Spin::until`].
    Look(Instant),
    /// Do nothing for so long, whatever there is, and then ask again.
    Nap(Duration),
    /// Sleep until there is something.
    Sleep,
}

impl Spin {
    /// One that looks for so long at a time; never, if that is nothing.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit: limit.min(MOST), ..Self::default() }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.limit.is_zero()
    }

    /// What to do in this wait. Those that follow upon misses are slept through: 1, then 3, then 7 and so on.
    pub(crate) fn begin(&mut self) -> Waiting {
        if self.skip > 0 {
            self.skip -= 1;
            return Waiting::Sleep;
        }
        let now = Instant::now();
        self.nap(now, was_preempted).map_or(Waiting::Look(now), Waiting::Nap)
    }

    /// How long to leave the processor to others, if they want it: after each time that they had to take it, and whenever so much
    /// was gained that it makes the longest nap. The kernel is asked only where there was time for others, which between
    /// looks that find something there is not.
    fn nap(&mut self, now: Instant, was_preempted: impl FnOnce() -> bool) -> Option<Duration> {
        let last = self.last.replace(now).unwrap_or(now);
        let was_preempted = now.saturating_duration_since(last) >= GAP && was_preempted();
        if was_preempted {
            let before = self.preempted_at.replace(now);
            let is_crowded = before.is_some_and(|before| now.saturating_duration_since(before) < CROWDED);
            self.crowded_until = is_crowded.then(|| now + CROWDED);
        }
        let is_crowded = self.crowded_until.is_some_and(|until| now < until);
        let is_due = (was_preempted && self.gained >= GAP) || self.gained >= LONGEST_NAP;
        (is_crowded && is_due).then(|| std::mem::take(&mut self.gained))
    }

    /// Looks until there is something, and says whether there was.
    pub(crate) fn until(&mut self, start: Instant, mut is_there: impl FnMut() -> bool) -> bool {
        loop {
            for _ in 0..LOOKS {
                if is_there() {
                    self.misses = 0;
                    self.gained = LONGEST_NAP.min(self.gained + SPARED);
                    return true;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() >= self.limit {
                self.misses = (self.misses + 1).min(MOST_MISSES);
                self.skip = (1 << self.misses) - 1;
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_follow_upon_misses_are_left_out_until_one_is_a_hit() {
        let mut spin = Spin::new(Duration::from_nanos(1));
        let mut looked = || {
            let mut looks = 0;
            let Waiting::Look(start) = spin.begin() else { return false };
            let found = spin.until(start, || {
                looks += 1;
                false
            });
            assert!(!found);
            looks > 0
        };
        let pattern: Vec<bool> = (0..13).map(|_| looked()).collect();
        let looks: Vec<usize> = (0..13).filter(|&wait| pattern[wait]).collect();
        assert_eq!(looks, [0, 2, 6]);
        let mut spin = Spin { misses: 5, ..spin };
        spin.skip = 0;
        for _ in 0..2 {
            let Waiting::Look(start) = spin.begin() else { panic!("the last was a hit") };
            assert!(spin.until(start, || true) && spin.misses == 0);
        }
    }

    /// One that has found something so often by looking.
    fn lucky(hits: u32) -> Spin {
        let mut spin = Spin::new(MOST);
        for _ in 0..hits {
            assert!(spin.until(Instant::now(), || true));
        }
        spin
    }

    #[test]
    fn who_is_preempted_again_and_again_gives_others_what_it_gained_and_no_more() {
        let (mut spin, start) = (lucky(100), Instant::now());
        let mut nap = |ms: u64, preempted: bool| spin.nap(start + Duration::from_millis(ms), || preempted);
        assert_eq!((nap(0, true), nap(9, true)), (None, None), "once may be by chance");
        assert_eq!((nap(18, true), nap(27, true)), (Some(100 * SPARED), None));
        let mut spin = lucky(1_000_000);
        spin.preempted_at = Some(start);
        assert_eq!(spin.nap(start, || true), None, "no time has gone by since the last look");
        assert_eq!(spin.nap(start + GAP, || true), Some(LONGEST_NAP));
    }

    #[test]
    fn who_is_seldom_preempted_gives_nothing_away() {
        let (mut spin, start) = (lucky(1000), Instant::now());
        assert!((0..100).all(|time| spin.nap(start + CROWDED * time, || true).is_none()));
        assert!((0..1000).all(|time| spin.nap(start + CROWDED * 100 + GAP * time, || false).is_none()));
    }

    #[test]
    fn looks_that_follow_each_other_closely_do_not_ask_the_kernel() {
        let (mut spin, start) = (lucky(1000), Instant::now());
        for looks in 0..1000 {
            let now = start + (GAP - Duration::from_nanos(1)) * looks;
            assert!(spin.nap(now, || unreachable!("nobody had time")).is_none());
        }
    }

    #[test]
    fn one_without_a_limit_is_off_and_no_limit_is_longer_than_the_longest() {
        assert!(Spin::new(Duration::ZERO).is_off() && Spin::default().is_off());
        assert_eq!(Spin::new(Duration::MAX).limit, MOST);
    }
}
