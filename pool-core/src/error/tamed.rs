//! What a task said, as it stands in an error.
//!
//! Keeps true: it has a bounded length, and nothing in it that a terminal would obey; what was tamed is not changed again.

use std::fmt::Write;

use pool_ipc::harmless;

/// The most bytes of it that an error keeps.
const MOST_BYTES: usize = 64 * 1024;

/// Room for the words about what is left out.
const NOTE_BYTES: usize = 64;

/// The text, lines and all, with other control characters escaped; of a long one the beginning.
pub(crate) fn tamed(text: &str) -> String {
    let begin = &text[..text.floor_char_boundary(MOST_BYTES)];
    let mut tamed = escaped(begin);
    if begin.len() < text.len() || tamed.len() > MOST_BYTES {
        tamed.truncate(tamed.floor_char_boundary(MOST_BYTES - NOTE_BYTES));
        write!(tamed, "... (the beginning of {} bytes)", text.len()).expect("a string takes what is written");
    }
    tamed
}

/// The same, of any length.
pub(crate) fn escaped(text: &str) -> String {
    text.split('\n').map(harmless).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_what_a_terminal_would_obey_does_not() {
        assert_eq!(tamed("left: 1\nright:\t2\n"), "left: 1\nright:\t2\n");
        assert_eq!(tamed("\x1b[2J\r\0"), "\\u{1b}[2J\\r\\u{0}");
        assert_eq!(tamed(""), "");
    }

    #[test]
    fn of_a_long_text_the_beginning_is_kept_and_its_length_told() {
        for long in ["x".repeat(MOST_BYTES + 1), "\u{e9}".repeat(MOST_BYTES), "\0".repeat(MOST_BYTES / 2)] {
            let kept = tamed(&long);
            assert!(kept.len() <= MOST_BYTES, "{}", kept.len());
            assert!(kept.ends_with(&format!("... (the beginning of {} bytes)", long.len())), "{}", long.len());
            assert_eq!(tamed(&kept), kept, "it is not cut again");
        }
        let whole = "x".repeat(MOST_BYTES);
        assert_eq!(tamed(&whole), whole);
    }
}
