//! Reads the lines that the rows print, and shows them as one table a backend.

use super::super::catalogue::{BACKENDS, ENTRIES};
use super::super::names::{self, Part};
use crate::libtest::{Outcome, TestResult};

/// What opens a row's line, which may stand behind the test's name.
const LINE: &str = "crash-table | ";

/// The whole table.
pub(super) struct Table {
    rows: Vec<Row>,
    /// What a test should have shown and did not.
    missing: Vec<String>,
    /// Tests that failed.
    failed: Vec<String>,
}

/// A row on one backend.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) backend: String,
    pub(super) cells: Cells,
}

/// How a row came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cells {
    /// Each column's name and result, and the median of the times from the event to the future.
    Played { columns: Vec<(String, String)>, median_us: Option<u64> },
    /// The backend cannot have it, for this reason.
    NotApplicable(String),
}

impl Table {
    /// Reads a test run's output and results.
    pub(super) fn new(output: &str, results: &[TestResult]) -> Self {
        let lines = output.lines().filter_map(|line| line.split_once(LINE));
        let rows: Vec<Row> = lines.filter_map(|(_, line)| row(line)).collect();
        let failed = results.iter().filter(|result| result.outcome != Outcome::Passed);
        let failed = failed.map(|result| result.name.clone()).collect();
        Self { missing: missing(&rows, results), rows, failed }
    }

    /// The table of each backend, the rows in the order of their numbers, and what is to be said of single cells.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for backend in BACKENDS {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.backend == backend).collect();
            let header = rows.iter().find_map(|row| row.columns());
            let titles: Vec<&str> = header.into_iter().flatten().map(|(column, _)| column.as_str()).collect();
            text.push_str(&line(backend, titles.iter().copied(), "median"));
            rows.iter().for_each(|row| text.push_str(&row.text()));
            text.push('\n');
        }
        let remarks = self.remarks();
        text.push_str(&remarks);
        self.failed.iter().for_each(|test| text.push_str(&format!("FAILED: {test}\n")));
        self.missing.iter().for_each(|what| text.push_str(&format!("MISSING: {what}\n")));
        text
    }

    /// One line that counts the cells.
    pub(super) fn summary(&self) -> String {
        let cells = self.rows.iter().filter_map(Row::columns).flatten();
        let (good, bad): (Vec<_>, Vec<_>) = cells.partition(|(_, result)| result.starts_with("ok"));
        let remarked = good.iter().filter(|(_, result)| result != "ok").count();
        let unable = self.rows.iter().filter(|row| row.columns().is_none()).count();
        format!(
            "crash table: {} cells ok ({remarked} with a remark), {} failed, {} tests failed, {} missing, {unable} rows \
             not applicable",
            good.len(),
            bad.len(),
            self.failed.len(),
            self.missing.len(),
        )
    }

    /// Whether all of it is there, and good.
    pub(super) fn good(&self) -> bool {
        self.failed.is_empty() && self.missing.is_empty() && !self.rows.is_empty() && self.rows.iter().all(Row::good)
    }

    /// The rows of a backend.
    pub(super) fn rows_of<'table>(&'table self, backend: &str) -> impl Iterator<Item = &'table Row> {
        let backend = backend.to_owned();
        self.rows.iter().filter(move |row| row.backend == backend)
    }

    fn remarks(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for (column, result) in row.columns().into_iter().flatten() {
                if let Some(remark) = result.strip_prefix("ok, ") {
                    text.push_str(&format!("* {}, {column}, on {}: {remark}\n", row.name, row.backend));
                }
            }
        }
        text
    }
}

impl Row {
    /// Whether every cell is good, or there can be none.
    pub(super) fn good(&self) -> bool {
        self.columns().is_none_or(|columns| columns.iter().all(|(_, result)| result.starts_with("ok")))
    }

    fn columns(&self) -> Option<&[(String, String)]> {
        match &self.cells {
            Cells::Played { columns, .. } => Some(columns),
            Cells::NotApplicable(_) => None,
        }
    }

    fn text(&self) -> String {
        match &self.cells {
            Cells::NotApplicable(reason) => format!("{:<46}n/a: {reason}\n", self.name),
            Cells::Played { columns, median_us } => {
                let words = columns.iter().map(|(_, result)| if result.starts_with("ok,") { "ok *" } else { result });
                line(&self.name, words, &in_ms(*median_us))
            }
        }
    }
}

/// A time as the table shows it.
pub(super) fn in_ms(us: Option<u64>) -> String {
    us.map_or("-".to_owned(), |us| format!("{}.{:02} ms", us / 1000, us % 1000 / 10))
}

fn line<'a>(name: &str, words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: String = words.map(|word| format!("{word:<16}")).collect();
    format!("{name:<46}{words}{last}\n")
}

