//! Reads what Rust's test programs print, line by line, as it comes.
//!
//! Keeps true: what was read can be checked against what the programs themselves count, so that a line that was missed
//! (a child that wrote into the middle of it) is noticed and not lost.

use std::fmt;

/// What one test came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It did not run; the text is the program's reason, which may be empty.
    Ignored(String),
}

/// One test and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestResult {
    /// The test's path, as `cargo test` prints it.
    pub(crate) name: String,
    /// What it came to.
    pub(crate) outcome: Outcome,
}

/// The sums of the `test result:` lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

/// Everything that was read so far.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The tests, in the order in which they ended.
    pub(crate) results: Vec<TestResult>,
    /// What the test programs say of themselves.
    pub(crate) totals: Totals,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The name of a test that was announced on a line that something else was then written to.
    announced: Option<String>,
}

impl Reader {
    /// Takes the next piece of a test run's stdout, wherever it was cut.
    pub(crate) fn piece(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.partial);
                self.line(&String::from_utf8_lossy(&line));
            } else {
                self.partial.push(*byte);
            }
        }
    }

    /// How many tests the programs counted but no line told, or the other way round.
    pub(crate) fn unread(&self) -> usize {
        let counted = self.totals.passed + self.totals.failed + self.totals.ignored;
        counted.abs_diff(self.results.len())
    }

    /// The names of the tests that failed.
    pub(crate) fn failed(&self) -> Vec<String> {
        let failed = self.results.iter().filter(|result| result.outcome == Outcome::Failed);
        failed.map(|result| result.name.clone()).collect()
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(rest) = line.strip_prefix("test result: ") {
            self.announced = None;
            self.totals.add(rest);
        } else if let Some((name, rest)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ...")) {
            match outcome(rest.trim_start()) {
                Some(outcome) => self.results.push(TestResult { name: name.to_owned(), outcome }),
                None => self.announced = Some(name.to_owned()),
            }
        } else if let Some(outcome) = outcome(line)
            && let Some(name) = self.announced.take()
        {
            // With one test thread the name is printed first, and what a child writes comes before the outcome.
            self.results.push(TestResult { name, outcome });
        }
    }
}

impl Totals {
    /// Adds the numbers of `ok. 3 passed; 1 failed; 0 ignored; ...`.
    fn add(&mut self, line: &str) {
        let counts = line.split_once(". ").map_or(line, |(_, counts)| counts);
        for count in counts.split(';') {
            let Some((number, what)) = count.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn outcome(text: &str) -> Option<Outcome> {
    let text = text.split_once(" <").map_or(text, |(outcome, _time)| outcome);
    match text {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Ignored(String::new())),
        _ => text.strip_prefix("ignored, ").map(|reason| Outcome::Ignored(reason.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        reader.piece(text.as_bytes());
        reader
    }

    fn passed(name: &str) -> TestResult {
        TestResult { name: name.to_owned(), outcome: Outcome::Passed }
    }

    #[test]
    fn sums_run_over_all_test_programs() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
                    test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.00s\n";
        let reader = read(text);
        assert_eq!(reader.totals, Totals { passed: 5, failed: 4, ignored: 1 });
        assert_eq!(reader.totals.to_string(), "5 passed, 4 failed");
    }

    #[test]
    fn each_kind_of_line_is_read() {
        let text = "test a::b ... ok\ntest c ... FAILED\ntest d ... ignored, cannot kill a thread\n\
                    test src/lib.rs - f (line 3) - compile fail ... ok\ntest e ... ok <0.010s>\n";
        let names: Vec<String> = read(text).results.iter().map(|result| result.name.clone()).collect();
        assert_eq!(names, ["a::b", "c", "d", "src/lib.rs - f (line 3) - compile fail", "e"]);
        assert_eq!(read(text).failed(), ["c"]);
        assert_eq!(read(text).results[2].outcome, Outcome::Ignored("cannot kill a thread".to_owned()));
    }

    #[test]
    fn a_line_that_a_child_wrote_into_is_put_together_again() {
        let text = "test a ... Worker pid=3\nok\ntest b ... \nFAILED\nok\n";
        let reader = read(text);
        assert_eq!(reader.results[0], passed("a"));
        assert_eq!(reader.results[1].outcome, Outcome::Failed);
        assert_eq!(reader.results.len(), 2);
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let mut reader = Reader::default();
        for byte in b"test a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n" {
            reader.piece(&[*byte]);
        }
        assert_eq!((reader.results.len(), reader.totals.passed, reader.unread()), (1, 1, 0));
    }

    #[test]
    fn a_test_that_was_counted_but_not_read_is_noticed() {
        let text = "test a ... ok\ngarbage test b ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";
        assert_eq!(read(text).unread(), 1);
    }
}
