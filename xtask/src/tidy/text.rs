//! Rules about each file by itself: how it opens, how long it is, what it is called, and words that stay out.

use super::Complaint;
use super::tree::SourceFile;

/// How long a Rust file may be.
const LONGEST: usize = 500;

/// Files that may be longer, each with the reason. It should stay empty.
const LONGER: [(&str, &str); 0] = [];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

/// Marks of work left undone.
const UNDONE: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Parts of a host's name that tell a package registry or a mirror of one.
const REGISTRIES: [&str; 9] =
    ["crates.io", "registry", "artifactory", "nexus", "mirror", "proxy", "pypi", "npmjs", "index."];

/// The one registry that the lock file may name.
const LOCKED_SOURCE: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";

/// Every complaint about one file by itself.
pub(super) fn complaints(file: &SourceFile) -> Vec<Complaint> {
    if file.path.ends_with(".lock") {
        return locked_sources(file);
    }
    let mut complaints = spaces(file);
    complaints.extend(name(file));
    complaints.extend(registries(file));
    if file.is_rust() {
        complaints.extend(opening(file));
        complaints.extend(length(file, &LONGER));
        complaints.extend(undone(file));
        complaints.extend(attributes(file));
    }
    complaints
}

/// Exceptions that are no longer needed.
pub(super) fn stale_exceptions(files: &[SourceFile]) -> Vec<Complaint> {
    stale(files, &LONGER)
}

fn stale(files: &[SourceFile], longer: &[(&str, &str)]) -> Vec<Complaint> {
    let needed = |path: &str| files.iter().any(|file| file.path == path && file.text.lines().count() > LONGEST);
    longer
        .iter()
        .filter(|(path, _)| !needed(path))
        .map(|(path, _)| Complaint::new(path, 1, "needs its exception in xtask/src/tidy/text.rs no longer"))
        .collect()
}

fn opening(file: &SourceFile) -> Option<Complaint> {
    let good = file.text.starts_with("//!");
    (!good).then(|| Complaint::new(&file.path, 1, "does not open with `//!` saying what it keeps true"))
}

fn length(file: &SourceFile, longer: &[(&str, &str)]) -> Option<Complaint> {
    let lines = file.text.lines().count();
    let too_long = lines > LONGEST && !longer.iter().any(|(path, _)| *path == file.path);
    too_long.then(|| Complaint::new(&file.path, lines, format!("has {lines} lines; {LONGEST} is the wall: split it")))
}

fn name(file: &SourceFile) -> Option<Complaint> {
    let part = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let empty = part.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(Complaint::new(&file.path, 1, format!("the name `{empty}` does not say what is inside")))
}

fn spaces(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        if line.contains('\t') {
            complaints.push(Complaint::new(&file.path, number, "a tab: indent with blanks"));
        }
        if line.ends_with([' ', '\r']) {
            complaints.push(Complaint::new(&file.path, number, "a blank at the end of the line"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        complaints.push(Complaint::new(&file.path, file.text.lines().count(), "the last line does not end"));
    }
    complaints
}

fn undone(file: &SourceFile) -> Vec<Complaint> {
    let lines = file.views.comments.lines().zip(file.views.code.lines()).zip(1..);
    lines
        .flat_map(|((comment, code), number)| {
            let found = UNDONE.into_iter().filter(move |mark| has_word(comment, mark) || has_word(code, mark));
            found.map(move |mark| Complaint::new(&file.path, number, format!("`{mark}`: do it, or open an issue")))
        })
        .collect()
}

fn attributes(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, number) in file.views.code.lines().zip(1..) {
        let line: String = line.split_whitespace().collect();
        if line.contains("#[allow(") || line.contains("#![allow(") {
            complaints.push(Complaint::new(&file.path, number, "`allow`: use `expect` with a reason"));
        }
        if line.contains("#[ignore") || line.contains(",ignore]") || line.contains(",ignore)") {
            complaints.push(Complaint::new(&file.path, number, "an ignored test proves nothing: mend or remove it"));
        }
    }
    complaints
}

fn registries(file: &SourceFile) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        for host in hosts(line) {
            if REGISTRIES.iter().any(|part| host.contains(part)) {
                complaints.push(Complaint::new(&file.path, number, format!("names the registry host `{host}`")));
            }
        }
    }
    complaints
}

fn locked_sources(file: &SourceFile) -> Vec<Complaint> {
    let foreign = |line: &str| line.starts_with("source = ") && line != LOCKED_SOURCE;
    let lines = file.text.lines().zip(1..).filter(|(line, _)| foreign(line));
    lines.map(|(line, number)| Complaint::new(&file.path, number, format!("a foreign source: {line}"))).collect()
}

