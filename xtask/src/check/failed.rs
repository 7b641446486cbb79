//! Which tests failed, short enough for a row of the table and for the last line of a log.
//!
//! Keeps true: how many failed is always told, also where their names were not found or are too many to show.

/// The most names that are shown.
const SHOWN: usize = 10;

/// `2 of 1395: a::b, c`.
pub(super) fn summary(names: &[String], failed: usize, tests: usize) -> String {
    let mut text = format!("{failed} of {tests}");
    let shown = &names[..names.len().min(SHOWN)];
    let more = failed.saturating_sub(shown.len());
    match (shown.is_empty(), more) {
        (true, _) => {}
        (false, 0) => text.push_str(&format!(": {}", shown.join(", "))),
        (false, more) => text.push_str(&format!(": {}, and {more} more", shown.join(", "))),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("t{number}")).collect()
    }

    #[test]
    fn failed_tests_are_named() {
        assert_eq!(summary(&names(2), 2, 1395), "2 of 1395: t1, t2");
    }

    #[test]
    fn ten_are_named_and_the_others_counted() {
        let text = summary(&names(12), 12, 20);
        assert_eq!(text, "12 of 20: t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, and 2 more");
    }

    #[test]
    fn those_whose_names_were_not_found_are_counted() {
        assert_eq!(summary(&names(1), 3, 20), "3 of 20: t1, and 2 more");
        assert_eq!(summary(&[], 3, 20), "3 of 20");
    }
}
