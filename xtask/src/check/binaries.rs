//! Which test programs there are, and which tests each of them holds.
//!
//! Keeps true: every program of the default members is asked, also those without libtest's harness, which must answer
//! `--list --format terse` as libtest does; one that does not is an error that names it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;
use crate::task::TaskError;
use crate::workspace;

/// One built test program.
pub(super) struct TestProgram {
    path: PathBuf,
    /// The folder of its crate's Cargo.toml, where cargo runs it.
    folder: PathBuf,
}

/// Builds them all and asks cargo where they are.
pub(super) fn build() -> Result<Vec<TestProgram>, TaskError> {
    let mut command = workspace::cargo();
    let (status, text) = run::output(command.args(["test", "--no-run", "--message-format=json-render-diagnostics"]))?;
    if !status.success() {
        return Err(TaskError::Failed("the test programs do not build".to_owned()));
    }
    Ok(text.lines().filter_map(test_program).collect())
}

impl TestProgram {
    /// The names of its tests.
    pub(super) fn tests(&self) -> Result<Vec<String>, TaskError> {
        let (status, text) = run::output(self.command().args(["--list", "--format", "terse"]))?;
        let names = listed(&text);
        match names {
            Some(names) if status.success() => Ok(names),
            _ => Err(TaskError::Failed(format!("{} does not answer `--list --format terse`", self.path.display()))),
        }
    }

    /// The program, started as cargo starts it.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command
    }

    /// Its file name without the hash.
    pub(super) fn name(&self) -> String {
        let file = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.rsplit_once('-').map_or(file.clone(), |(name, _hash)| name.to_owned())
    }
}

/// The names of a terse list; nothing if a line is no entry of such a list.
fn listed(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.rsplit_once(": ")? {
            (name, "test") => names.push(name.to_owned()),
            (_, "benchmark") => {}
            _ => return None,
        }
    }
    Some(names)
}

/// The test program that one of cargo's messages announces, if it does.
fn test_program(message: &str) -> Option<TestProgram> {
    let (_, profile) = message.split_once("\"profile\":{")?;
    let (profile, _) = profile.split_once('}')?;
    let is_test = message.contains("\"reason\":\"compiler-artifact\"") && profile.contains("\"test\":true");
    let path = text_field(message, "executable").filter(|_| is_test)?;
    let manifest = text_field(message, "manifest_path")?;
    Some(TestProgram { path: path.into(), folder: Path::new(&manifest).parent()?.to_path_buf() })
}

/// A text field of a JSON object on one line; paths on this platform hold no escapes but `\"` and `\\`.
fn text_field(line: &str, field: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("\"{field}\":\""))?;
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARTIFACT: &str = r#"{"reason":"compiler-artifact","manifest_path":"/w/pool-ipc/Cargo.toml","target":{"test":true},"profile":{"opt_level":"0","test":true},"filenames":[],"executable":"/t/deps/pool_ipc-0a1b"}"#;

    #[test]
    fn a_test_program_is_found_in_cargos_message() {
        let program = test_program(ARTIFACT).unwrap();
        assert_eq!(program.path, Path::new("/t/deps/pool_ipc-0a1b"));
        assert_eq!(program.folder, Path::new("/w/pool-ipc"));
        assert_eq!(program.name(), "pool_ipc");
    }

    #[test]
    fn a_program_that_is_no_test_is_left_out() {
        let demo = ARTIFACT.replace(r#""opt_level":"0","test":true"#, r#""opt_level":"0","test":false"#);
        assert!(test_program(&demo).is_none());
        assert!(test_program(&ARTIFACT.replace(r#""/t/deps/pool_ipc-0a1b""#, "null")).is_none());
    }

    #[test]
    fn a_list_is_read_and_anything_else_refused() {
        assert_eq!(listed("a::b: test\nc: benchmark\n").unwrap(), ["a::b"]);
        assert!(listed("Worker pid=3\n").is_none());
        assert_eq!(listed("").unwrap(), Vec::<String>::new());
    }
}