/// The hosts of the URLs in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    ["http://", "https://"].into_iter().flat_map(move |scheme| {
        line.match_indices(scheme).map(move |(position, _)| {
            let rest = &line[position + scheme.len()..];
            rest.split(|character: char| !(character.is_alphanumeric() || ".-_@:".contains(character)))
                .next()
                .unwrap_or(rest)
        })
    })
}

fn has_word(text: &str, word: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(position, _)| {
        let before = text[..position].chars().next_back();
        let after = text[position + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rules say of a Rust file with that text behind a good opening.
    fn said(text: &str) -> Vec<String> {
        let file = SourceFile::new("pool-core/src/x.rs", &format!("//! X.\n{text}"));
        complaints(&file).into_iter().map(|complaint| complaint.what).collect()
    }

    fn said_of(path: &str, text: &str) -> usize {
        complaints(&SourceFile::new(path, text)).len()
    }

    #[test]
    fn a_tidy_file_is_left_alone() {
        assert_eq!(said("fn ignore() { let a = \"#[ignore] \\t\"; }\n"), Vec::<String>::new());
    }

    #[test]
    fn a_file_opens_with_what_it_keeps_true() {
        assert_eq!(said_of("a/x.rs", "fn main() {}\n"), 1);
        assert_eq!(said_of("a/x.rs", "// No.\n"), 1);
        assert_eq!(said_of("a/x.rs", "//! Yes.\n"), 0);
    }

    #[test]
    fn a_file_over_the_wall_needs_an_exception_and_an_exception_needs_the_file() {
        let long = SourceFile::new("a/x.rs", &"//!\n".repeat(LONGEST + 1));
        let short = SourceFile::new("a/x.rs", &"//!\n".repeat(LONGEST));
        let exception = [("a/x.rs", "a table")];
        assert!(length(&long, &[]).is_some());
        assert!(length(&long, &exception).is_none() && length(&short, &[]).is_none());
        assert_eq!(stale(&[long], &exception).len(), 0);
        assert_eq!(stale(&[short], &exception).len(), 1);
    }

    #[test]
    fn empty_names_are_refused_for_files_and_folders() {
        assert_eq!(said_of("a/utils.rs", "//! X.\n"), 1);
        assert_eq!(said_of("a/tests/common/mod.rs", "//! X.\n"), 1);
        assert_eq!(said_of("a/helper-threads.rs", "//! X.\n"), 0);
    }

    #[test]
    fn tabs_and_trailing_blanks_are_refused() {
        assert_eq!(said("fn a() {} \n").len(), 1);
        assert_eq!(said("\tfn a() {}\n").len(), 1);
        assert_eq!(said("fn a() {}").len(), 1);
        assert_eq!(said_of(".ci/run", "set -e \n"), 1);
    }

    #[test]
    fn work_left_undone_is_refused_in_comments_and_code() {
        for mark in UNDONE {
            assert_eq!(said(&format!("// {mark}: later\n")).len(), 1);
            assert_eq!(said(&format!("let {mark} = 1;\n")).len(), 1);
            assert_eq!(said(&format!("// {mark}S are fine\nlet a = \"{mark}\";\n")).len(), 0);
        }
    }

    #[test]
    fn ignored_tests_and_allowed_lints_are_refused() {
        assert_eq!(said("#[ignore]\n").len(), 1);
        assert_eq!(said("#[ignore = \"slow\"]\n").len(), 1);
        assert_eq!(said("#[cfg_attr(miri, ignore)]\n").len(), 1);
        assert_eq!(said("#[allow(dead_code)]\n").len(), 1);
        assert_eq!(said("#![ allow(dead_code)]\n").len(), 1);
        assert_eq!(said("#[expect(dead_code, reason = \"x\")]\n// #[ignore]\n").len(), 0);
    }

    #[test]
    fn registry_hosts_are_refused_and_other_pages_are_not() {
        // In pieces, since this rule reads what stands in literals too.
        let page = |host: &str| format!("// See https:{}{host}/x\n", "//");
        assert_eq!(said(&page("my-registry.example:8080")).len(), 1);
        assert_eq!(said_of("a/Cargo.toml", &page("sparse.proxy.example").replace("// See", "#")), 1);
        assert_eq!(said("// See https://docs.rs/log and https://example.org/registry\n").len(), 0);
    }

    #[test]
    fn the_lock_file_names_one_registry() {
        assert_eq!(said_of("Cargo.lock", &format!("{LOCKED_SOURCE}\n")), 0);
        assert_eq!(said_of("Cargo.lock", "source = \"registry+https://elsewhere.example/index\"\n"), 1);
    }
}
