//! `cargo xtask conformance`: which promised behaviour is proved, by a test that really ran, on which backend.
//!
//! Keeps true: a result stands in the report only if a test printed it in this run; a number that no test proves is
//! missing unless the catalogue gives a reason; a test that carries a number nobody knows is an error, since it proves
//! nothing. Never guesses: where the output cannot be read whole, the report says so and fails.

mod catalogue;
mod crash;
mod names;
mod report;

use std::io::ErrorKind;

use crate::print;
use crate::task::{Task, TaskError, file_error};
use crate::test::{self, Show, TestRun};

pub(crate) const TASK: Task = Task {
    name: "conformance",
    usage: "\
usage: cargo xtask conformance [--last | --crash [--peers]]

Runs every test and prints which behaviour they prove: number, name, backend,
result; also the rules of the backend contract, and which behaviours are not
covered, with the reason. The tests' own output goes to stderr.
--last reads the output of the last `cargo xtask test` instead of running them.
--crash runs only the tests of the crash table, one at a time, and prints the
table: what a task does, in which situation, and whether it alone failed, with
the exact reason, as fast as shown.
--peers also does the same to other pools, each cell in a process of its own and
with a deadline, and writes the tables side by side to docs/crash-table.md. It
needs python3 and cargo, and the package registries that they are set up for.
Exit code 1 if a proof failed or is missing without a reason, or if the test run
itself was not good.",
    options: None,
    perform,
};

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = match *words {
        [] => test::run_tests(&[], &[], Show::Stderr)?,
        ["--last"] => last_run()?,
        ["--crash"] => return crash::perform(crash::Peers::No),
        ["--crash", "--peers"] | ["--peers", "--crash"] => return crash::perform(crash::Peers::Yes),
        _ => return Err(TaskError::WrongCall(format!("conformance does not take `{}`", arguments.join(" ")))),
    };
    let report = report::Report::new(&run.reader.results);
    print::out(&report.table());
    let troubles = troubles(&run);
    for trouble in &troubles {
        print::out(&format!("{trouble}\n"));
    }
    print::out(&format!("{}\n", report.summary()));
    Ok(u8::from(!report.good() || !troubles.is_empty()))
}

fn last_run() -> Result<TestRun, TaskError> {
    let path = test::output_file();
    let text = std::fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => TaskError::Failed("no tests have run here yet: run `cargo xtask test` first".to_owned()),
        _ => file_error(&path, &error),
    })?;
    let cut_short = || TaskError::Failed(format!("{} was cut short: run `cargo xtask test`", path.display()));
    test::read_back(&String::from_utf8_lossy(&text)).ok_or_else(cut_short)
}

/// What is wrong with the run as a whole.
fn troubles(run: &TestRun) -> Vec<String> {
    let mut troubles = Vec::new();
    if run.reader.unread() > 0 {
        troubles.push(format!("{} results could not be read from the tests' output", run.reader.unread()));
    }
    if !run.good() {
        troubles.push(format!("the test run as a whole was not good: {}", run.reader.totals));
    }
    troubles
}
