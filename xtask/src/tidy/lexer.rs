//! Splits Rust text into its code and its comments.
//!
//! Keeps true: both views have the lines of the text, so that a line number in one is the line number in the file; what
//! stands in a string or character literal is in neither, so that a rule is not broken by talking about it.

/// A file's code and its comments; whatever belongs to the other view is a blank.
#[derive(Default)]
pub(super) struct Views {
    /// The code, with the insides of literals blank.
    pub(super) code: String,
    /// The comments, doc comments included.
    pub(super) comments: String,
}

/// Both views of a text.
pub(super) fn split(text: &str) -> Views {
    let mut lexer = Lexer { rest: text, views: Views::default(), before: ' ' };
    while !lexer.rest.is_empty() {
        let length = lexer.element();
        let (element, rest) = lexer.rest.split_at(length);
        lexer.before = element.chars().next_back().unwrap_or(' ');
        lexer.rest = rest;
    }
    lexer.views
}

/// The words of a code view, each with its line; a word is what may be an identifier or a keyword.
pub(super) fn words(code: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines = code.lines().zip(1..);
    lines.flat_map(|(line, number)| {
        let words = line.split(|character| !is_word(character)).filter(|word| !word.is_empty());
        words.map(move |word| (word, number))
    })
}

struct Lexer<'text> {
    rest: &'text str,
    views: Views,
    /// The character before `rest`.
    before: char,
}

impl Lexer<'_> {
    /// Copies the next element into the view it belongs to and returns its length in bytes.
    fn element(&mut self) -> usize {
        let rest = self.rest;
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            return self.comment(length);
        }
        if rest.starts_with("/*") {
            return self.comment(block_comment(rest));
        }
        if let Some(length) = raw_string(rest).filter(|_| !is_word(self.before)) {
            return self.literal(length);
        }
        if rest.starts_with('"') {
            return self.literal(quoted(rest, '"'));
        }
        if let Some(length) = character(rest) {
            return self.literal(length);
        }
        let length = rest.chars().next().map_or(0, char::len_utf8);
        self.views.code.push_str(&rest[..length]);
        self.views.comments.push_str(&blank(&rest[..length]));
        length
    }

    fn comment(&mut self, length: usize) -> usize {
        self.views.comments.push_str(&self.rest[..length]);
        self.views.code.push_str(&blank(&self.rest[..length]));
        length
    }

    fn literal(&mut self, length: usize) -> usize {
        let blank = blank(&self.rest[..length]);
        self.views.code.push_str(&blank);
        self.views.comments.push_str(&blank);
        length
    }
}

fn blank(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

/// Whether the character may stand in an identifier.
pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of a block comment, in which others may be nested.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < text.len() {
        if text[position..].starts_with("/*") {
            depth += 1;
            position += 2;
        } else if text[position..].starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += text[position..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a literal that ends with `quote`, with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return position + character.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"..."`, `r#"..."#`, `br"..."`, `cr"..."`, if the text starts with one.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |position| start + position + end.len()))
}

/// The length of a character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        return Some(quoted(text, '\''));
    }
    inside[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_comments_are_apart_and_literals_are_in_neither() {
        let views = split("let a = \"unsafe // no\"; // unsafe\nlet b = 1; /* x /* y */ z */ c");
        let words: Vec<&str> = views.code.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(words, ["let", "a", "=", ";"]);
        assert!(views.comments.contains("// unsafe") && !views.comments.contains("no"));
        assert!(views.code.ends_with(" c") && !views.code.contains('z'));
    }

    #[test]
    fn raw_strings_characters_and_lifetimes_are_told_apart() {
        let views = split("r#\"a \" b\"# x; '\"' y; &'a str; '\\'' z; b'q'; br\"w\" ; forr\"s\"");
        let words: Vec<&str> = views.code.split_whitespace().collect();
        assert_eq!(words, ["x;", "y;", "&'a", "str;", "z;", "b", ";", ";", "forr"]);
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "\"one\ntwo\"\n/* three\nfour */ five\n// ü\nsix";
        let views = split(text);
        assert_eq!(views.code.lines().count(), text.lines().count());
        assert_eq!(views.code.lines().nth(3).unwrap().trim(), "five");
        assert_eq!(views.code.lines().nth(5).unwrap(), "six");
        assert_eq!(views.comments.lines().nth(4).unwrap(), "// ü");
    }

    #[test]
    fn text_that_does_not_end_is_read_to_its_end() {
        for text in ["\"open", "/* open", "r#\"open", "'", "'\\", "\\"] {
            let _ = split(text);
        }
    }
}
