//! `simulate`: many random schedules of a simulated pool, each from one seed, and what came of them.
//!
//! Keeps true: the exit code is 0 only if every seed was run and none broke a promise, and if the checks found every defect
//! that was put in on purpose; the last line is the summary; a seed that breaks one is replayed with its whole trace.

mod arguments;
mod fleet;
mod sabotage;
mod trace;
mod watchdog;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arguments::{Arguments, USAGE};
use pool_core::simulation::{self, Pulse, Report};
use watchdog::Watchdog;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("simulate: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // A panic is caught, and told as what a seed came to.
    std::panic::set_hook(Box::new(|_| {}));
    match arguments {
        Arguments::Help => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Arguments::One { seed } => replay(seed),
        Arguments::Many { from, seeds, jobs } => run_many(from, seeds, jobs),
    }
}

/// One seed, with all that happens in it.
fn replay(seed: u64) -> ExitCode {
    let pulse = Arc::new(Pulse::default());
    let _watchdog = Watchdog::new(vec![Arc::clone(&pulse)], |seed| println!("simulate: seed {seed} hangs"));
    let report = trace::told(|| simulation::run(seed, None, &pulse));
    summarize(seed, &report)
}

/// A seed that hangs somewhere, with all that happens in it until then.
fn tell_hung(seed: u64) {
    println!("seed {seed} hangs; its trace, as of `cargo xtask simulate --seed {seed}`:");
    let pulse = Arc::new(Pulse::default());
    let beats = Arc::clone(&pulse);
    pool_core::thread::spawn(move || trace::told(|| simulation::run(seed, None, &beats)));
    let mut seen = None;
    while seen.replace(pulse.now()) != Some(pulse.now()) {
        std::thread::park_timeout(UNTIL_IT_HANGS);
    }
    println!("simulate: seed {seed} hangs");
}

/// A replay that makes no step for so long has come to where it hangs.
const UNTIL_IT_HANGS: Duration = Duration::from_secs(5);

fn summarize(seed: u64, report: &Report) -> ExitCode {
    report.violations.iter().for_each(|violation| println!("violation: {violation}"));
    let (violations, steps) = (report.violations.len(), report.steps);
    println!("simulate: seed {seed}, {violations} violations, {steps} steps, {} items", report.items);
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_many(from: u64, seeds: u64, jobs: usize) -> ExitCode {
    let unseen = sabotage::unseen();
    let start = Instant::now();
    let run = fleet::run(from, seeds, jobs);
    let seconds = start.elapsed().as_secs_f64();
    if let Some((seed, _)) = &run.broken {
        println!("seed {seed} breaks a promise; its trace, as of `cargo xtask simulate --seed {seed}`:");
        let _ = replay(*seed);
    }
    unseen.iter().for_each(|sabotage| println!("the checks do not find the defect {sabotage:?}"));
    let rate = run.seeds as f64 / seconds.max(f64::EPSILON) / jobs as f64;
    println!(
        "simulate: {} seeds from {from}, {} violations, {} defects not found; {} steps, {} items, {} lost workers, {} further \
         attempts, {} turns of callers; {seconds:.1} s, {rate:.0} seeds a second and thread",
        run.seeds,
        run.violations,
        unseen.len(),
        run.steps,
        run.items,
        run.deaths,
        run.retries,
        run.turns_of_callers,
    );
    if run.violations == 0 && unseen.is_empty() && run.seeds == seeds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
