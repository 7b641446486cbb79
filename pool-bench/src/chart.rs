//! The goals as a picture: how the pool, its peers and the limits of the machine stand to what is asked, on a logarithmic scale.
//!
//! Keeps true: further right is better, whichever way a figure points, and a bar that ends right of the line is a goal that is
//! met; whatever stands in a row was measured together. It is text that a browser draws, made by hand, as it has no more than
//! bars, marks and words, and it can be read at 900 pixels.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::case::{Against, Bound, Judged, Line, Outcome, Verdict};
use crate::report;

const ROW: f64 = 21.0;
const TOP: f64 = 118.0;
/// Where the names end and the scale begins.
const LEFT: f64 = 196.0;
const SCALE: f64 = 452.0;
const WIDTH: f64 = 900.0;
const MARGIN: f64 = 14.0;

/// What the scale goes from and to: multiples of what the goal asks for. What is beyond stands at its end.
const LEAST: f64 = 0.001;
const MOST: f64 = 100.0;

const MET: &str = "#009e73";
const MISSED: &str = "#d55e00";
const GREY: &str = "#595959";

/// How those that are no pool of ours are marked: colours that are told apart without seeing colours well, and two shapes.
const MARKS: [(&str, &str, Shape); 12] = [
    ("rayon", "#0072b2", Shape::Disc),
    ("procspawn", "#cc79a7", Shape::Disc),
    ("ipc-channel", "#56b4e9", Shape::Disc),
    ("cpython", "#e69f00", Shape::Disc),
    ("cpython-pool", "#8c6200", Shape::Disc),
    ("loky", "#7f3c8d", Shape::Disc),
    ("pebble", "#f0c000", Shape::Disc),
    ("mpire", "#a0522d", Shape::Disc),
    ("pipe", "#000000", Shape::Diamond),
    ("futex", "#8a8a8a", Shape::Diamond),
    ("memcpy", "#4d6a8f", Shape::Diamond),
    ("bare", "#5a7d2a", Shape::Diamond),
];

#[derive(Clone, Copy)]
enum Shape {
    /// Somebody else's pool.
    Disc,
    /// A limit of the machine.
    Diamond,
}

/// The whole picture.
pub(crate) fn text(outcomes: &[Outcome]) -> String {
    let rows: Vec<Row<'_>> = outcomes.iter().flat_map(rows_of).collect();
    let height = ROW.mul_add(rows.len() as f64, TOP + 42.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"DejaVu Sans, Verdana, sans-serif\" font-size=\"11.5\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    title(&mut svg, &rows);
    legend(&mut svg, &rows);
    stripes(&mut svg, rows.len());
    grid(&mut svg, height - 30.0);
    for (row, number) in rows.iter().zip(0_u32..) {
        row.draw(&mut svg, ROW.mul_add(f64::from(number), TOP));
    }
    svg.push_str("</svg>\n");
    svg
}

/// A goal, and who was measured under the same conditions in the same unit.
struct Row<'o> {
    verdict: &'o Verdict,
    ours: Option<&'o Line>,
    others: Vec<&'o Line>,
}

fn rows_of(outcome: &Outcome) -> impl Iterator<Item = Row<'_>> {
    outcome.verdicts.iter().map(|verdict| {
        let beside =
            || outcome.lines.iter().filter(|line| line.full_name() == verdict.name && line.unit == verdict.unit);
        let others = beside().filter(|line| line.side != "pool").collect();
        Row { verdict, ours: beside().find(|line| line.side == "pool"), others }
    })
}

