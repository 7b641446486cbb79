//! What a case is: its stages, the sides of each, and the goals that compare them.
//!
//! Keeps true: names, units and sides are those that a reader of the JSON looks for. Never: measures.

use std::error::Error;

use crate::children::Asked;
use crate::setting::Setting;

/// Why something could not be measured.
pub(crate) type Failure = Box<dyn Error>;

/// One figure of a side.
pub(crate) type Measure = Box<dyn FnMut() -> Result<f64, Failure>>;

/// One thing that is compared.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What is done, in one line.
    pub(crate) about: &'static str,
    /// They run one after the other, as each has conditions of its own.
    pub(crate) stages: &'static [Stage],
}

/// Sides that take turns under the same conditions.
pub(crate) struct Stage {
    /// Starts them all.
    pub(crate) sides: fn(&Setting, &mut Sides<'_>) -> Result<(), Failure>,
    pub(crate) rounds: Rounds,
    pub(crate) beside: Beside,
    pub(crate) goals: &'static [Goal],
}

/// How often each side takes its turn.
#[derive(Clone, Copy)]
pub(crate) enum Rounds {
    /// As often as the run's options say, after one that is thrown away.
    Usual,
    /// So often, in a quick run too, after one that is thrown away: where the worst round counts.
    Always(usize),
    /// Once: where a figure takes long and does not depend on what is warm.
    Once,
}

/// What is printed beside a stage.
#[derive(Clone, Copy)]
pub(crate) enum Beside {
    Nothing,
    /// How long a cache line takes to the other core and back.
    CacheLine,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Micros,
    PerSecond,
    Millis,
    Bytes,
    Count,
}

impl Unit {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Micros => "us",
            Self::PerSecond => "per_s",
            Self::Millis => "ms",
            Self::Bytes => "bytes",
            Self::Count => "count",
        }
    }
}

/// One who takes a turn.
pub(crate) struct Side {
    /// Empty for the plain case.
    pub(crate) variant: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) measure: Measure,
}

/// The sides of a stage, as they are started.
pub(crate) struct Sides<'s> {
    setting: &'s Setting,
    sides: Vec<Side>,
    company: Vec<Asked>,
}

impl<'s> Sides<'s> {
    pub(crate) fn new(setting: &'s Setting) -> Self {
        Self { setting, sides: Vec::new(), company: Vec::new() }
    }

    /// Ours, or a limit that is always measured.
    pub(crate) fn own(
        &mut self,
        variant: &'static str,
        name: &'static str,
        unit: Unit,
        measure: impl FnMut() -> Result<f64, Failure> + 'static,
    ) {
        self.sides.push(Side { variant, name, unit, measure: Box::new(measure) });
    }

    /// Somebody else, if the run wants it. One that cannot be had is told, and is no failure.
    pub(crate) fn peer(
        &mut self,
        variant: &'static str,
        name: &'static str,
        unit: Unit,
        start: impl FnOnce() -> Result<Measure, Failure>,
    ) {
        if !self.setting.wants(name) {
            return;
        }
        match start() {
            Ok(measure) => self.sides.push(Side { variant, name, unit, measure }),
            Err(error) => println!("  {name} is left out: {error}"),
        }
    }

    /// Company of the sides, which stays for as long as they take turns.
    pub(crate) fn keep(&mut self, company: Asked) {
        self.company.push(company);
    }

    /// The sides, and who stays beside them.
    pub(crate) fn into_parts(self) -> (Vec<Side>, Vec<Asked>) {
        (self.sides, self.company)
    }
}

/// What a figure of ours should come to.
pub(crate) struct Goal {
    /// The variant whose `pool` is judged.
    pub(crate) variant: &'static str,
    pub(crate) bound: Bound,
    pub(crate) against: Against,
    pub(crate) judged: Judged,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The median of a side of the same stage.
    Line { variant: &'static str, side: &'static str },
    /// Nobody: the bound is the figure.
    Nobody,
}

/// Which of our figures is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Median,
    /// The largest.
    Worst,
}

impl Goal {
    pub(crate) const fn at_most(factor: f64) -> Self {
        Self { variant: "", bound: Bound::AtMost(factor), against: Against::Nobody, judged: Judged::Median }
    }

    pub(crate) const fn at_least(factor: f64) -> Self {
        Self { variant: "", bound: Bound::AtLeast(factor), against: Against::Nobody, judged: Judged::Median }
    }

    /// As a multiple of that side in the plain case.
    pub(crate) const fn times(self, side: &'static str) -> Self {
        self.times_variant("", side)
    }

    /// As a multiple of that side in that variant.
    pub(crate) const fn times_variant(mut self, variant: &'static str, side: &'static str) -> Self {
        self.against = Against::Line { variant, side };
        self
    }

    /// For this variant of ours.
    pub(crate) const fn on(mut self, variant: &'static str) -> Self {
        self.variant = variant;
        self
    }

    /// For our worst round.
    pub(crate) const fn at_worst(mut self) -> Self {
        self.judged = Judged::Worst;
        self
    }
}

/// What one side came to.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) case: &'static str,
    pub(crate) variant: &'static str,
    pub(crate) side: &'static str,
    pub(crate) unit: Unit,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: usize,
}

impl Line {
    /// `case`, or `case@variant`.
    pub(crate) fn full_name(&self) -> String {
        full_name(self.case, self.variant)
    }
}

/// `case`, or `case@variant`.
pub(crate) fn full_name(case: &str, variant: &str) -> String {
    if variant.is_empty() { case.to_owned() } else { format!("{case}@{variant}") }
}

/// What a stage came to.
pub(crate) struct Outcome {
    pub(crate) lines: Vec<Line>,
    pub(crate) verdicts: Vec<Verdict>,
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// `case`, or `case@variant`.
    pub(crate) name: String,
    pub(crate) bound: Bound,
    pub(crate) against: Against,
    pub(crate) judged: Judged,
    pub(crate) unit: Unit,
    /// Our figure, or its ratio to the other's.
    pub(crate) reached: f64,
}

impl Verdict {
    pub(crate) fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.reached <= most,
            Bound::AtLeast(least) => self.reached >= least,
        }
    }

    /// How the figure stands to the goal: up to 1 is met.
    pub(crate) fn of_allowed(&self) -> f64 {
        match self.bound {
            Bound::AtMost(most) if most > 0.0 => self.reached / most,
            // A goal of nothing at all: met by nothing, and missed by whatever there is.
            Bound::AtMost(_) => 1.0 + self.reached,
            Bound::AtLeast(least) => least / self.reached,
        }
    }
}
