//! `cargo xtask simulate`: many random schedules of a simulated pool, each from one seed, built for speed.
//!
//! Never builds the simulator for anybody who did not ask: its crate stands outside the default members.

use crate::options::{Opt, Value};
use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "simulate",
    usage: "\
usage: cargo xtask simulate [--seeds N] [--from K] [--jobs J]
       cargo xtask simulate --seed S

Runs the pool's own manager, feeder, futures and slots on one thread with a virtual clock, through the schedules of the
seeds K..K+N (0..10000 by default), and holds every promise against what happened. The first seed that breaks one is
replayed with its trace; --seed replays one. Before that, the checks have to find defects that are put in on purpose.
Exit code 1: a promise was broken, or a defect not found.",
    options: Some(&[
        Opt { name: "--seeds", value: Value::Number(0) },
        Opt { name: "--from", value: Value::Number(0) },
        Opt { name: "--jobs", value: Value::Number(1) },
        Opt { name: "--seed", value: Value::Number(0) },
    ]),
    perform,
};

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    if !workspace::root().join("pool-proof/Cargo.toml").exists() {
        return Err(TaskError::Failed("there is no pool-proof in this checkout".to_owned()));
    }
    let mut command = workspace::cargo();
    command.args(["run", "--quiet", "--release", "--package", "pool-proof", "--bin", "simulate", "--"]);
    Err(run::become_program(command.args(arguments)).into())
}
