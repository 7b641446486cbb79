//! `cargo xtask bench`: the benchmarks, built for speed.
//!
//! Never builds them for anybody who did not ask: the crate stands outside the default members.

use crate::options::{Opt, Value};
use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "bench",
    usage: "\
usage: cargo xtask bench [--quick] [--case NAME]

Builds pool-bench with optimisation and runs it; its exit code is ours.
  --quick      fewer rounds
  --case NAME  only this case: ping_pong, single_submits or idle",
    options: Some(&[
        Opt { name: "--quick", value: Value::Nothing },
        Opt { name: "--case", value: Value::OneOf(&CASES) },
    ]),
    perform,
};

/// Those of pool-bench.
const CASES: [&str; 3] = ["ping_pong", "single_submits", "idle"];

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    if !workspace::root().join("pool-bench/Cargo.toml").exists() {
        return Err(TaskError::Failed("there is no pool-bench in this checkout".to_owned()));
    }
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "pool-bench", "--"]).args(arguments);
    Err(run::become_program(&mut command).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_are_those_of_the_program() {
        let source = std::fs::read_to_string(workspace::root().join("pool-bench/src/cases.rs")).unwrap();
        let names: Vec<&str> =
            source.split("Case { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, CASES);
        assert!(CASES.iter().all(|case| TASK.usage.contains(case)), "{}", TASK.usage);
    }
}
