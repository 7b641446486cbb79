//! Numbers that follow from a seed: splitmix64.
//!
//! Keeps true: the same seed gives the same numbers, on every machine.

use std::time::Duration;

/// A stream of numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each pair.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xd129_0cd1_2b5f_71e5));
        mixed.next();
        mixed
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A position in something of this length, which is not 0.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a usize")
    }

    /// Whether this one of `n` equally likely cases is it.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// The position of one of several, each of which has a share in the whole.
    pub(crate) fn position<T>(&mut self, shares: &[(T, u64)]) -> usize {
        let mut number = self.below(shares.iter().map(|(_, share)| share).sum());
        for (position, (_, share)) in shares.iter().enumerate() {
            match number.checked_sub(*share) {
                Some(left) => number = left,
                None => return position,
            }
        }
        unreachable!("the number is below the sum of the shares")
    }

    /// Some duration below `limit`, which is not 0.
    pub(crate) fn duration(&mut self, limit: Duration) -> Duration {
        Duration::from_nanos(self.below(u64::try_from(limit.as_nanos()).expect("limits here are seconds")))
    }

    /// The time until the next of events that come by chance, on average once in `mean`.
    pub(crate) fn gap(&mut self, mean: Duration) -> Duration {
        // In (0, 1], of which the logarithm is finite.
        let share = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        mean.mul_f64(-share.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_which_numbers_come() {
        let numbers = |seed, stream| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next()]
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }

    #[test]
    fn each_of_several_comes_by_its_share() {
        let mut random = Random::new(7, 0);
        let mut counts = [0; 3];
        (0..10_000).for_each(|_| counts[random.position(&[('a', 1), ('b', 0), ('c', 3)])] += 1);
        assert!(counts[1] == 0 && (2300..2700).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn gaps_have_the_mean_that_was_asked_for() {
        let mut random = Random::new(7, 0);
        let sum: Duration = (0..10_000).map(|_| random.gap(Duration::from_millis(20))).sum();
        let mean = sum / 10_000;
        assert!(mean > Duration::from_millis(19) && mean < Duration::from_millis(21), "{mean:?}");
    }
}