/// Reads `NAME | BACKEND | n/a: WHY`, or `NAME | BACKEND | COLUMN: RESULT | ... | median: 12 us`.
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split(" | ").map(str::trim);
    let (name, backend) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let mut columns: Vec<(String, String)> = fields
        .map(|field| field.split_once(": ").map(|(column, result)| (column.to_owned(), result.to_owned())))
        .collect::<Option<_>>()?;
    let (last, result) = columns.pop()?;
    let cells = match last.as_str() {
        "n/a" => Cells::NotApplicable(result),
        "median" => {
            let median_us = result.strip_suffix(" us").and_then(|number| number.parse().ok());
            Cells::Played { columns, median_us }
        }
        _ => return None,
    };
    Some(Row { name, backend, cells })
}

/// Numbers without a test on some backend, tests without a line, and lines that lack a column.
fn missing(rows: &[Row], results: &[TestResult]) -> Vec<String> {
    let mut missing = Vec::new();
    let claims: Vec<_> = results.iter().map(|result| names::claim(&result.name, &BACKENDS)).collect();
    for entry in ENTRIES.iter().filter(|entry| entry.number.part == Part::C) {
        for backend in BACKENDS {
            let tried =
                |claim: &names::Claim<'_>| claim.numbers.contains(&entry.number) && claim.backend == Some(backend);
            if !claims.iter().any(tried) {
                missing.push(format!("{} on {backend}", entry.number));
            }
        }
    }
    if rows.len() != results.len() {
        missing.push(format!("{} tests ran, and {} rows were printed", results.len(), rows.len()));
    }
    let longest = rows.iter().filter_map(Row::columns).map(<[_]>::len).max().unwrap_or(0);
    let short = rows.iter().filter(|row| row.columns().is_some_and(|columns| columns.len() < longest));
    missing.extend(short.map(|row| format!("columns of {} on {}", row.name, row.backend)));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXITS: &str =
        "crash-table | exits | shared_memory | direct: ok | map item: ok, 2 lost with it | median: 1234 us";

    /// A result for each number and backend, so that nothing is missing but lines.
    fn results() -> Vec<TestResult> {
        let entries = ENTRIES.iter().filter(|entry| entry.number.part == Part::C);
        let names =
            entries.flat_map(|entry| BACKENDS.map(|backend| format!("c{:02}_x::{backend}", entry.number.value)));
        names.map(|name| TestResult { name, outcome: Outcome::Passed }).collect()
    }

    /// As many lines as there are results.
    fn output(last: &str) -> String {
        let count = results().len() - 1;
        format!("{}test c01_x ... {last}\nok\n", format!("{EXITS}\n").repeat(count))
    }

    #[test]
    fn a_line_is_read_also_behind_the_name_of_its_test() {
        let table = Table::new(&format!("test a ... {EXITS}\n"), &[]);
        let columns = [("direct", "ok"), ("map item", "ok, 2 lost with it")];
        let columns = columns.map(|(column, result)| (column.to_owned(), result.to_owned())).to_vec();
        assert_eq!(table.rows[0].cells, Cells::Played { columns, median_us: Some(1234) });
        assert!(table.text().contains("1.23 ms"), "{}", table.text());
        assert!(table.text().contains("* exits, map item, on shared_memory: 2 lost with it\n"), "{}", table.text());
    }

    #[test]
    fn a_complete_table_of_good_cells_is_good() {
        let table = Table::new(&output(EXITS), &results());
        assert!(table.good(), "{:?}", table.missing);
        assert!(table.summary().contains("0 failed, 0 tests failed, 0 missing"), "{}", table.summary());
        let declined = output("crash-table | exits | in_process | n/a: a thread");
        assert!(Table::new(&declined, &results()).good());
    }

    #[test]
    fn a_failed_cell_a_failed_test_and_a_missing_row_are_told() {
        let failed = Table::new(&output(&EXITS.replace("direct: ok", "direct: FAILED")), &results());
        assert!(!failed.good());
        let mut bad = results();
        bad[0].outcome = Outcome::Failed;
        assert!(!Table::new(&output(EXITS), &bad).good());
        let fewer = Table::new(&output(EXITS), &results()[1..]);
        assert_eq!(fewer.missing[0], "C1 on shared_memory");
    }

    #[test]
    fn a_line_that_lacks_a_column_is_missing_one() {
        let short = output("crash-table | kills | shared_memory | direct: ok | median: -");
        assert_eq!(Table::new(&short, &results()).missing, ["columns of kills on shared_memory"]);
    }

    #[test]
    fn nothing_is_not_good() {
        assert!(!Table::new("", &[]).good());
    }
}
