//! `cargo xtask instructions`: what a task costs in instructions, by valgrind, beside what it may cost.
//!
//! Keeps true: the program's exit code is ours. Never measures time.

use std::process::Command;

use crate::bench;
use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "instructions",
    usage: "\
usage: cargo xtask instructions

Counts by valgrind how many instructions a task costs that does nothing: one by
one, in a flood, and as an item of a map; the whole way, in one process with a
thread as worker, and the part of it that a worker process has. Such counts are
the same on a busy machine. Each has a budget; exit code 1 if one is exceeded.",
    options: Some(&[]),
    perform,
};

fn perform(_arguments: &[String]) -> Result<u8, TaskError> {
    bench::require()?;
    bench::build(&["--release", "--package", "pool-bench", "--bin", "pool-bench"])?;
    let mut command = Command::new(workspace::target().join("release/pool-bench"));
    Err(run::become_program(command.arg("--instructions")).into())
}
