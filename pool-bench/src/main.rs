//! Measures the pool beside what it is compared with, in one run, alternating.
//!
//! A benchmark and no test: it prints medians, extremes and ratios, and asserts nothing about them.

mod cases;
mod measure;
mod pipe;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask bench [--quick] [--case NAME]

  --quick      fewer rounds
  --case NAME  only this case: ping_pong, single_submits or idle";

fn main() -> ExitCode {
    pool_core::init();
    if pipe::echo_if_asked() {
        return ExitCode::SUCCESS;
    }
    let mut options = measure::Options::default();
    let mut only = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.size_hint()) {
            ("--quick", _) => options.rounds = 3,
            ("--case", (1.., _)) => only = arguments.next(),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let chosen: Vec<_> = cases::ALL.iter().filter(|case| only.as_ref().is_none_or(|only| only == case.name)).collect();
    if chosen.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    for case in chosen {
        if let Err(error) = (case.run)(&options) {
            eprintln!("{}: {error}", case.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
