//! `cargo xtask test`: every test of the default members, doc tests included, counted.
//!
//! Keeps true: the output is shown as it comes and kept in a file for the conformance report; the exit code is 0 only
//! if cargo was content, no test failed and at least one ran. Never hides a line.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use crate::libtest::Reader;
use crate::print;
use crate::run;
use crate::task::{Task, TaskError, file_error};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "test",
    usage: "\
usage: cargo xtask test [ARGS]

Runs `cargo test --no-fail-fast ARGS` on every crate that users build, doc tests
included, and ends with a line `N passed, N failed`. ARGS are cargo test's, for
instance a part of a test's name, `-p pool-core`, or `-- --test-threads 1`.
Exit code 1 if a test failed, a program could not be built, or no test ran; 2 if
cargo test does not know one of ARGS.",
    options: None,
    perform,
};

/// What a test run came to.
pub(crate) struct TestRun {
    /// The tests, and the sums.
    pub(crate) reader: Reader,
    /// Whether cargo itself left with 0.
    pub(crate) cargo_content: bool,
}

/// Where the tests' output is shown.
#[derive(Clone, Copy)]
pub(crate) enum Show {
    /// It is what was asked for.
    Stdout,
    /// It is only the way to what was asked for.
    Stderr,
}

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    if let Some(refusal) = refusal(arguments)? {
        return Err(TaskError::WrongCall(refusal));
    }
    let run = run_tests(arguments, &[], Show::Stdout)?;
    if !run.cargo_content && run.reader.totals.failed == 0 {
        eprintln!("xtask test: no test failed, but cargo test did: see above");
    }
    if run.reader.totals.passed + run.reader.totals.failed == 0 {
        eprintln!("xtask test: no test ran");
    }
    print::out(&format!("\n{}\n", run.reader.totals));
    Ok(u8::from(!run.good()))
}

/// What cargo has against the arguments. It is asked to test a workspace that is not there, and complains of that only if it
/// understands everything else.
fn refusal(arguments: &[String]) -> Result<Option<String>, TaskError> {
    /// How cargo leaves when it was called in a wrong way; it leaves with 101 when it cannot do what was asked.
    const WRONG_CALL: u8 = 1;
    let mut command = workspace::cargo();
    command.args(["test", "--no-fail-fast", "--manifest-path", "/dev/null"]).args(arguments);
    let (status, text) = run::complaint(&mut command)?;
    let complaint = text.lines().next().unwrap_or_default();
    let complaint = complaint.strip_prefix("error: ").unwrap_or(complaint);
    Ok((run::code(status) == WRONG_CALL).then(|| format!("cargo test: {complaint}")))
}

/// Runs the tests, shows their output as it comes, and keeps it in [`output_file`].
pub(crate) fn run_tests(arguments: &[String], environment: &[(&str, &str)], show: Show) -> Result<TestRun, TaskError> {
    let path = output_file();
    let folder = path.parent().expect("the file lies in a folder of the build directory");
    fs::create_dir_all(folder).map_err(|error| file_error(folder, &error))?;
    let mut file = File::create(&path).map_err(|error| file_error(&path, &error))?;
    let mut reader = Reader::default();
    let mut written = Ok(());
    let mut command = workspace::cargo();
    command.args(["test", "--no-fail-fast"]).args(arguments).envs(environment.iter().copied());
    let status = run::stream(&mut command, |piece| {
        match show {
            Show::Stdout => print::bytes(piece),
            Show::Stderr => print::aside(piece),
        }
        reader.piece(piece);
        if written.is_ok() {
            written = file.write_all(piece);
        }
    })?;
    let closing = format!("{END}{}\n", if status.success() { CONTENT } else { "failed" });
    written.and_then(|()| file.write_all(closing.as_bytes())).map_err(|error| file_error(&path, &error))?;
    Ok(TestRun { reader, cargo_content: status.success() })
}

/// Reads a test run back from its output; a run that was cut short is an error.
pub(crate) fn read_back(text: &str) -> Option<TestRun> {
    let ending = text.lines().next_back()?.strip_prefix(END)?;
    let mut reader = Reader::default();
    reader.piece(text.as_bytes());
    Some(TestRun { reader, cargo_content: ending == CONTENT })
}

/// The last test run's output, with a line at its end that says how cargo left.
pub(crate) fn output_file() -> PathBuf {
    workspace::target().join("xtask/test-output.txt")
}

const END: &str = "xtask: cargo test ";
const CONTENT: &str = "succeeded";

impl TestRun {
    /// Whether something ran, and all of it passed.
    pub(crate) fn good(&self) -> bool {
        let totals = self.reader.totals;
        self.cargo_content && totals.failed == 0 && totals.passed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal_of(line: &str) -> Option<String> {
        refusal(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn arguments_are_those_of_cargo_test() {
        assert_eq!(refusal_of("--bogus").unwrap(), "cargo test: unexpected argument '--bogus' found");
        assert!(refusal_of("one two").is_some());
        assert_eq!(refusal_of(""), None);
        assert_eq!(refusal_of("--package pool-core a_name -- --test-threads 1 --bogus"), None);
    }

    const ONE: &str = "test a ... ok\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";

    #[test]
    fn a_run_is_read_back_with_cargos_own_verdict() {
        assert!(read_back(&format!("{ONE}xtask: cargo test succeeded\n")).unwrap().good());
        assert!(!read_back(&format!("{ONE}xtask: cargo test failed\n")).unwrap().good());
    }

    #[test]
    fn a_run_that_was_cut_short_is_not_read_back() {
        assert!(read_back(ONE).is_none());
        assert!(read_back("").is_none());
    }

    #[test]
    fn a_run_of_no_test_is_not_good() {
        let text = "test result: ok. 0 passed; 0 failed; 0 ignored\nxtask: cargo test succeeded\n";
        assert!(!read_back(text).unwrap().good());
    }
}
