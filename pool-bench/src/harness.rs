//! Lets the sides of a case take turns.
//!
//! Keeps true: in every round each side is measured once, one after the other, so that what the machine does meanwhile
//! happens to all; the first round is thrown away where figures depend on what is warm. A peer that fails is left out
//! from then on; one of ours that fails ends the case.

use crate::case::{Against, Bound, Case, Failure, Goal, Judged, Line, Outcome, Rounds, Side, Sides, Stage, Verdict};
use crate::options::PEERS;
use crate::report;
use crate::setting::Setting;
use crate::watchdog;

/// Measures all stages of a case and prints each as it is done.
pub(crate) fn measure(case: &Case, setting: &Setting) -> Result<Vec<Outcome>, Failure> {
    let outcomes = case.stages.iter().map(|stage| {
        let outcome = in_one_stage(case, stage, setting);
        watchdog::calm();
        setting.cores.release()?;
        let outcome = outcome?;
        report::stage(&outcome);
        Ok(outcome)
    });
    outcomes.collect()
}

fn in_one_stage(case: &Case, stage: &Stage, setting: &Setting) -> Result<Outcome, Failure> {
    report::beside(stage.beside, setting)?;
    watchdog::expect(format!("the start of {}", case.name));
    let mut sides = Sides::new(setting);
    (stage.sides)(setting, &mut sides)?;
    let (sides, company) = sides.into_parts();
    let lines = lines(case, sides, stage.rounds, setting)?;
    drop(company);
    let verdicts = stage.goals.iter().filter_map(|goal| verdict(goal, &lines)).collect();
    Ok(Outcome { lines, verdicts })
}

/// A side with what it came to so far.
struct Turn {
    side: Side,
    figures: Vec<f64>,
}

fn lines(case: &Case, sides: Vec<Side>, rounds: Rounds, setting: &Setting) -> Result<Vec<Line>, Failure> {
    let (warm_up, rounds) = match rounds {
        Rounds::Usual => (1, setting.rounds()),
        Rounds::Always(rounds) => (1, rounds),
        Rounds::Once => (0, 1),
    };
    let mut turns: Vec<Turn> = sides.into_iter().map(|side| Turn { side, figures: Vec::new() }).collect();
    for round in 0..warm_up + rounds {
        play(case, &mut turns, round >= warm_up)?;
    }
    Ok(turns.iter().map(|turn| line(case, turn)).collect())
}

/// One round, which counts or warms up.
fn play(case: &Case, turns: &mut Vec<Turn>, counts: bool) -> Result<(), Failure> {
    let mut kept = Vec::with_capacity(turns.len());
    for mut turn in turns.drain(..) {
        watchdog::expect(format!("{} of {}", turn.side.name, crate::case::full_name(case.name, turn.side.variant)));
        match (turn.side.measure)() {
            Ok(figure) if figure.is_finite() => {
                turn.figures.extend(counts.then_some(figure));
                kept.push(turn);
            }
            Ok(figure) => return Err(format!("{} came to {figure}", turn.side.name).into()),
            Err(error) if is_peer(turn.side.name) => println!("  {} is left out: {error}", turn.side.name),
            Err(error) => return Err(format!("{}: {error}", turn.side.name).into()),
        }
    }
    *turns = kept;
    Ok(())
}

fn is_peer(side: &str) -> bool {
    PEERS.iter().any(|(name, _)| *name == side)
}

fn line(case: &Case, turn: &Turn) -> Line {
    let mut figures = turn.figures.clone();
    figures.sort_by(f64::total_cmp);
    let (min, max) = (figures[0], figures[figures.len() - 1]);
    let Side { variant, name, unit, .. } = turn.side;
    let median = figures[figures.len() / 2];
    Line { case: case.name, variant, side: name, unit, median, min, max, rounds: figures.len() }
}

/// What became of the goal, if everybody that it is about was measured.
fn verdict(goal: &Goal, lines: &[Line]) -> Option<Verdict> {
    let find = |variant, side| lines.iter().find(|line| line.variant == variant && line.side == side);
    let ours = find(goal.variant, "pool")?;
    let figure = match goal.judged {
        Judged::Median => ours.median,
        Judged::Worst => ours.max,
    };
    let reached = match goal.against {
        Against::Line { variant, side } => figure / find(variant, side)?.median,
        Against::Nobody => figure,
    };
    let Goal { bound, against, judged, .. } = *goal;
    Some(Verdict { name: ours.full_name(), bound, against, judged, unit: ours.unit, reached })
}

/// The bound in words.
pub(crate) fn bound_text(verdict: &Verdict) -> String {
    let (word, number) = match verdict.bound {
        Bound::AtMost(number) => ("at most", number),
        Bound::AtLeast(number) => ("at least", number),
    };
    let number = report::number(number);
    match verdict.against {
        Against::Nobody => format!("{word} {number} {}", verdict.unit.text()),
        Against::Line { variant: "", side } => format!("{word} {number} x {side}"),
        Against::Line { variant, side } => format!("{word} {number} x {side}@{variant}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Unit;

    fn line(variant: &'static str, side: &'static str, median: f64, max: f64) -> Line {
        Line { case: "case", variant, side, unit: Unit::Micros, median, min: median, max, rounds: 1 }
    }

    #[test]
    fn a_goal_compares_medians_or_our_worst_round() {
        let lines = [line("", "pool", 20.0, 40.0), line("", "pipe", 10.0, 90.0), line("two", "pool", 5.0, 5.0)];
        let reached = |goal: Goal| verdict(&goal, &lines).map(|verdict| (verdict.reached, verdict.is_met()));
        assert_eq!(reached(Goal::at_most(1.5).times("pipe")), Some((2.0, false)));
        assert_eq!(reached(Goal::at_least(1.5).times("pipe")), Some((2.0, true)));
        assert_eq!(reached(Goal::at_most(8.0).times_variant("two", "pool").at_worst()), Some((8.0, true)));
        assert_eq!(reached(Goal::at_most(0.0)), Some((20.0, false)));
        assert_eq!(reached(Goal::at_most(4.0).times("rayon")), None);
        assert_eq!(reached(Goal::at_most(4.0).on("three")), None);
    }

    #[test]
    fn a_goal_is_told_in_words() {
        let lines = [line("cold", "pool", 20.0, 40.0), line("", "memcpy", 10.0, 10.0)];
        let text = |goal: Goal| verdict(&goal, &lines).map(|verdict| bound_text(&verdict));
        assert_eq!(text(Goal::at_most(9.0).on("cold").times("memcpy")).as_deref(), Some("at most 9 x memcpy"));
        assert_eq!(text(Goal::at_most(9.0).on("cold")).as_deref(), Some("at most 9 us"));
    }
}
