//! The last lines of a worker's stderr, and other errors, as they stand in the text of an error.

use std::fmt;

/// Shows the lines below a text that is about their worker, if there are any.
pub(super) fn write_last_lines(f: &mut fmt::Formatter<'_>, stderr: Option<&str>) -> fmt::Result {
    stderr.map_or(Ok(()), |stderr| write_below(f, "its last lines on stderr", stderr))
}

/// Shows the lines below a text that is about several workers, of which this is one.
pub(super) fn write_last_lines_of(f: &mut fmt::Formatter<'_>, pid: u32, stderr: Option<&str>) -> fmt::Result {
    stderr.map_or(Ok(()), |stderr| write_below(f, &format!("the last lines of worker {pid} on stderr"), stderr))
}

fn write_below(f: &mut fmt::Formatter<'_>, what: &str, lines: &str) -> fmt::Result {
    write!(f, "\n  {what}:")?;
    lines.lines().try_for_each(|line| write!(f, "\n    {line}"))
}

/// Shows an error below the one that it is a part of.
pub(super) fn indented(error: &impl fmt::Display) -> String {
    error.to_string().replace('\n', "\n  ")
}
