//! Joins what tests printed with what is promised.
//!
//! Keeps true: each behaviour gets at least one row; several tests of one behaviour on one backend are one row, which is
//! only good if all of them are.

use std::collections::BTreeMap;

use super::catalogue::{BACKENDS, CONTRACT, ENTRIES, Entry, RANGES};
use super::names::{self, Number};
use crate::libtest::{Outcome, TestResult};

/// The whole report.
pub(super) struct Report {
    rows: Vec<Row>,
    /// Tests whose number is in no catalogue.
    strays: Vec<String>,
}

/// One line: a behaviour on a backend.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    number: String,
    name: String,
    backend: String,
    verdict: Verdict,
}

/// What a row came to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// That many tests passed.
    Proved(usize),
    /// These tests failed.
    Failed(Vec<String>),
    /// The backend declares that it cannot do it.
    NotApplicable(String),
    /// No test, and a reason.
    NotCovered(&'static str),
    /// No test and no reason.
    Missing,
}

/// What the tests of one behaviour on one backend came to.
#[derive(Default, Clone)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    declined: Option<String>,
}

/// Tallies by behaviour and backend; a test that names no backend counts under "-".
type Tallies<Key> = BTreeMap<Key, BTreeMap<String, Tally>>;

impl Report {
    /// Joins the results with the catalogue.
    pub(super) fn new(results: &[TestResult]) -> Self {
        Self::with_catalogue(results, ENTRIES, &CONTRACT)
    }

    fn with_catalogue(results: &[TestResult], entries: &[Entry], contract: &[&str]) -> Self {
        let (mut numbers, mut rules, mut strays) = (Tallies::new(), Tallies::new(), Vec::new());
        for result in results {
            let claim = names::claim(&result.name, &BACKENDS);
            let backend = claim.backend.unwrap_or("-");
            for number in claim.numbers {
                if entries.iter().any(|entry| entry.number == number) {
                    tally(&mut numbers, number, backend, result, claim.unable);
                } else {
                    strays.push(format!("{} carries the unknown number {number}", result.name));
                }
            }
            for rule in claim.rules {
                match usize::from(rule).checked_sub(1).filter(|index| *index < contract.len()) {
                    Some(index) => tally(&mut rules, index, backend, result, claim.unable),
                    None => strays.push(format!("{} carries the unknown rule {rule}", result.name)),
                }
            }
        }
        let mut rows = contract_rows(contract, &rules);
        rows.extend(entries.iter().flat_map(|entry| entry_rows(entry, &numbers)));
        Self { rows, strays }
    }

    /// The rows, the ranges left for later, and the tests that failed or are nobody's.
    pub(super) fn table(&self) -> String {
        let mut text = line("number", "name", "backend", "result");
        for row in &self.rows {
            text.push_str(&line(&row.number, &row.name, &row.backend, &row.verdict.text()));
        }
        for (numbers, name, reason) in RANGES {
            text.push_str(&line(numbers, name, "-", &format!("not covered: {reason}")));
        }
        text.push('\n');
        for row in &self.rows {
            if let Verdict::Failed(tests) = &row.verdict {
                text.push_str(&tests.iter().map(|test| format!("{} FAILED: {test}\n", row.number)).collect::<String>());
            }
        }
        for stray in &self.strays {
            text.push_str(&format!("{stray}\n"));
        }
        text
    }

    /// One line that counts the behaviours, not the rows.
    pub(super) fn summary(&self) -> String {
        let with = |wanted: fn(&Verdict) -> bool| {
            let mut numbers: Vec<&str> =
                self.rows.iter().filter(|row| wanted(&row.verdict)).map(|row| row.number.as_str()).collect();
            numbers.dedup();
            numbers.len()
        };
        format!(
            "conformance: {} proved, {} failed, {} missing, {} not covered for a reason, {} strays",
            with(|verdict| matches!(verdict, Verdict::Proved(_))),
            with(|verdict| matches!(verdict, Verdict::Failed(_))),
            with(|verdict| matches!(verdict, Verdict::Missing)),
            with(|verdict| matches!(verdict, Verdict::NotCovered(_))),
            self.strays.len(),
        )
    }

    /// Whether nothing failed, is missing or is nobody's.
    pub(super) fn good(&self) -> bool {
        let bad = |row: &Row| matches!(row.verdict, Verdict::Failed(_) | Verdict::Missing);
        self.strays.is_empty() && !self.rows.iter().any(bad)
    }
}

fn tally<Key: Ord>(tallies: &mut Tallies<Key>, key: Key, backend: &str, result: &TestResult, unable: bool) {
    let tally = tallies.entry(key).or_default().entry(backend.to_owned()).or_default();
    match &result.outcome {
        Outcome::Passed if unable => tally.declined = Some("it declares that it cannot".to_owned()),
        Outcome::Passed => tally.passed += 1,
        Outcome::Failed => tally.failed.push(result.name.clone()),
        Outcome::Ignored(reason) => tally.declined = Some(reason.clone()),
    }
}

/// Every rule on every backend: here a missing backend is a missing proof.
fn contract_rows(contract: &[&str], tallies: &Tallies<usize>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, rule) in contract.iter().enumerate() {
        for backend in BACKENDS {
            let tally = tallies.get(&index).and_then(|backends| backends.get(backend));
            let verdict = tally.map_or(Verdict::Missing, Tally::verdict);
            rows.push(Row {
                number: format!("contract {}", index + 1),
                name: (*rule).to_owned(),
                backend: backend.to_owned(),
                verdict,
            });
        }
    }
    rows
}

