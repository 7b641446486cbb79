//! `cargo xtask chaos` and `cargo xtask parent-kill`: the programs of pool-proof, built for speed.
//!
//! Keeps true: the program's exit code is ours. Never builds them for anybody who did not ask:
//! the crate stands outside the default members.

use crate::options::{Opt, Value};
use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const CHAOS: Task = Task {
    name: "chaos",
    usage: "\
usage: cargo xtask chaos [--seconds S] [--seed N] [--workers N] [--rate N]

Sends SIGKILL, SIGSTOP, SIGCONT and SIGABRT, 50 a second, to random workers of a
pool and to processes that its tasks start, while the pool has tiny, long and
large tasks, maps, callbacks that submit, and cancels. Each future must come to
one end that is true, no task may run twice, no finished result may be lost, and
afterwards everything must be as before. Prints the seed first and a summary
last; exit code 1 if a promise was broken.
  --seconds S  for so long (30)
  --seed N     what is random follows from it (from the clock)
  --workers N  the most workers of a pool (4)
  --rate N     signals a second (50); by some hundreds a small pool gets no worker
               up any more, and says that it is broken, as it should",
    options: Some(&[
        Opt { name: "--seconds", value: Value::Number(0) },
        Opt { name: "--seed", value: Value::Number(0) },
        Opt { name: "--workers", value: Value::Number(1) },
        Opt { name: "--rate", value: Value::Number(1) },
    ]),
    perform: |arguments| become_proof("chaos", arguments),
};

pub(crate) const PARENT_KILL: Task = Task {
    name: "parent-kill",
    usage: "\
usage: cargo xtask parent-kill [--times N] [--seed N]

Starts a program with a busy pool and kills it at a random moment, again and
again. No worker and no process that a task started may stay, and nothing may be
left in /dev/shm or the directory for temporary files. Prints how long it takes
until the last process is gone; exit code 1 if something was left.
  --times N  so often (200)
  --seed N   what is random follows from it (from the clock)",
    options: Some(&[Opt { name: "--times", value: Value::Number(1) }, Opt { name: "--seed", value: Value::Number(0) }]),
    perform: |arguments| become_proof("parent-kill", arguments),
};

fn become_proof(program: &str, arguments: &[String]) -> Result<u8, TaskError> {
    if !workspace::root().join("pool-proof/Cargo.toml").exists() {
        return Err(TaskError::Failed("there is no pool-proof in this checkout".to_owned()));
    }
    let mut command = workspace::cargo();
    command
        .args(["run", "--quiet", "--release", "--package", "pool-proof", "--bin", "pool-proof", "--", program])
        .args(arguments);
    Err(run::become_program(&mut command).into())
}
