//! Reads the files that the rules look at.
//!
//! Never enters what is built or what git keeps.

use std::fs;
use std::path::Path;

use super::lexer::{self, Views};
use crate::task::{TaskError, file_error};

/// One file of the tree.
pub(super) struct SourceFile {
    /// Its path from the root, with `/`.
    pub(super) path: String,
    /// All of it.
    pub(super) text: String,
    /// A Rust file's code and comments, apart; for other files both are empty.
    pub(super) views: Views,
}

impl SourceFile {
    /// A file with that path and that text.
    pub(super) fn new(path: &str, text: &str) -> Self {
        let views = if is_rust(path) { lexer::split(text) } else { Views::default() };
        Self { path: path.to_owned(), text: text.to_owned(), views }
    }

    /// Whether it holds Rust code.
    pub(super) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }
}

/// Every file below `root` that people write, sorted by path.
pub(super) fn read(root: &Path) -> Result<Vec<SourceFile>, TaskError> {
    let mut files = Vec::new();
    enter(root, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn enter(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), TaskError> {
    let entries = fs::read_dir(folder).map_err(|error| file_error(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| file_error(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let below = format!("{prefix}{name}");
        if path.is_dir() {
            if name != ".git" && name != "target" && !path.join("CACHEDIR.TAG").exists() {
                enter(&path, &format!("{below}/"), files)?;
            }
        } else if is_written_by_people(&below) {
            let text = fs::read_to_string(&path).map_err(|error| file_error(&path, &error))?;
            files.push(SourceFile::new(&below, &text));
        }
    }
    Ok(())
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_written_by_people(path: &str) -> bool {
    [".rs", ".toml", ".md", ".lock", ".sh", ".py"].iter().any(|ending| path.ends_with(ending))
        || path.starts_with(".ci/")
}
