//! `cargo xtask bench`: the benchmarks, built for speed.
//!
//! Never builds them for anybody who did not ask: the crate stands outside the default members.

use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "bench",
    usage: "\
usage: cargo xtask bench [ARGS]

Builds pool-bench with optimisation and runs it with ARGS; its exit code is ours.",
    perform,
};

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    if !workspace::root().join("pool-bench/Cargo.toml").exists() {
        return Err(TaskError::Failed("there is no pool-bench in this checkout".to_owned()));
    }
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "pool-bench", "--"]).args(arguments);
    Err(run::become_program(&mut command).into())
}
