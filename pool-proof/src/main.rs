//! Programs that prove the pool's promises on real processes, from a seed: each tries to break them for a while, counts
//! everything, and says in its last line what it found.
//!
//! Keeps true: the exit code is 0 only when no promise was broken, 1 when one was, 2 for a wrong call; whatever is
//! random follows from the seed, which is printed first, but for what the system's scheduler adds.

mod arguments;
mod book;
mod chaos;
mod findings;
mod holdings;
mod ledger;
mod load;
mod parent_kill;
mod processes;
mod random;
mod readiness;
mod storm;
mod targets;
mod tasks;
mod tokens;
mod watchdog;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask chaos [OPTIONS]
       cargo xtask parent-kill [OPTIONS]

  chaos        signals at random workers and their children, under mixed load
      --seconds S  for so long, 30 by default
      --seed N     what is random follows from it; from the clock by default
      --workers N  the most workers of a pool, 4 by default
      --rate N     signals a second, 50 by default
  parent-kill  a program with a busy pool is killed, and must leave nothing behind
      --times N    so often, 200 by default
      --seed N     what is random follows from it; from the clock by default

exit codes: 0 nothing was broken, 1 something was, 2 a wrong call";

fn main() -> ExitCode {
    pool_core::init();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((program, rest)) = words.split_first() else { return wrong_call("which program?") };
    let outcome = match program.as_str() {
        "chaos" => chaos::Plan::from_arguments(rest).map(|plan| chaos::run(&plan)),
        "parent-kill" => parent_kill::Plan::from_arguments(rest).map(|plan| parent_kill::run(&plan)),
        parent_kill::VICTIM => parent_kill::be_the_victim(rest),
        _ => Err(format!("there is no program `{program}`")),
    };
    match outcome {
        Ok(code) => code,
        Err(message) => wrong_call(&message),
    }
}

fn wrong_call(message: &str) -> ExitCode {
    eprintln!("pool-proof: {message}\n\n{USAGE}");
    ExitCode::from(2)
}
