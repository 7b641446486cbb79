//! What a test's name says: the numbers that it proves, and the backend that it ran on.
//!
//! A segment of the test's path begins with `a023_`, `b06_`, `c01_`, `d04_` or several of them, or with `contract_03_`; another
//! segment may be a backend. Keeps true: a name that only looks alike (`b2_tree`, `abc_d`) carries no number.

use std::fmt;

/// Part of the list of behaviours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What CPython's tests check.
    A,
    /// What CPython lacks.
    B,
    /// The rows of the crash table.
    C,
    /// What attacks brought up.
    D,
}

/// A behaviour's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    /// The part that it belongs to.
    pub(super) part: Part,
    /// The number within the part.
    pub(super) value: u16,
}

/// What one test proves.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim<'name> {
    /// The behaviours.
    pub(super) numbers: Vec<Number>,
    /// The rules of the backend contract.
    pub(super) rules: Vec<u16>,
    /// The backend, if the name tells one.
    pub(super) backend: Option<&'name str>,
    /// The test only proves that the backend declares itself unable.
    pub(super) unable: bool,
}

/// The segment of a test that holds a backend to what it says that it cannot do.
const UNABLE: &str = "declares_that_it_cannot";

/// Reads a test's path.
pub(super) fn claim<'name>(path: &'name str, backends: &[&str]) -> Claim<'name> {
    let mut claim = Claim { numbers: Vec::new(), rules: Vec::new(), backend: None, unable: false };
    for segment in path.split("::") {
        if backends.contains(&segment) {
            claim.backend = Some(segment);
        } else if segment == UNABLE {
            claim.unable = true;
        } else if let Some((rule, _)) = segment.strip_prefix("contract_").and_then(|rest| digits(rest, 2)) {
            claim.rules.push(rule);
        } else {
            numbers(segment, &mut claim.numbers);
        }
    }
    claim
}

/// The numbers at the head of a segment.
fn numbers(mut segment: &str, numbers: &mut Vec<Number>) {
    while let Some((number, rest)) = first_number(segment) {
        numbers.push(number);
        segment = rest;
    }
}

fn first_number(segment: &str) -> Option<(Number, &str)> {
    [("a", Part::A, 3), ("b", Part::B, 2), ("c", Part::C, 2), ("d", Part::D, 2)].into_iter().find_map(
        |(prefix, part, length)| {
            let (value, rest) = digits(segment.strip_prefix(prefix)?, length)?;
            Some((Number { part, value }, rest))
        },
    )
}

/// A number of exactly that many digits with an underscore behind it, and what follows.
fn digits(text: &str, length: usize) -> Option<(u16, &str)> {
    let (number, rest) = text.split_once('_')?;
    let all_digits = number.len() == length && number.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| number.parse().ok()).flatten().map(|value| (value, rest))
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}{}", self.part, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> (Vec<String>, Vec<u16>, Option<&str>) {
        let claim = claim(path, &["shared_memory", "in_process"]);
        (claim.numbers.iter().map(ToString::to_string).collect(), claim.rules, claim.backend)
    }

    #[test]
    fn numbers_are_read_from_any_segment() {
        assert_eq!(read("tests::a023_a_callback_panics"), (vec!["A23".into()], vec![], None));
        assert_eq!(read("b06_x"), (vec!["B6".into()], vec![], None));
        assert_eq!(read("c01_x::in_process"), (vec!["C1".into()], vec![], Some("in_process")));
        assert_eq!(read("a034_a035_d11_a_task_waits"), (vec!["A34".into(), "A35".into(), "D11".into()], vec![], None));
        assert_eq!(read("a023_x::shared_memory"), (vec!["A23".into()], vec![], Some("shared_memory")));
        assert_eq!(read("in_process::d04_x"), (vec!["D4".into()], vec![], Some("in_process")));
    }

    #[test]
    fn rules_of_the_contract_are_read() {
        assert_eq!(read("contract_03_frames_arrive::in_process"), (vec![], vec![3], Some("in_process")));
    }

    #[test]
    fn declared_inability_is_told_apart() {
        assert!(claim("contract_05_x::in_process::declares_that_it_cannot", &["in_process"]).unable);
        assert!(!claim("contract_05_x::in_process", &["in_process"]).unable);
    }

    #[test]
    fn names_that_only_look_alike_carry_no_number() {
        for path in ["b2_tree", "a23_x", "abc_d", "a0234_x", "x_a023_y", "a023", "contract_x", "contract_3_x"] {
            assert_eq!(read(path), (vec![], vec![], None), "{path}");
        }
    }
}
