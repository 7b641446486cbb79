//! What `simulate` is asked for.

pub(crate) const USAGE: &str = "\
usage: cargo xtask simulate [--seeds N] [--from K] [--jobs J]
       cargo xtask simulate --seed S

Runs the seeds K..K+N (0..10000 by default) on J threads (one a core), and replays the first that breaks a promise.
With --seed, runs that one and tells all that happens in it.";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    Help,
    One { seed: u64 },
    Many { from: u64, seeds: u64, jobs: usize },
}

impl Arguments {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut seed, mut from, mut seeds) = (None, 0, 10_000);
        let mut jobs = std::thread::available_parallelism().map_or(1, usize::from);
        while let Some(name) = arguments.next() {
            if name == "--help" || name == "-h" {
                return Ok(Self::Help);
            }
            let value = arguments.next().ok_or(format!("{name} is to have a value"))?;
            let number: u64 = value.replace('_', "").parse().map_err(|_| format!("{value} is no number"))?;
            match name.as_str() {
                "--seed" => seed = Some(number),
                "--seeds" => seeds = number,
                "--from" => from = number,
                "--jobs" if number > 0 => jobs = usize::try_from(number).unwrap_or(usize::MAX),
                _ => return Err(format!("there is no {name} {value}")),
            }
        }
        from.checked_add(seeds).ok_or("there are not so many seeds")?;
        Ok(seed.map_or(Self::Many { from, seeds, jobs }, |seed| Self::One { seed }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Arguments, String> {
        Arguments::parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn seeds_are_a_range_or_a_single_one() {
        assert_eq!(parse("--seeds 5 --from 7 --jobs 2"), Ok(Arguments::Many { from: 7, seeds: 5, jobs: 2 }));
        assert_eq!(parse("--seed 1_000"), Ok(Arguments::One { seed: 1000 }));
        assert_eq!(parse("--help"), Ok(Arguments::Help));
    }

    #[test]
    fn wrong_calls_are_told() {
        for words in ["--seeds", "--seeds x", "--jobs 0", "--depth 3", "--from 18446744073709551615"] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
