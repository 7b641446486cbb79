//! `cargo xtask demo`: runs the scenarios of pool-demo.
//!
//! Keeps true: with a name, stdout holds what the scenario prints and nothing else, and its exit code is ours. Without,
//! every scenario runs, also after one that failed, and the exit code is the first failing one's.

mod scenarios;

use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use crate::print;
use crate::run::{self, RunError};
use crate::task::{Task, TaskError};
use crate::workspace;
use scenarios::{Output, SCENARIOS, Scenario};

pub(crate) const TASK: Task = Task {
    name: "demo",
    usage: "\
usage: cargo xtask demo              every scenario, each under a heading
       cargo xtask demo NAME [ARGS]  one scenario; stdout holds only its output
       cargo xtask demo --list       the names, with a line each

The exit code is the scenario's own, or that of the first one that failed.",
    options: None,
    perform,
};

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    match arguments.split_first() {
        None => all(),
        Some((list, rest)) if list == "--list" => match rest {
            [] => {
                print::out(&list_text());
                Ok(0)
            }
            _ => Err(TaskError::WrongCall("--list takes no more arguments".to_owned())),
        },
        Some((flag, _)) if flag.starts_with('-') => Err(TaskError::WrongCall(format!("there is no option `{flag}`"))),
        Some((name, rest)) => one(name, rest),
    }
}

/// Becomes the scenario's program, so that signals and the terminal are its own.
fn one(name: &str, arguments: &[String]) -> Result<u8, TaskError> {
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
        let message = format!("there is no scenario `{name}`; there are\n{}", list_text());
        return Err(TaskError::WrongCall(message.trim_end().to_owned()));
    };
    if let Some(surplus) = arguments.get(scenario.arguments) {
        return Err(TaskError::WrongCall(format!("{name} does not take `{surplus}`")));
    }
    match build()? {
        0 => Err(run::become_program(program(scenario).args(arguments)).into()),
        code => Ok(code),
    }
}

fn all() -> Result<u8, TaskError> {
    let code = build()?;
    if code != 0 {
        return Ok(code);
    }
    let mut endings = Vec::new();
    for scenario in &SCENARIOS {
        print::out(&format!("== {}: {}\n", scenario.name, scenario.shows));
        let ending = show(scenario);
        if let Err(error) = &ending {
            print::out(&format!("{error}\n"));
        }
        print::out("\n");
        endings.push((scenario.name, ending.map_or(1, run::code)));
    }
    print::out(&summary(&endings));
    Ok(first_failure(&endings))
}

fn show(scenario: &Scenario) -> Result<ExitStatus, RunError> {
    let mut command = program(scenario);
    match scenario.output {
        Output::Whole => run::status(&mut command),
        Output::Ends => {
            let (status, text) = run::output(&mut command)?;
            print::out(&ends(&text));
            Ok(status)
        }
    }
}

/// The first lines, a count and the last line of a long output.
fn ends(text: &str) -> String {
    const FIRST: usize = 3;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= FIRST + 2 {
        return lines.iter().map(|line| format!("{line}\n")).collect();
    }
    let first: String = lines[..FIRST].iter().map(|line| format!("{line}\n")).collect();
    format!("{first}... {} more lines ...\n{}\n", lines.len() - FIRST - 1, lines[lines.len() - 1])
}

fn summary(endings: &[(&str, u8)]) -> String {
    let mut text = String::from("== summary\n");
    for (name, code) in endings {
        let result = if *code == 0 { "ok".to_owned() } else { format!("FAILED, exit code {code}") };
        text.push_str(&format!("{name:<22}{result}\n"));
    }
    let failed = endings.iter().filter(|(_, code)| *code != 0).count();
    text.push_str(&format!("{} scenarios, {failed} failed\n", endings.len()));
    text
}

fn first_failure(endings: &[(&str, u8)]) -> u8 {
    endings.iter().map(|(_, code)| *code).find(|code| *code != 0).unwrap_or(0)
}

fn list_text() -> String {
    SCENARIOS.iter().map(|scenario| format!("{:<22}{}\n", scenario.name, scenario.shows)).collect()
}

/// Builds every scenario; silent when there is little to do, with cargo's own progress on stderr the first time.
fn build() -> Result<u8, RunError> {
    let mut command = workspace::cargo();
    command.args(["build", "--package", "pool-demo", "--bins"]);
    if SCENARIOS.iter().all(|scenario| path(scenario).exists()) {
        command.arg("--quiet");
    }
    Ok(run::code(run::status(&mut command)?))
}

/// The scenario's program; it runs where the caller is, so that a directory in its arguments means what it says.
fn program(scenario: &Scenario) -> Command {
    Command::new(path(scenario))
}

fn path(scenario: &Scenario) -> PathBuf {
    workspace::target().join("debug").join(scenario.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failing_code_is_the_one_that_counts() {
        assert_eq!(first_failure(&[("a", 0), ("b", 3), ("c", 4)]), 3);
        assert_eq!(first_failure(&[("a", 0)]), 0);
    }

    #[test]
    fn summary_names_what_failed_and_counts_it() {
        let text = summary(&[("workers", 0), ("crash", 139)]);
        assert!(text.contains("crash                 FAILED, exit code 139\n"), "{text}");
        assert!(text.ends_with("2 scenarios, 1 failed\n"), "{text}");
    }

    #[test]
    fn a_long_output_keeps_its_ends_and_says_what_it_leaves_out() {
        assert_eq!(ends("1\n2\n3\n4\n5\n6\n7\n"), "1\n2\n3\n... 3 more lines ...\n7\n");
        assert_eq!(ends("1\n2\n3\n4\n5\n"), "1\n2\n3\n4\n5\n");
        assert_eq!(ends(""), "");
    }

    #[test]
    fn an_unknown_name_is_a_wrong_call_that_lists_the_names() {
        let Err(TaskError::WrongCall(message)) = one("no-such-scenario", &[]) else { panic!("not a wrong call") };
        assert!(message.contains("`no-such-scenario`") && message.contains("helper-threads"), "{message}");
    }

    #[test]
    fn a_surplus_argument_is_a_wrong_call_that_names_it() {
        let surplus = |name: &str, arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let Err(TaskError::WrongCall(message)) = one(name, &arguments) else { panic!("not a wrong call") };
            message
        };
        assert_eq!(surplus("callbacks", &["extra", "more"]), "callbacks does not take `extra`");
        assert_eq!(surplus("checksums", &["a", "b"]), "checksums does not take `b`");
    }
}