impl Row<'_> {
    fn draw(&self, svg: &mut String, top: f64) {
        let (verdict, base) = (self.verdict, top + ROW - 7.0);
        let (line, end) = (position(1.0), position(1.0 / verdict.of_allowed()));
        let (from, width) = (line.min(end), (line - end).abs().max(3.0));
        let (colour, y) = (self.colour(), top + 5.0);
        push(
            svg,
            format_args!("<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"11\" fill=\"{colour}\"/>\n"),
        );
        for (other, score) in self.scores() {
            mark(svg, other.side, (position(score), top + ROW / 2.0));
        }
        words(svg, (LEFT - 12.0, base), "text-anchor=\"end\"", &verdict.name);
        words(svg, (LEFT + SCALE + 12.0, base), &format!("fill=\"{colour}\""), &told(verdict));
    }

    fn colour(&self) -> &'static str {
        if self.verdict.is_met() { MET } else { MISSED }
    }

    /// The others, each with what its figure comes to as a multiple of what is asked of ours.
    fn scores(&self) -> impl Iterator<Item = (&Line, f64)> {
        let own = 1.0 / self.verdict.of_allowed();
        let against = self.ours.map(|ours| match self.verdict.judged {
            Judged::Median => ours.median,
            Judged::Worst => ours.max,
        });
        let score = move |other: &Line| match self.verdict.bound {
            Bound::AtMost(_) => Some(own * against? / other.median),
            Bound::AtLeast(_) => Some(own * other.median / against?),
        };
        self.others.iter().filter_map(move |&other| Some((other, score(other)?)))
    }
}

fn told(verdict: &Verdict) -> String {
    let (sign, number) = match verdict.bound {
        Bound::AtMost(number) => ('\u{2264}', number),
        Bound::AtLeast(number) => ('\u{2265}', number),
    };
    let of = match verdict.against {
        Against::Nobody => verdict.unit.text().to_owned(),
        Against::Line { variant: "", side: "pool" } => "\u{d7} the plain case".to_owned(),
        Against::Line { variant, side: "pool" } => format!("\u{d7} {variant}"),
        Against::Line { side, .. } => format!("\u{d7} {side}"),
    };
    format!("{} {of} (goal {sign} {})", report::number(verdict.reached), report::number(number))
}

