//! The last of what a worker wrote, and how it is shown to people.
//!
//! What holds: it takes a bounded number of bytes, whatever is written; its text has nothing in it that a terminal would
//! obey, and nothing that would reorder the words around it. What never happens here: a change to what is passed on.

use std::collections::VecDeque;

use crate::harmless::harmless;

/// How many bytes are kept of a worker: some screens of text.
const MOST_BYTES: usize = 8 * 1024;

/// The end of a stream of bytes.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
    /// Something was written before that is not kept.
    is_cut: bool,
    /// How many lines are shown.
    lines: usize,
}

impl Tail {
    pub(super) fn new(lines: usize) -> Self {
        Self { bytes: VecDeque::new(), is_cut: false, lines }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let fresh = &bytes[bytes.len().saturating_sub(MOST_BYTES)..];
        let surplus = (self.bytes.len() + fresh.len()).saturating_sub(MOST_BYTES);
        self.is_cut |= surplus > 0 || fresh.len() < bytes.len();
        self.bytes.drain(..surplus);
        self.bytes.extend(fresh);
    }

    /// The last lines, without blank ones at their end; `None` where nothing was written.
    pub(super) fn text(&self) -> Option<String> {
        // The rest of a character whose beginning is not kept says nothing.
        let rest = |byte: u8| self.is_cut && byte & 0xc0 == 0x80;
        let bytes: Vec<u8> = self.bytes.iter().copied().skip_while(|&byte| rest(byte)).collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let hidden = lines.len().saturating_sub(self.lines);
        let mut shown: Vec<String> = lines.iter().skip(hidden).map(|line| harmless(line)).collect();
        if self.is_cut
            && hidden == 0
            && let Some(first) = shown.first_mut()
        {
            first.insert_str(0, "...");
        }
        (!shown.is_empty()).then(|| shown.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::harmless::moves_others;

    fn text(lines: usize, bytes: &[u8]) -> Option<String> {
        let mut tail = Tail::new(lines);
        tail.push(bytes);
        tail.text()
    }

    #[test]
    fn the_last_lines_are_shown() {
        assert_eq!(text(2, b"one\ntwo\r\nthree\n\n").as_deref(), Some("two\nthree"));
        assert_eq!(text(9, b"one\n\nhalf a li").as_deref(), Some("one\n\nhalf a li"));
        assert_eq!(text(9, b""), None);
        assert_eq!(text(9, b" \n\n"), None);
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_not_done() {
        assert_eq!(text(1, b"\x1b[2J\x07\ta\rb\x7f\0").as_deref(), Some("\\u{1b}[2J\\u{7}\ta\\rb\\u{7f}\\u{0}"));
        assert_eq!(text(1, "\u{9b}31m\u{202e}x".as_bytes()).as_deref(), Some(r"\u{9b}31m\u{202e}x"));
        assert_eq!(text(1, b"caf\xe9 \xf0\x9f\x8d\xb2").as_deref(), Some("caf\u{fffd} \u{1f372}"));
    }

    #[test]
    fn of_a_long_line_the_end_is_shown_and_that_it_is_one() {
        let long = "\u{e4}".repeat(MOST_BYTES) + "!";
        let shown = text(3, long.as_bytes()).unwrap();
        assert!(shown.starts_with("...\u{e4}") && shown.ends_with("\u{e4}!"), "{shown}");
        let lines = "line\n".repeat(MOST_BYTES);
        assert_eq!(text(2, lines.as_bytes()).as_deref(), Some("line\nline"));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_bounded_and_harmless(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..8),
            lines in 1usize..20,
        ) {
            let mut tail = Tail::new(lines);
            for piece in &pieces {
                tail.push(piece);
                prop_assert!(tail.bytes.len() <= MOST_BYTES);
            }
            if let Some(shown) = tail.text() {
                prop_assert!(shown.lines().count() <= lines && !shown.is_empty());
                let is_harmless = |c: char| matches!(c, '\n' | '\t') || !c.is_control() && !moves_others(c);
                prop_assert!(shown.chars().all(is_harmless));
            }
            prop_assert_eq!(text(lines, &pieces.concat()), tail.text());
        }
    }
}
