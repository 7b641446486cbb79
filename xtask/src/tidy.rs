//! `tidy`: the project's own rules, which neither rustc nor clippy checks.
//!
//! Keeps true: each rule is a function from text to complaints, tried with texts that break it; the whole tree is
//! checked by `cargo xtask check` and by a test, so by `cargo test` too. Never edits a file.

mod arrows;
mod lexer;
mod order;
mod text;
mod tree;
mod unsafety;

use std::fmt;
use std::path::Path;

use crate::task::TaskError;

/// One place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// The file, from the root.
    pub(crate) path: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong, and what to do.
    pub(crate) what: String,
}

impl Complaint {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Every complaint about the tree below `root`.
pub(crate) fn complaints(root: &Path) -> Result<Vec<Complaint>, TaskError> {
    let files = tree::read(root)?;
    let mut complaints = Vec::new();
    for file in &files {
        complaints.extend(text::complaints(file));
        complaints.extend(arrows::complaints(file));
        complaints.extend(unsafety::complaints(file));
    }
    complaints.extend(text::stale_exceptions(&files));
    complaints.extend(unsafety::stale_entries(&files));
    complaints.extend(order::complaints(&files));
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let complaints = complaints(&crate::workspace::root()).unwrap();
        let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn the_tree_is_really_read() {
        let files = tree::read(&crate::workspace::root()).unwrap();
        for path in ["Cargo.toml", "Cargo.lock", ".ci/run", "xtask/src/tidy.rs", "pool-core/src/lib.rs"] {
            assert!(files.iter().any(|file| file.path == path), "{path} was not read");
        }
    }
}
