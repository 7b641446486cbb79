//! Measures the pool beside what it is compared with, in one run, alternating.
//!
//! Keeps true: a figure stands beside the figures of the other sides of the same run. It is no test: it prints what came
//! out and whether a goal is met, and asserts nothing about it, but for counts of instructions, which are no times. Never takes part in a build that nobody asked for.

mod case;
mod options;
mod cores;
mod children;
mod words;
mod roles;
mod setting;
mod watchdog;
mod peer;
mod gate;
mod pools;
mod harness;
mod report;
mod json;
mod chart;
mod cases;
mod instructions;

use std::path::Path;
use std::process::ExitCode;

use case::{Case, Failure, Outcome};
use options::{Options, USAGE};

fn main() -> ExitCode {
    pool_core::init();
    peer::procspawn::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = roles::play(&arguments) {
        return code;
    }
    if arguments == ["--instructions"] {
        return ended(instructions::check());
    }
    match options::parse(&arguments) {
        Ok(options) => ended(run(&options)),
        Err(wrong) => {
            eprintln!("pool-bench: {wrong}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn ended(run: Result<bool, Failure>) -> ExitCode {
    match run {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pool-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for; whether everything of ours could be measured.
fn run(options: &Options) -> Result<bool, Failure> {
    let setting = setting::Setting::new(options)?;
    report::machine(&setting);
    let (mut outcomes, mut whole) = (Vec::new(), true);
    for case in chosen(options) {
        report::begin(case);
        match harness::measure(case, &setting) {
            Ok(measured) => outcomes.extend(measured),
            Err(error) => {
                whole = false;
                report::failed(case, &*error);
            }
        }
    }
    report::summary(&outcomes);
    write(options, &outcomes)?;
    Ok(whole)
}

fn chosen(options: &Options) -> impl Iterator<Item = &'static Case> {
    cases::ALL.iter().filter(|case| options.case.as_ref().is_none_or(|name| name == case.name))
}

fn write(options: &Options, outcomes: &[Outcome]) -> Result<(), Failure> {
    let save =
        |path: &Path, text: String| std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()));
    if let Some(path) = &options.json {
        save(path, json::text(outcomes))?;
    }
    if let Some(path) = &options.svg {
        save(path, chart::text(outcomes))?;
    }
    Ok(())
}