/// A row for each backend that the behaviour was tried on; one that says why if it was not tried, or proved nowhere.
fn entry_rows(entry: &Entry, tallies: &Tallies<Number>) -> Vec<Row> {
    let row = |backend: &str, verdict| Row {
        number: entry.number.to_string(),
        name: entry.name.to_owned(),
        backend: backend.to_owned(),
        verdict,
    };
    let mut rows: Vec<Row> = tallies
        .get(&entry.number)
        .into_iter()
        .flatten()
        .map(|(backend, tally)| row(backend, tally.verdict()))
        .collect();
    if rows.iter().all(|row| matches!(row.verdict, Verdict::NotApplicable(_))) {
        rows.push(row("-", entry.reason.map_or(Verdict::Missing, Verdict::NotCovered)));
    }
    rows
}

impl Tally {
    fn verdict(&self) -> Verdict {
        match (&self.declined, self.passed) {
            _ if !self.failed.is_empty() => Verdict::Failed(self.failed.clone()),
            (Some(reason), 0) => Verdict::NotApplicable(reason.clone()),
            (_, passed) => Verdict::Proved(passed),
        }
    }
}

impl Verdict {
    fn text(&self) -> String {
        match self {
            Self::Proved(1) => "ok".to_owned(),
            Self::Proved(count) => format!("ok ({count} tests)"),
            Self::Failed(tests) => format!("FAILED ({} tests)", tests.len()),
            Self::NotApplicable(reason) => format!("n/a: {reason}"),
            Self::NotCovered(reason) => format!("not covered: {reason}"),
            Self::Missing => "MISSING".to_owned(),
        }
    }
}

fn line(number: &str, name: &str, backend: &str, result: &str) -> String {
    format!("{number:<12}{name:<62}{backend:<15}{result}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::names::Part;

    fn result(name: &str, outcome: Outcome) -> TestResult {
        TestResult { name: name.to_owned(), outcome }
    }

    fn entry(value: u16, reason: Option<&'static str>) -> Entry {
        Entry { number: Number { part: Part::A, value }, name: "test_x", reason }
    }

    fn report(results: &[TestResult], reason: Option<&'static str>) -> Report {
        Report::with_catalogue(results, &[entry(1, reason)], &[])
    }

    fn verdicts(report: &Report) -> Vec<String> {
        report.rows.iter().map(|row| format!("{} {}", row.backend, row.verdict.text())).collect()
    }

    #[test]
    fn a_behaviour_without_a_test_is_missing_unless_there_is_a_reason() {
        let missing = report(&[], None);
        assert_eq!((verdicts(&missing), missing.good()), (vec!["- MISSING".to_owned()], false));
        let excused = report(&[], Some("later"));
        assert_eq!((verdicts(&excused), excused.good()), (vec!["- not covered: later".to_owned()], true));
    }

    #[test]
    fn one_failing_test_among_several_fails_its_row_and_the_report() {
        let results = [
            result("a001_x::in_process", Outcome::Passed),
            result("a001_y::in_process", Outcome::Failed),
            result("a001_x::shared_memory", Outcome::Passed),
        ];
        let report = report(&results, Some("later"));
        assert_eq!(verdicts(&report), ["in_process FAILED (1 tests)", "shared_memory ok"]);
        assert!(!report.good());
        assert!(report.table().contains("A1 FAILED: a001_y::in_process\n"));
    }

    #[test]
    fn a_number_that_nobody_knows_is_told_and_fails() {
        let report = report(&[result("a001_x", Outcome::Passed), result("a002_x", Outcome::Passed)], None);
        assert!(!report.good());
        assert!(report.table().contains("a002_x carries the unknown number A2\n"));
        let ruled = Report::with_catalogue(&[result("contract_00_x::in_process", Outcome::Passed)], &[], &[]);
        assert!(!ruled.good());
    }

    #[test]
    fn a_behaviour_that_every_backend_declines_is_not_proved() {
        let declined = Outcome::Ignored("threads cannot be killed".to_owned());
        let report = report(&[result("a001_x::in_process", declined)], None);
        assert_eq!(verdicts(&report), ["in_process n/a: threads cannot be killed", "- MISSING"]);
    }

    #[test]
    fn a_rule_of_the_contract_is_proved_on_every_backend_or_missing() {
        let results = [
            result("contract_01_x::in_process", Outcome::Passed),
            result("contract_01_y::in_process", Outcome::Passed),
            result("contract_01_x::shared_memory", Outcome::Ignored("no".to_owned())),
        ];
        let report = Report::with_catalogue(&results, &[], &["the rule"]);
        assert_eq!(verdicts(&report), ["shared_memory n/a: no", "ipc_channel MISSING", "in_process ok (2 tests)"]);
        assert!(!report.good());
    }

    #[test]
    fn the_summary_counts_behaviours_and_not_rows() {
        let results = [result("a001_x::in_process", Outcome::Passed), result("a001_x::shared_memory", Outcome::Passed)];
        let expected = "conformance: 1 proved, 0 failed, 0 missing, 0 not covered for a reason, 0 strays";
        assert_eq!(report(&results, None).summary(), expected);
    }
}
