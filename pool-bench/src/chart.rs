//! The goals as a picture: how each figure stands to what is allowed, on a logarithmic scale.
//!
//! Keeps true: a bar that ends left of the line is a goal that is met, whichever way the goal points. It is text that a
//! browser draws, made by hand, as it has no more than bars and words.

use std::fmt::Write;

use crate::case::{Outcome, Verdict};
use crate::harness::bound_text;
use crate::report;

const ROW: f64 = 24.0;
const TOP: f64 = 64.0;
/// Where the names end and the scale begins.
const LEFT: f64 = 250.0;
const SCALE: f64 = 430.0;
const WIDTH: f64 = 1000.0;

/// What the scale goes from and to: multiples of what is allowed.
const LEAST: f64 = 0.01;
const MOST: f64 = 100.0;

/// The whole picture.
pub(crate) fn text(outcomes: &[Outcome]) -> String {
    let verdicts: Vec<&Verdict> = outcomes.iter().flat_map(|outcome| &outcome.verdicts).collect();
    let height = ROW.mul_add(verdicts.len() as f64, TOP + 40.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    words(
        &mut svg,
        (12.0, 22.0),
        "start",
        "Measured, as a multiple of what the goal allows: left of the line it is met",
    );
    words(&mut svg, (12.0, 40.0), "start", &report::machine_text());
    grid(&mut svg, height - 30.0);
    for (verdict, row) in verdicts.iter().zip(0_u32..) {
        bar(&mut svg, verdict, ROW.mul_add(f64::from(row), TOP));
    }
    svg.push_str("</svg>\n");
    svg
}

fn grid(svg: &mut String, bottom: f64) {
    for multiple in [0.01, 0.1, 1.0, 10.0, 100.0] {
        let (x, colour) = (position(multiple), if multiple == 1.0 { "black" } else { "lightgrey" });
        line(svg, x, (TOP - 8.0, bottom), colour);
        words(svg, (x, bottom + 16.0), "middle", &multiple.to_string());
    }
}

fn bar(svg: &mut String, verdict: &Verdict, top: f64) {
    let colour = if verdict.is_met() { "seagreen" } else { "firebrick" };
    let (one, end) = (position(1.0), position(verdict.of_allowed()));
    let (from, width) = (one.min(end), (one - end).abs().max(2.0));
    push(
        svg,
        format_args!("<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"14\" fill=\"{colour}\"/>\n"),
    );
    let middle = top + 12.0;
    words(svg, (LEFT - 12.0, middle), "end", &verdict.name);
    let told = format!("{} ({})", report::number(verdict.reached), bound_text(verdict));
    words(svg, (LEFT + SCALE + 16.0, middle), "start", &told);
}

/// Where a multiple of what is allowed stands; the scale has ends.
fn position(multiple: f64) -> f64 {
    let part = (multiple.clamp(LEAST, MOST) / LEAST).log10() / (MOST / LEAST).log10();
    SCALE.mul_add(part, LEFT)
}

fn line(svg: &mut String, x: f64, (top, bottom): (f64, f64), colour: &str) {
    push(svg, format_args!("<path d=\"M{x:.1} {top:.1}V{bottom:.1}\" stroke=\"{colour}\"/>\n"));
}

fn words(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    push(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"));
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("a string takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Against, Bound, Judged, Unit};

    fn verdict(bound: Bound, reached: f64) -> Verdict {
        let name = "case".to_owned();
        Verdict { name, bound, against: Against::Nobody, judged: Judged::Median, unit: Unit::Count, reached }
    }

    #[test]
    fn a_goal_that_is_met_ends_left_of_the_line() {
        for (bound, met, missed) in
            [(Bound::AtMost(2.0), 1.0, 3.0), (Bound::AtLeast(2.0), 3.0, 1.0), (Bound::AtMost(0.0), 0.0, 7.0)]
        {
            assert!(position(verdict(bound, met).of_allowed()) <= position(1.0), "{bound:?}");
            assert!(position(verdict(bound, missed).of_allowed()) > position(1.0), "{bound:?}");
        }
    }

    #[test]
    fn every_goal_has_a_bar_and_the_picture_ends() {
        let verdicts = vec![verdict(Bound::AtMost(2.0), 1.0), verdict(Bound::AtLeast(2.0), f64::MIN_POSITIVE)];
        let svg = text(&[Outcome { lines: Vec::new(), verdicts }]);
        assert_eq!((svg.matches("fill=\"seagreen\"").count(), svg.matches("fill=\"firebrick\"").count()), (1, 1));
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
