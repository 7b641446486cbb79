//! The project's own commands: `cargo xtask TASK`.
//!
//! Keeps true: an exit code is 0 only when what was asked for happened and was good; 2 is a wrong call, told on stderr
//! with the usage. Never depends on a crate of ours, nor on anyone else's: what checks the project must build when the
//! project does not.

mod bench;
mod check;
mod conformance;
mod demo;
mod instructions;
mod libtest;
mod options;
mod print;
mod proof;
mod pythons;
mod run;
mod simulate;
mod task;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use task::{Task, TaskError};

/// Every task, in the order of the help text.
const TASKS: [Task; 9] = [
    demo::TASK,
    test::TASK,
    check::TASK,
    conformance::TASK,
    simulate::TASK,
    proof::CHAOS,
    proof::PARENT_KILL,
    bench::TASK,
    instructions::TASK,
];

const USAGE: &str = "\
usage: cargo xtask TASK [ARGS]

  demo [NAME [ARGS]]  run one scenario, or all of them; --list names them
  test [ARGS]         run every test, and count them
  check [--long]      formatting, lints, docs, tidy, models, tests, leaks
  conformance         which promised behaviour is proved, on which backend;
                      --crash prints the crash table, --peers that of others
  simulate [ARGS]     random schedules of a simulated pool, each from a seed
  chaos [ARGS]        signals at random workers under load; no promise may break
  parent-kill [ARGS]  programs with a busy pool are killed; nothing may be left
  bench [ARGS]        run the benchmarks
  instructions        what a task costs in instructions, beside what it may cost
  help [TASK]         this text, or a task's own

exit codes: 0 good, 1 something failed, 2 a wrong call; a demo passes its own on";

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match arguments.split_first() {
        None => wrong_call("which task?", USAGE),
        Some((name, rest)) => match name.as_str() {
            "help" | "--help" | "-h" => help(rest),
            _ => perform(name, rest),
        },
    }
}

fn help(arguments: &[String]) -> ExitCode {
    let Some(name) = arguments.first() else {
        print::out(&format!("{USAGE}\n"));
        return ExitCode::SUCCESS;
    };
    match find(name) {
        Some(task) => {
            print::out(&format!("{}\n", task.usage));
            ExitCode::SUCCESS
        }
        None => wrong_call(&format!("there is no task `{name}`"), USAGE),
    }
}

fn perform(name: &str, arguments: &[String]) -> ExitCode {
    let Some(task) = find(name) else {
        return wrong_call(&format!("there is no task `{name}`"), USAGE);
    };
    if arguments.first().is_some_and(|first| first == "--help" || first == "-h") {
        print::out(&format!("{}\n", task.usage));
        return ExitCode::SUCCESS;
    }
    match judge(&task, arguments).and_then(|()| (task.perform)(arguments)) {
        Ok(code) => ExitCode::from(code),
        Err(TaskError::WrongCall(message)) => wrong_call(&message, task.usage),
        Err(TaskError::Failed(message)) => {
            eprintln!("xtask {name}: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the task can be called so, as far as that is known before it begins.
fn judge(task: &Task, arguments: &[String]) -> Result<(), TaskError> {
    task.options.map_or(Ok(()), |options| options::check(task.name, options, arguments))
}

fn find(name: &str) -> Option<Task> {
    TASKS.into_iter().find(|task| task.name == name)
}

fn wrong_call(message: &str, usage: &str) -> ExitCode {
    eprintln!("xtask: {message}\n\n{usage}");
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_a_wrong_call_before_anything_is_built() {
        let bogus = ["--bogus".to_owned()];
        for name in ["simulate", "chaos", "parent-kill", "bench"] {
            let task = find(name).unwrap();
            let Err(TaskError::WrongCall(message)) = judge(&task, &bogus) else { panic!("{name} took it") };
            assert_eq!(message, format!("{name} does not take `--bogus`"));
        }
        for name in ["demo", "check", "conformance"] {
            let judged = (find(name).unwrap().perform)(&bogus);
            assert!(matches!(judged, Err(TaskError::WrongCall(_))), "{name} took it");
        }
    }

    #[test]
    fn every_option_stands_in_the_usage_of_its_task() {
        for task in TASKS {
            for option in task.options.unwrap_or_default() {
                assert!(task.usage.contains(option.name), "{} {}", task.name, option.name);
            }
            assert!(task.usage.starts_with(&format!("usage: cargo xtask {}", task.name)), "{}", task.usage);
        }
    }
}
