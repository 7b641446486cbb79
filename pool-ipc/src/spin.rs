//! Looking for a moment before sleeping: a sleeper takes microseconds to wake, and what it waits for may take less.
//!
//! Keeps true: who looks in vain looks less and less often, so that this costs little where it cannot help, as beside
//! other programs that want the processor. Never looks longer than it may.

use std::time::{Duration, Instant};

/// The most that anybody looks at a time.
pub(crate) const MOST: Duration = Duration::from_millis(1);

/// So many looks go by between two glances at the clock.
const LOOKS: u32 = 32;

/// After as many misses in a row no more waits are left out than after the one before: 2^6 - 1.
const MOST_MISSES: u32 = 6;

/// Who looks, and how well that went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spin {
    limit: Duration,
    /// How often in a row it was in vain.
    misses: u32,
    /// How many waits are to sleep at once.
    skip: u32,
}

impl Spin {
    /// One that looks for so long at a time; never, if that is nothing.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit: limit.min(MOST), ..Self::default() }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.limit.is_zero()
    }

    /// Looks until there is something, and says whether there was. Waits that follow upon misses are left out: 1, then 3,
    /// then 7 and so on.
    pub(crate) fn until(&mut self, mut is_there: impl FnMut() -> bool) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let start = Instant::now();
        loop {
            for _ in 0..LOOKS {
                if is_there() {
                    self.misses = 0;
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
            let found = spin.until(|| {
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
        assert!(spin.until(|| true) && spin.misses == 0 && spin.until(|| true));
    }

    #[test]
    fn one_without_a_limit_is_off_and_no_limit_is_longer_than_the_longest() {
        assert!(Spin::new(Duration::ZERO).is_off() && Spin::default().is_off());
        assert_eq!(Spin::new(Duration::MAX).limit, MOST);
    }
}
