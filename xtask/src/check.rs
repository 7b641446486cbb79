//! `cargo xtask check`: everything that must hold before a change is handed over.
//!
//! Keeps true: every step runs, also after one that failed; the exit code is 1 if any did. What a step does is in
//! `steps`; here is only the order, the clock and the table at the end.

mod binaries;
mod failed;
mod leaks;
mod long;
mod nextest;
mod steps;

use std::time::{Duration, Instant};

use crate::print;
use crate::task::{Task, TaskError};
use steps::{Length, STEPS, Verdict};

pub(crate) const TASK: Task = Task {
    name: "check",
    usage: "\
usage: cargo xtask check [--long]

Runs, one after the other, and ends with a table:
  fmt       formatting is as rustfmt.toml says
  clippy    no warning, in any target of any crate
  docs      the documentation builds without a warning
  tidy      the project's own rules: order of modules, arrows between crates, ...
  loom      the models of the word and wake-up protocols, of futures, and of the
            hand-over of the manager's turns
  portable  the crates compile as for a platform without our system calls
  test      cargo xtask test
  leaks     one process a test, and its stdout is closed right after its exit
            (by cargo-nextest where that is installed)
  long      only with --long: all that a worker sends is fuzzed for a minute a
            target, workers run wild for ten seconds, and eight threads play at
            random for a minute on each backend
--long also lets the models and the properties search further, and checks for
leaks both ways; that takes more than a quarter of an hour. Exit code 1 if a
step failed; the last line says which, and names the first ten failed tests.",
    options: None,
    perform,
};

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    let length = match arguments {
        [] => Length::Usual,
        [flag] if flag == "--long" => Length::Long,
        _ => return Err(TaskError::WrongCall(format!("check does not take `{}`", arguments.join(" ")))),
    };
    let rows: Vec<Row> = STEPS
        .iter()
        .map(|step| {
            print::out(&format!("== {}\n", step.name));
            let start = Instant::now();
            let verdict = (step.perform)(length).unwrap_or_else(|error| Verdict::Failed(message(error)));
            let row = Row { name: step.name, took: start.elapsed(), verdict };
            print::out(&format!("-- {}\n\n", row.text()));
            row
        })
        .collect();
    print::out(&table(&rows));
    Ok(u8::from(!failures(&rows).is_empty()))
}

struct Row {
    name: &'static str,
    took: Duration,
    verdict: Verdict,
}

impl Row {
    fn text(&self) -> String {
        let verdict = match &self.verdict {
            Verdict::Good(note) if note.is_empty() => "ok".to_owned(),
            Verdict::Good(note) => format!("ok, {note}"),
            Verdict::Failed(reason) => format!("FAILED: {reason}"),
        };
        format!("{:<10}{:>7.1} s  {verdict}", self.name, self.took.as_secs_f64())
    }
}

fn table(rows: &[Row]) -> String {
    let mut text: String = String::from("== summary\n");
    for row in rows {
        text.push_str(&format!("{}\n", row.text()));
    }
    let failures = failures(rows);
    text.push_str(&format!("{} steps, {} failed", rows.len(), failures.len()));
    if !failures.is_empty() {
        text.push_str(&format!(": {}", failures.join(", ")));
    }
    text + "\n"
}

/// The failed steps with their reasons, which belong into the last line: often only the end of a log is seen.
fn failures(rows: &[Row]) -> Vec<String> {
    let failure = |row: &Row| match &row.verdict {
        Verdict::Good(_) => None,
        Verdict::Failed(reason) => Some(format!("{} ({reason})", row.name)),
    };
    rows.iter().filter_map(failure).collect()
}

fn message(error: TaskError) -> String {
    match error {
        TaskError::WrongCall(message) | TaskError::Failed(message) => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_shows_every_step_and_counts_the_failed_ones() {
        let took = Duration::from_millis(1500);
        let rows = [
            Row { name: "fmt", took, verdict: Verdict::Good(String::new()) },
            Row { name: "test", took, verdict: Verdict::Failed("1 of 3: a::b".to_owned()) },
        ];
        let text = table(&rows);
        assert!(text.contains("fmt           1.5 s  ok\n"), "{text}");
        assert!(text.contains("test          1.5 s  FAILED: 1 of 3: a::b\n"), "{text}");
        assert!(table(&rows[..1]).ends_with("\n1 steps, 0 failed\n"), "{text}");
    }

    #[test]
    fn last_line_tells_what_failed_and_why() {
        let failed =
            |name, reason: &str| Row { name, took: Duration::ZERO, verdict: Verdict::Failed(reason.to_owned()) };
        let rows = [failed("docs", "exit code 101"), failed("test", "2 of 9: a::b, c")];
        let text = table(&rows);
        assert!(text.ends_with("\n2 steps, 2 failed: docs (exit code 101), test (2 of 9: a::b, c)\n"), "{text}");
    }
}