fn title(svg: &mut String, rows: &[Row<'_>]) {
    let met = rows.iter().filter(|row| row.verdict.is_met()).count();
    let first = format!("Measured, as a multiple of what is asked for: {met} of {} goals are met", rows.len());
    words(svg, (MARGIN, 26.0), "font-size=\"16\" font-weight=\"bold\"", &first);
    let second =
        format!("cargo xtask bench, {}, {}; diamonds are limits of the machine", today(), report::machine_text());
    words(svg, (MARGIN, 46.0), &format!("fill=\"{GREY}\""), &second);
}

/// Who is in the picture, two lines at most.
fn legend(svg: &mut String, rows: &[Row<'_>]) {
    let measured = |side: &str| rows.iter().flat_map(|row| &row.others).any(|line| line.side == side);
    push(svg, format_args!("<rect x=\"{MARGIN}\" y=\"60\" width=\"12\" height=\"9\" fill=\"{MET}\"/>\n"));
    push(svg, format_args!("<rect x=\"{}\" y=\"60\" width=\"12\" height=\"9\" fill=\"{MISSED}\"/>\n", MARGIN + 15.0));
    words(svg, (MARGIN + 33.0, 69.0), "", "this pool");
    let (mut x, mut y) = (MARGIN + 110.0, 65.0);
    for (side, ..) in MARKS.iter().filter(|(side, ..)| measured(side)) {
        let width = 7.3_f64.mul_add(side.len() as f64, 28.0);
        if x + width > WIDTH {
            (x, y) = (MARGIN + 110.0, y + 18.0);
        }
        mark(svg, side, (x, y));
        words(svg, (x + 10.0, y + 4.0), "", side);
        x += width;
    }
}

/// Every second row stands on grey, which leads the eye from its name to its figure.
fn stripes(svg: &mut String, rows: usize) {
    for row in (0..rows).step_by(2) {
        let (y, width) = (ROW.mul_add(row as f64, TOP), WIDTH - 2.0 * 6.0);
        push(
            svg,
            format_args!("<rect x=\"6\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{ROW}\" fill=\"#f4f4f4\"/>\n"),
        );
    }
}

fn grid(svg: &mut String, bottom: f64) {
    for multiple in [0.001, 0.01, 0.1, 1.0, 10.0, 100.0] {
        let (x, goal) = (position(multiple), multiple == 1.0);
        let (colour, width) = if goal { ("black", 1.5) } else { ("#d0d0d0", 1.0) };
        push(
            svg,
            format_args!(
                "<path d=\"M{x:.1} {:.1}V{bottom:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>\n",
                TOP - 6.0
            ),
        );
        let label = if goal { "the goal".to_owned() } else { format!("{multiple} \u{d7}") };
        for y in [TOP - 12.0, bottom + 16.0] {
            words(svg, (x, y), &format!("text-anchor=\"middle\" fill=\"{GREY}\""), &label);
        }
    }
    words(svg, (WIDTH - MARGIN, TOP - 12.0), &format!("text-anchor=\"end\" fill=\"{GREY}\""), "better \u{2192}");
}

/// Where a multiple of what is asked stands; the scale has ends.
fn position(multiple: f64) -> f64 {
    let part = (multiple.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    SCALE.mul_add(part, LEFT)
}

fn mark(svg: &mut String, side: &str, (x, y): (f64, f64)) {
    let Some(&(_, colour, shape)) = MARKS.iter().find(|(name, ..)| *name == side) else { return };
    let style = format!("fill=\"{colour}\" stroke=\"white\"><title>{side}</title>");
    match shape {
        Shape::Disc => push(svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" {style}</circle>\n")),
        Shape::Diamond => {
            push(svg, format_args!("<path d=\"M{x:.1} {:.1}l6 6l-6 6l-6 -6z\" {style}</path>\n", y - 6.0));
        }
    }
}

fn words(svg: &mut String, (x, y): (f64, f64), attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    push(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>\n"));
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes whatever is written to it");
}

fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(now.as_secs() / 86_400)
}

/// The date so many days after the first one of 1970, in UTC. Years are counted from March, so that a leap day ends one.
fn date(days: u64) -> String {
    const FOUR_CENTURIES: u64 = 146_097;
    let day = days + 719_468;
    let (era, of_era) = (day / FOUR_CENTURIES, day % FOUR_CENTURIES);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (FOUR_CENTURIES - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{:02}", of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Unit;
    use crate::options::PEERS;

    fn verdict(bound: Bound, reached: f64) -> Verdict {
        let name = "case".to_owned();
        Verdict { name, bound, against: Against::Nobody, judged: Judged::Median, unit: Unit::Count, reached }
    }

    fn line(side: &'static str, median: f64) -> Line {
        let (min, max) = (median, median);
        Line { case: "case", variant: "", side, unit: Unit::Count, median, min, max, rounds: 1 }
    }

    #[test]
    fn a_goal_that_is_met_ends_right_of_the_line() {
        for (bound, met, missed) in
            [(Bound::AtMost(2.0), 1.0, 3.0), (Bound::AtLeast(2.0), 3.0, 1.0), (Bound::AtMost(0.0), 0.0, 7.0)]
        {
            assert!(position(1.0 / verdict(bound, met).of_allowed()) >= position(1.0), "{bound:?}");
            assert!(position(1.0 / verdict(bound, missed).of_allowed()) < position(1.0), "{bound:?}");
        }
    }

    #[test]
    fn others_stand_to_the_goal_as_their_figures_do_to_ours() {
        for (bound, scores) in [(Bound::AtMost(2.0), [1.0, 0.2]), (Bound::AtLeast(2.0), [1.0, 5.0])] {
            // The goal is a figure of 2 of ours, and one of the others has that.
            let lines = vec![line("pool", 4.0), line("rayon", 2.0), line("pipe", 10.0)];
            let outcome = Outcome { lines, verdicts: vec![verdict(bound, 4.0)] };
            let row = rows_of(&outcome).next().expect("there is one goal");
            assert_eq!(row.scores().map(|(_, score)| score).collect::<Vec<_>>(), scores, "{bound:?}");
        }
    }

    #[test]
    fn every_goal_has_a_bar_and_the_picture_ends() {
        let verdicts = vec![verdict(Bound::AtMost(2.0), 1.0), verdict(Bound::AtLeast(2.0), f64::MIN_POSITIVE)];
        let svg = text(&[Outcome { lines: vec![line("pool", 1.0), line("rayon", 0.0)], verdicts }]);
        let bars = |colour| svg.matches(&format!("height=\"11\" fill=\"{colour}\"")).count();
        assert_eq!((bars(MET), bars(MISSED), svg.matches("<circle").count()), (1, 1, 3));
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn every_peer_has_a_mark() {
        assert!(PEERS.iter().all(|(peer, _)| MARKS.iter().any(|(name, ..)| name == peer)));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, text) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_513, "2026-03-01"), (47_540, "2100-02-28")]
        {
            assert_eq!(date(days), text);
        }
        assert_eq!(date(47_541), "2100-03-01");
    }
}
