//! What takes minutes: fuzzing, attacks and random play, each for a set time.
//!
//! Keeps true: a part that ran no test, or fewer than it should, has failed, so that a renamed test cannot turn it off.

use super::steps::{Length, Verdict};
use crate::libtest::Reader;
use crate::print;
use crate::run;
use crate::task::TaskError;
use crate::workspace;

/// A part: some tests, told how long they are to go on.
struct Part {
    /// What it is called in the closing line.
    what: &'static str,
    /// How many tests there are.
    tests: usize,
    /// The test program.
    cargo: &'static [&'static str],
    /// What their names have in common.
    filter: &'static str,
    variable: &'static str,
    seconds: u32,
}

const PARTS: [Part; 4] = [
    Part {
        what: "what backends read fuzzed",
        tests: 3,
        cargo: &["--package", "pool-ipc", "--lib", "--profile", "fuzz"],
        filter: "fuzz::fuzz_",
        variable: "POOL_FUZZ_SECONDS",
        seconds: 60,
    },
    Part {
        what: "greetings and replies fuzzed",
        tests: 2,
        cargo: &["--package", "pool-core", "--lib", "--profile", "fuzz"],
        filter: "fuzz::fuzz_",
        variable: "POOL_FUZZ_SECONDS",
        seconds: 60,
    },
    Part {
        what: "workers ran wild",
        tests: 1,
        cargo: &["--package", "pool-core", "--test", "pool"],
        filter: "hostile_workers_harm_nobody",
        variable: "POOL_CORE_HOSTILE_SECONDS",
        seconds: 10,
    },
    Part {
        what: "eight threads at random",
        tests: 3,
        cargo: &["--package", "pool-core", "--test", "pool"],
        filter: "d13_eight_threads_at_random",
        variable: "POOL_CORE_CHAOS_SECONDS",
        seconds: 60,
    },
];

/// Runs all parts, one test at a time.
pub(super) fn perform(length: Length) -> Result<Verdict, TaskError> {
    if length == Length::Usual {
        return Ok(Verdict::Good("only with --long".to_owned()));
    }
    let mut done = Vec::new();
    for part in &PARTS {
        if let Some(failure) = failure(part)? {
            return Ok(Verdict::Failed(format!("{}: {failure}", part.what)));
        }
        done.push(format!("{} {} x {} s", part.what, part.tests, part.seconds));
    }
    Ok(Verdict::Good(done.join(", ")))
}

fn failure(part: &Part) -> Result<Option<String>, TaskError> {
    let mut command = workspace::cargo();
    command.arg("test").args(part.cargo).env(part.variable, part.seconds.to_string());
    command.args(["--", part.filter, "--nocapture", "--test-threads", "1"]);
    let mut reader = Reader::default();
    let status = run::stream(&mut command, |piece| {
        print::bytes(piece);
        reader.piece(piece);
    })?;
    let passed = reader.totals.passed;
    Ok(if !status.success() {
        Some(format!("exit code {}", run::code(status)))
    } else if passed != part.tests {
        Some(format!("{passed} tests ran, and there should be {}", part.tests))
    } else {
        None
    })
}
