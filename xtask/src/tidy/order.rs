//! The order of pool-core's modules: lib.rs lists them in reading order, and a module uses only modules above it.
//!
//! Keeps true: `crate::x` and `super::x` are both followed, one by one and in braces, and a name that lib.rs exports
//! counts as the module it comes from, so that no way around the order is open. A module's folder belongs to it.

use super::Complaint;
use super::lexer;
use super::tree::SourceFile;

const FOLDER: &str = "pool-core/src/";

/// How a file ends that holds a module's tests beside it.
const TESTS: &str = "_tests";

/// Every use of a module further down.
pub(super) fn complaints(files: &[SourceFile]) -> Vec<Complaint> {
    let Some(door) = files.iter().find(|file| file.path == format!("{FOLDER}lib.rs")) else {
        return vec![Complaint::new("pool-core/src/lib.rs", 1, "is not there")];
    };
    let door = Door::read(&tokens(&door.views.code));
    files.iter().filter(|file| file.is_rust()).flat_map(|file| wrong_uses(file, &door)).collect()
}

/// What lib.rs says: the modules in their order, and which of them each exported name comes from.
struct Door {
    modules: Vec<String>,
    exports: Vec<(String, String)>,
}

impl Door {
    fn read(tokens: &[Token<'_>]) -> Self {
        let mut door = Self { modules: Vec::new(), exports: Vec::new() };
        for (position, token) in tokens.iter().enumerate() {
            let next = |ahead: usize| tokens.get(position + ahead).map_or("", |token| token.text);
            if token.text == "mod" && next(2) == ";" {
                door.modules.push(next(1).to_owned());
            }
            if token.text == "use" {
                for path in use_tree(&tokens[position + 1..]) {
                    door.export(&path);
                }
            }
        }
        door
    }

    fn export(&mut self, path: &[&str]) {
        let path = match path {
            ["crate" | "self", rest @ ..] => rest,
            all => all,
        };
        if let [module, .., name] = path {
            self.exports.push(((*name).to_owned(), (*module).to_owned()));
        }
    }

    fn position(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|known| known == module)
    }

    /// The module that a name at the crate's root belongs to.
    fn owner<'door>(&'door self, name: &'door str) -> Option<&'door str> {
        if self.position(name).is_some() {
            return Some(name);
        }
        let export = self.exports.iter().find(|(exported, _)| exported == name);
        export.map(|(_, module)| module.as_str()).filter(|module| self.position(module).is_some())
    }
}

fn wrong_uses(file: &SourceFile, door: &Door) -> Vec<Complaint> {
    let Some((own, depth)) = place(&file.path) else { return Vec::new() };
    let Some(own_position) = door.position(own) else {
        return vec![Complaint::new(
            &file.path,
            1,
            format!("lib.rs has no `mod {own};`, so the order does not hold it"),
        )];
    };
    let mut complaints = Vec::new();
    for (name, line) in names_at_root(&tokens(&file.views.code), depth) {
        if name == "*" {
            complaints.push(Complaint::new(&file.path, line, "a glob of the whole crate hides what is used"));
        }
        let Some(owner) = door.owner(name) else { continue };
        if door.position(owner).is_some_and(|position| position > own_position) {
            let what = format!("`{own}` uses `{name}` of `{owner}`, which lib.rs lists further down");
            complaints.push(Complaint::new(&file.path, line, what));
        }
    }
    complaints
}

/// A file's module, and how many modules deep its code stands; nothing for lib.rs and for other crates.
fn place(path: &str) -> Option<(&str, usize)> {
    let inside = path.strip_prefix(FOLDER)?.strip_suffix(".rs")?;
    let parts: Vec<&str> = inside.split('/').collect();
    match parts.as_slice() {
        ["lib"] => None,
        [own @ .., "mod"] => Some((own.first()?, own.len())),
        // `thread_tests.rs` is the module `thread::tests`, kept in a file beside it.
        [own] if own.ends_with(TESTS) => Some((own.strip_suffix(TESTS)?, 2)),
        all => Some((all.first()?, all.len())),
    }
}

/// The first name of every path that begins at the crate's root, with its line.
fn names_at_root<'text>(tokens: &[Token<'text>], depth: usize) -> Vec<(&'text str, usize)> {
    let mut names = Vec::new();
    // The brace depths at which inline modules were opened: each makes `super` reach one module less far.
    let mut inline: Vec<usize> = Vec::new();
    let mut braces = 0_usize;
    for (position, token) in tokens.iter().enumerate() {
        let text = |ahead: usize| tokens.get(position + ahead).map_or("", |token| token.text);
        let before = position.checked_sub(1).map_or("", |before| tokens[before].text);
        match token.text {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inline.pop_if(|opened| *opened == braces);
            }
            "mod" if text(2) == "{" => inline.push(braces),
            "crate" if text(1) == "::" && before != "$" => names.extend(heads(&tokens[position + 2..])),
            "super" if before != "::" => {
                let supers = (0..).step_by(2).take_while(|ahead| text(*ahead) == "super").count();
                if supers == depth + inline.len() {
                    names.extend(heads(&tokens[position + 2 * supers..]));
                }
            }
            _ => {}
        }
    }
    names
}

/// The first names of a path or of a group of paths.
fn heads<'text>(tokens: &[Token<'text>]) -> Vec<(&'text str, usize)> {
    let line = tokens.first().map_or(0, |token| token.line);
    let mut heads: Vec<&str> = use_tree(tokens).iter().filter_map(|path| path.first().copied()).collect();
    heads.dedup();
    heads.into_iter().map(|head| (head, line)).collect()
}

