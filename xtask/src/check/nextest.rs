//! The leak criterion by cargo-nextest, and which tests it complained about.
//!
//! Keeps true: the names come from the report that this very run wrote, for an older one is removed first. Never takes
//! a verdict from the report: that is cargo-nextest's exit code.

use std::path::PathBuf;
use std::{fs, io};

use super::failed;
use super::steps::Verdict;
use crate::run;
use crate::task::{TaskError, file_error};
use crate::workspace;

/// Whether there is one.
pub(super) fn is_installed() -> bool {
    run::output(workspace::cargo().args(["nextest", "--version"])).is_ok_and(|(status, _)| status.success())
}

/// Runs every test in a process of its own.
pub(super) fn check() -> Result<Verdict, TaskError> {
    let path = report_file();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(&path, &error)),
        _ => {}
    }
    let status = run::status(workspace::cargo().args(["nextest", "run"]))?;
    if status.success() {
        return Ok(Verdict::Good("by cargo-nextest".to_owned()));
    }
    // There is none where the programs do not build.
    let Report { tests, failed } = read(&fs::read_to_string(&path).unwrap_or_default());
    Ok(Verdict::Failed(match failed.len() {
        0 => format!("cargo-nextest left with exit code {}", run::code(status)),
        count => failed::summary(&failed, count, tests),
    }))
}

/// Where `.config/nextest.toml` has it: below the workspace, wherever cargo builds.
fn report_file() -> PathBuf {
    workspace::root().join("target/nextest/default/junit.xml")
}

/// What a report in JUnit's format says.
#[derive(Default)]
struct Report {
    tests: usize,
    /// Program and name of those that failed, were ended, or leaked.
    failed: Vec<String>,
}

/// Each test is an element that has a child where something is wrong with it; what tests wrote is escaped.
fn read(text: &str) -> Report {
    let mut report = Report::default();
    for test in text.split("<testcase ").skip(1) {
        report.tests += 1;
        if test.contains("<failure") || test.contains("<error") {
            let [program, name] = ["classname", "name"].map(|name| attribute(test, name).unwrap_or("?"));
            report.failed.push(format!("{program}::{name}"));
        }
    }
    report
}

/// The value of an attribute of the element that the text begins with; names of tests need no escapes.
fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}=\"");
    let value = element.strip_prefix(&start).or_else(|| Some(element.split_once(&format!(" {start}"))?.1))?;
    Some(value.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites name="nextest-run" tests="4" failures="2" errors="1">
    <testsuite name="pool-core::pool" tests="4">
        <testcase name="map::one" classname="pool-core::pool" time="0.009">
            <failure message="process aborted" type="test abort">said &lt;testcase name=&quot;x&quot;</failure>
        </testcase>
        <testcase name="map::two" classname="pool-core::pool" time="0.017"/>
        <testcase name="map::three" classname="pool-core::pool" time="1.033">
            <error type="test exited with code 0, but leaked handles so was marked failed"/>
        </testcase>
        <testcase name="map::four" classname="pool-core::pool" time="4.003">
            <failure type="test timeout"/>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn failed_leaky_and_endless_tests_are_named_with_their_program() {
        let report = read(REPORT);
        assert_eq!(report.tests, 4);
        assert_eq!(
            report.failed,
            ["map::one", "map::three", "map::four"].map(|test| format!("pool-core::pool::{test}"))
        );
    }

    #[test]
    fn a_report_that_is_not_there_names_nobody() {
        assert!(read("").failed.is_empty());
    }
}
