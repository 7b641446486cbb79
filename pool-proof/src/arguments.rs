//! Options of the form `--name NUMBER`; a number may have `_` between its digits.

use std::time::UNIX_EPOCH;

/// The number behind each of the names, where it was given.
///
/// # Errors
/// What is wrong with the arguments.
pub(crate) fn numbers<const N: usize>(words: &[String], names: [&str; N]) -> Result<[Option<u64>; N], String> {
    let mut numbers = [None; N];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let position = names.iter().position(|name| word.strip_prefix("--") == Some(name));
        let position = position.ok_or_else(|| format!("there is no option `{word}`"))?;
        let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
        numbers[position] =
            Some(value.replace('_', "").parse().map_err(|_| format!("{word} takes a number, not `{value}`"))?);
    }
    Ok(numbers)
}

/// A seed that no run had before.
pub(crate) fn seed_from_clock() -> u64 {
    let nanoseconds = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
    u64::try_from(nanoseconds % 1_000_000_000_000).expect("it is below 2^64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<[Option<u64>; 2], String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        numbers(&words, ["seconds", "seed"])
    }

    #[test]
    fn options_may_come_in_any_order_or_not_at_all() {
        assert_eq!(parse(""), Ok([None, None]));
        assert_eq!(parse("--seed 7 --seconds 3_000"), Ok([Some(3000), Some(7)]));
    }

    #[test]
    fn wrong_calls_are_told() {
        assert_eq!(parse("--sed 7").unwrap_err(), "there is no option `--sed`");
        assert_eq!(parse("seed 7").unwrap_err(), "there is no option `seed`");
        assert_eq!(parse("--seed").unwrap_err(), "--seed needs a number");
        assert_eq!(parse("--seed x").unwrap_err(), "--seed takes a number, not `x`");
    }
}
