//! The steps of `cargo xtask check`, each a function from "how long" to a verdict.
//!
//! Keeps true: a step that had nothing to look at has failed, so that a renamed file cannot turn a check off.

use std::process::Command;

use super::{failed, leaks, long, nextest};
use crate::libtest::Totals;
use crate::run;
use crate::task::TaskError;
use crate::test::{self, Show, TestRun};
use crate::tidy;
use crate::workspace;

/// How far the steps search.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// For every change.
    Usual,
    /// For a night.
    Long,
}

/// What a step came to.
pub(super) enum Verdict {
    /// It holds; the note goes into the table.
    Good(String),
    /// It does not; the reason goes into the table, the details were printed.
    Failed(String),
}

/// One line of the table.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) perform: fn(Length) -> Result<Verdict, TaskError>,
}

/// All of them, the quick ones first.
pub(super) const STEPS: [Step; 9] = [
    Step { name: "fmt", perform: fmt },
    Step { name: "clippy", perform: clippy },
    Step { name: "docs", perform: docs },
    Step { name: "tidy", perform: tidy },
    Step { name: "loom", perform: loom },
    Step { name: "portable", perform: portable },
    Step { name: "test", perform: tests },
    Step { name: "leaks", perform: leaks },
    Step { name: "long", perform: long::perform },
];

fn fmt(_: Length) -> Result<Verdict, TaskError> {
    verdict(workspace::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(_: Length) -> Result<Verdict, TaskError> {
    verdict(workspace::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(_: Length) -> Result<Verdict, TaskError> {
    verdict(workspace::cargo().env("RUSTDOCFLAGS", "-D warnings").args(["doc", "--no-deps"]))
}

fn tidy(_: Length) -> Result<Verdict, TaskError> {
    let complaints = tidy::complaints(&workspace::root())?;
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Ok(match complaints.len() {
        0 => Verdict::Good(String::new()),
        count => Verdict::Failed(format!("{count} complaints")),
    })
}

/// Models of three threads end in seconds with two preemptions, and in hours without a bound.
fn loom(length: Length) -> Result<Verdict, TaskError> {
    let preemptions = if length == Length::Long { "3" } else { "2" };
    let modelled: Vec<&str> =
        ["pool-ipc", "pool-core"].into_iter().filter(|package| has_test_target(package, "loom")).collect();
    if modelled.is_empty() {
        return Ok(Verdict::Failed("no crate has a test target `loom`".to_owned()));
    }
    for package in &modelled {
        let mut command = workspace::cargo_with_flags("--cfg loom", "loom");
        command.env("LOOM_MAX_PREEMPTIONS", preemptions);
        command.args(["test", "--release", "--package", package, "--test", "loom"]);
        if let Verdict::Failed(reason) = verdict(&mut command)? {
            return Ok(Verdict::Failed(format!("{package}: {reason}")));
        }
    }
    Ok(Verdict::Good(modelled.join(" and ")))
}

fn has_test_target(package: &str, target: &str) -> bool {
    let tests = workspace::root().join(package).join("tests");
    tests.join(format!("{target}.rs")).exists() || tests.join(target).join("main.rs").exists()
}

fn portable(_: Length) -> Result<Verdict, TaskError> {
    let mut command = workspace::cargo_with_flags("--cfg pool_portable -D warnings", "portable");
    verdict(command.args(["check", "--package", "pool-core", "--package", "pool-ipc"]))
}

fn tests(length: Length) -> Result<Verdict, TaskError> {
    let environment: &[(&str, &str)] = if length == Length::Long { &[("PROPTEST_CASES", "20000")] } else { &[] };
    let run = test::run_tests(&[], environment, Show::Stdout)?;
    Ok(if run.good() { Verdict::Good(run.reader.totals.to_string()) } else { Verdict::Failed(complaint(&run)) })
}

/// Why a test run was not good.
fn complaint(run: &TestRun) -> String {
    let Totals { passed, failed, .. } = run.reader.totals;
    match (passed + failed, failed) {
        (0, _) => "no test ran".to_owned(),
        (_, 0) => "no test failed, but cargo test did: a program ended early, or does not build".to_owned(),
        (tests, failed) => failed::summary(&run.reader.failed(), failed, tests),
    }
}

fn leaks(length: Length) -> Result<Verdict, TaskError> {
    if !nextest::is_installed() {
        return leaks::check();
    }
    match nextest::check()? {
        Verdict::Good(_) if length == Length::Long => leaks::check(),
        verdict => Ok(verdict),
    }
}

fn verdict(command: &mut Command) -> Result<Verdict, TaskError> {
    let status = run::status(command)?;
    Ok(if status.success() {
        Verdict::Good(String::new())
    } else {
        Verdict::Failed(format!("exit code {}", run::code(status)))
    })
}
