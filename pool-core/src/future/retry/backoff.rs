//! Pauses between attempts: they double, and half of each is random.
//!
//! "Equal jitter" of Marc Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015. The numbers are those of
//! Sebastiano Vigna's splitmix64, from a seed, so that a simulation can repeat them.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(10), most: Duration::from_secs(1) }
    }
}

impl Backoff {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// The pause after the attempt of this number, from 0.
    pub(super) fn pause(self, attempt: u32, seed: u64) -> Duration {
        let doubled = 2u32.checked_pow(attempt).and_then(|times| self.first.checked_mul(times));
        let whole = doubled.unwrap_or(self.most).min(self.most);
        let half = whole / 2;
        let share = (splitmix(seed.wrapping_add(u64::from(attempt))) >> 40) as f64 / f64::from(1 << 24);
        half + half.mul_f64(share)
    }
}

fn splitmix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pause_is_between_half_and_all_of_what_doubles_up_to_the_most(
            first in 0u64..10_000, most in 0u64..100_000, attempt: u32, seed: u64,
        ) {
            let (first, most) = (Duration::from_millis(first), Duration::from_millis(most));
            let pause = Backoff::new(first, most).pause(attempt, seed);
            let doubled = if attempt < 30 { first * 2u32.pow(attempt) } else { Duration::MAX };
            let whole = if first.is_zero() { Duration::ZERO.min(most) } else { doubled.min(most) };
            prop_assert!(pause <= doubled.min(most) && pause >= whole / 2 - Duration::from_nanos(u64::from(!whole.is_zero())));
        }
    }

    #[test]
    fn pauses_of_different_tasks_differ() {
        let backoff = Backoff::default();
        let pauses: std::collections::HashSet<_> = (0..100).map(|seed| backoff.pause(3, seed)).collect();
        assert!(pauses.len() > 90);
    }
}
