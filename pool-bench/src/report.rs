//! What a run prints for people.
//!
//! Never: decides what is good; a goal that is missed is printed like one that is met.

use std::error::Error;

use crate::case::{Beside, Case, Failure, Judged, Line, Outcome, Verdict};
use crate::harness::bound_text;
use crate::setting::Setting;

/// What the figures were measured on.
pub(crate) fn machine(setting: &Setting) {
    println!("on {}; {} rounds after one that does not count", machine_text(), setting.rounds());
}

/// The processor and the kernel.
pub(crate) fn machine_text() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

pub(crate) fn begin(case: &Case) {
    println!("\n{}: {}", case.name, case.about);
}

/// What belongs beside the figures that follow.
pub(crate) fn beside(beside: Beside, setting: &Setting) -> Result<(), Failure> {
    match beside {
        Beside::Nothing => {}
        Beside::CacheLine => println!("  a cache line there and back: {:.0} ns", setting.cores.cache_line_ns()?),
    }
    Ok(())
}

/// The figures of a stage, and what became of its goals.
pub(crate) fn stage(outcome: &Outcome) {
    outcome.lines.iter().for_each(|line| println!("{}", line_text(line, &outcome.lines)));
    outcome.verdicts.iter().for_each(|verdict| println!("  {}", verdict_text(verdict)));
}

fn line_text(line: &Line, lines: &[Line]) -> String {
    let figures =
        format!("{:>12} {:<5} ({} to {})", number(line.median), line.unit.text(), number(line.min), number(line.max));
    let ours = lines.iter().find(|ours| ours.side == "pool" && ours.variant == line.variant && ours.unit == line.unit);
    let ratio = match ours {
        Some(ours) if line.side != "pool" => format!("  pool is {:.3} x", ours.median / line.median),
        _ => String::new(),
    };
    format!("  {:<24} {:<12} {figures}{ratio}", line.full_name(), line.side)
}

fn verdict_text(verdict: &Verdict) -> String {
    let met = if verdict.is_met() { "met" } else { "not met" };
    let worst = if verdict.judged == Judged::Worst { " in the worst round" } else { "" };
    let reached = number(verdict.reached);
    format!("{:<24} {met:<7}  {reached} where the goal is {}{worst}", verdict.name, bound_text(verdict))
}

pub(crate) fn failed(case: &Case, error: &dyn Error) {
    println!("  could not be measured: {error}");
    eprintln!("pool-bench: {}: {error}", case.name);
}

/// All goals once more.
pub(crate) fn summary(outcomes: &[Outcome]) {
    let verdicts = || outcomes.iter().flat_map(|outcome| &outcome.verdicts);
    if verdicts().count() > 1 {
        println!(
            "\n{} of {} goals are met:",
            verdicts().filter(|verdict| verdict.is_met()).count(),
            verdicts().count()
        );
        verdicts().for_each(|verdict| println!("  {}", verdict_text(verdict)));
    }
}

/// With as many digits as say something.
pub(crate) fn number(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1000.0 => with_separators(figure),
        large if large >= 100.0 => format!("{figure:.0}"),
        large if large >= 10.0 => without_zeros(format!("{figure:.1}")),
        large if large >= 0.1 => without_zeros(format!("{figure:.2}")),
        _ => without_zeros(format!("{figure:.4}")),
    }
}

fn without_zeros(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn with_separators(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_say_something() {
        for (figure, text) in [
            (1_234_567.8, "1,234,568"),
            (1000.0, "1,000"),
            (123.4, "123"),
            (12.34, "12.3"),
            (3.0, "3"),
            (3.3, "3.3"),
            (1.234, "1.23"),
            (0.01234, "0.0123"),
            (0.0, "0"),
        ] {
            assert_eq!(number(figure), text);
        }
    }
}