/// The paths of a use tree, braces resolved; `a as b` is a path that ends with `b`.
fn use_tree<'text>(tokens: &[Token<'text>]) -> Vec<Vec<&'text str>> {
    let mut paths = Vec::new();
    read_tree(tokens, &mut Vec::new(), &mut paths);
    paths
}

/// Reads one tree behind `prefix` and returns how many tokens it took.
fn read_tree<'text>(tokens: &[Token<'text>], prefix: &mut Vec<&'text str>, paths: &mut Vec<Vec<&'text str>>) -> usize {
    let text = |position: usize| tokens.get(position).map_or("", |token| token.text);
    let outer = prefix.len();
    let mut position = 0;
    loop {
        if text(position) == "{" {
            position += read_group(&tokens[position..], prefix, paths);
            break;
        }
        prefix.push(text(position));
        position += 1;
        if text(position) == "::" {
            position += 1;
            continue;
        }
        if text(position) == "as" {
            prefix.push(text(position + 1));
            position += 2;
        }
        paths.push(prefix.clone());
        break;
    }
    prefix.truncate(outer);
    position
}

fn read_group<'text>(tokens: &[Token<'text>], prefix: &mut Vec<&'text str>, paths: &mut Vec<Vec<&'text str>>) -> usize {
    let mut position = 1;
    while let Some(token) = tokens.get(position) {
        match token.text {
            "}" => return position + 1,
            "," => position += 1,
            _ => position += read_tree(&tokens[position..], prefix, paths),
        }
    }
    position
}

/// A word or a mark of a code view.
struct Token<'text> {
    text: &'text str,
    line: usize,
}

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (text, line) in code.lines().zip(1..) {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let length = token_length(rest);
            tokens.push(Token { text: &rest[..length], line });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn token_length(text: &str) -> usize {
    let word = text.find(|character| !lexer::is_word(character)).unwrap_or(text.len());
    match word {
        0 if text.starts_with("::") => 2,
        0 => text.chars().next().map_or(1, char::len_utf8),
        length => length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOOR: &str = "//! X.\nmod error;\nmod task;\npub mod future;\nmod manager;\n\
                        pub use error::TaskError;\npub use self::manager::{state::Event, Manager as Boss};\n";

    /// The lines complained about in a file of pool-core with that text.
    fn said(path: &str, text: &str) -> Vec<usize> {
        let files =
            [SourceFile::new("pool-core/src/lib.rs", DOOR), SourceFile::new(&format!("pool-core/src/{path}"), text)];
        complaints(&files).into_iter().map(|complaint| complaint.line).collect()
    }

    #[test]
    fn a_module_may_use_what_is_above_it_and_itself() {
        let text = "use crate::error::TaskError;\nuse crate::{error, future, manager::state};\nuse super::task;\n";
        assert_eq!(said("manager.rs", text), Vec::<usize>::new());
        assert_eq!(said("manager/feeder.rs", text), Vec::<usize>::new());
    }

    #[test]
    fn a_module_may_not_use_what_is_below_it() {
        assert_eq!(said("task.rs", "use crate::manager::Manager;\n"), [1]);
        assert_eq!(said("task.rs", "\nuse crate::{error::{self, X}, future::Future, manager};\n"), [2, 2]);
        assert_eq!(said("task.rs", "fn a() {\n    crate::future::wake();\n}\n"), [2]);
        assert_eq!(said("task/table.rs", "use crate :: future;\n"), [1]);
        assert_eq!(said("error/mod.rs", "use crate::\n    task;\n"), [2]);
    }

    #[test]
    fn super_counts_where_it_reaches_the_root() {
        assert_eq!(said("task.rs", "use super::manager;\n"), [1]);
        assert_eq!(said("task/mod.rs", "use super::manager;\n"), [1]);
        assert_eq!(said("task/table.rs", "use super::manager;\nuse super::super::manager;\n"), [2]);
        let tests = "mod tests {\n    use super::*;\n    use super::manager;\n    use super::super::manager;\n}\n";
        assert_eq!(said("task.rs", tests), [4]);
        assert_eq!(said("task.rs", &format!("{tests}fn a() {{ super::future::f() }}\n")), [4, 6]);
    }

    #[test]
    fn an_exported_name_counts_as_its_module() {
        assert_eq!(said("task.rs", "use crate::Event;\nuse crate::TaskError;\nuse crate::{Boss};\n"), [1, 3]);
    }

    #[test]
    fn a_glob_of_the_whole_crate_is_refused() {
        assert_eq!(said("task.rs", "use crate::*;\n"), [1]);
        assert_eq!(said("task.rs", "use crate::error::*;\n"), Vec::<usize>::new());
    }

    #[test]
    fn comments_strings_and_other_crates_do_not_count() {
        assert_eq!(said("task.rs", "// crate::manager\nlet a = \"crate::manager\";\n"), Vec::<usize>::new());
        let files =
            [SourceFile::new("pool-core/src/lib.rs", DOOR), SourceFile::new("pool-ipc/src/task.rs", "crate::manager;")];
        assert!(complaints(&files).is_empty());
    }

    #[test]
    fn a_file_that_the_order_does_not_hold_is_told() {
        assert_eq!(said("stray.rs", "//! X.\n"), [1]);
        assert_eq!(said("task_tests.rs", "use super::super::error;\nuse super::super::manager;\n"), [2]);
    }
}
