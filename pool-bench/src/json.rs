//! The figures for programs.
//!
//! Keeps true: one object a side and variant; names are ours and need no escapes; figures are finite.

use crate::case::{Line, Outcome};

/// `{"results": [...]}`.
pub(crate) fn text(outcomes: &[Outcome]) -> String {
    let lines: Vec<String> = outcomes.iter().flat_map(|outcome| &outcome.lines).map(object).collect();
    format!("{{\"results\": [\n{}\n]}}\n", lines.join(",\n"))
}

fn object(line: &Line) -> String {
    let Line { side, median, min, max, rounds, .. } = line;
    let (case, unit) = (line.full_name(), line.unit.text());
    format!(
        "  {{\"case\": \"{case}\", \"side\": \"{side}\", \"unit\": \"{unit}\", \"median\": {median}, \"min\": {min}, \
         \"max\": {max}, \"rounds\": {rounds}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Unit;

    #[test]
    fn a_variant_stands_behind_the_case() {
        let line = |variant| Line {
            case: "echo",
            variant,
            side: "pool",
            unit: Unit::Millis,
            median: 2.5,
            min: 1.0,
            max: 4.0,
            rounds: 3,
        };
        let outcome = Outcome { lines: vec![line(""), line("cold")], verdicts: Vec::new() };
        let rest = r#""side": "pool", "unit": "ms", "median": 2.5, "min": 1, "max": 4, "rounds": 3}"#;
        let lines = format!("  {{\"case\": \"echo\", {rest},\n  {{\"case\": \"echo@cold\", {rest}");
        assert_eq!(text(&[outcome]), format!("{{\"results\": [\n{lines}\n]}}\n"));
    }
}
