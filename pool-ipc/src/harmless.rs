//! Text of other processes, as people may see it.
//!
//! What holds: nothing is left in it that a terminal would obey, and nothing that would reorder the words around it.

/// The line with all escaped that is more than a mark on the screen. What is escaped already stays as it is.
pub fn harmless(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => shown.push(character),
            _ if character.is_control() || moves_others(character) => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Whether a character breaks lines, or decides on the direction of others: Unicode's line separators, and the marks,
/// embeddings, overrides and isolates of its bidirectional algorithm.
pub(crate) fn moves_others(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_stays_escaped() {
        let once = harmless("a\tb\u{1b}[2J\u{202e}\r\\");
        assert_eq!(once, "a\tb\\u{1b}[2J\\u{202e}\\r\\");
        assert_eq!(harmless(&once), once);
    }
}
