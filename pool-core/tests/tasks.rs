//! What the compiler says to a call that cannot work. Each file of `compile_errors` is a program that must not build; its
//! first lines say what its author must get to read.
//!
//! The programs are built with `cargo build`, as the check for captured values is made when code is generated, which
//! `cargo check` does not do.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Long enough for a first build on a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(600);

#[test]
fn calls_that_cannot_work_are_refused_in_words_that_help() {
    let programs = programs();
    assert!(programs.len() >= 10, "{programs:?}");
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_errors");
    fs::create_dir_all(&package).unwrap();
    // Test runs that share a target directory take turns.
    let turn = fs::File::create(package.join("turn")).unwrap();
    turn.lock().unwrap();
    write_package(&package, &programs);
    let wrong: Vec<String> = programs.iter().filter_map(|program| complaint(&package, program)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_errors");
    let mut programs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    programs.sort();
    programs
}

/// Makes a package of the programs, which uses the same versions of everything as this one.
fn write_package(package: &Path, programs: &[PathBuf]) {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manifest = format!(
        "[package]\nname = \"compile_errors\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [profile.dev]\ndebug = false\n[dependencies]\npool-core.path = {core:?}\n"
    );
    for program in programs {
        manifest += &format!("[[bin]]\nname = {:?}\npath = {program:?}\n", name(program));
    }
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::copy(core.join("../Cargo.lock"), package.join("Cargo.lock")).unwrap();
}

fn name(program: &Path) -> &str {
    program.file_stem().unwrap().to_str().unwrap()
}

/// What is wrong with the compiler's words on a program, if anything is.
fn complaint(package: &Path, program: &Path) -> Option<String> {
    let words = build(package, name(program));
    let source = fs::read_to_string(program).unwrap();
    let expected: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//! expect: ")).collect();
    assert!(!expected.is_empty(), "{} expects nothing", program.display());
    // The compiler breaks no lines, but a sentence may go on in the next note.
    let missing: Vec<&&str> = expected.iter().filter(|sentence| !words.contains(**sentence)).collect();
    let built = words.contains(" Finished ");
    (built || !missing.is_empty()).then(|| format!("{}: missing {missing:?} in\n{words}", name(program)))
}

/// What cargo says.
#[expect(clippy::disallowed_methods, reason = "this child is cargo, not a worker")]
fn build(package: &Path, program: &str) -> String {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.args(["build", "--offline", "--color", "never", "--bin", program]).arg("--target-dir");
    cargo.arg(package.join("target")).current_dir(package).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = cargo.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let (send, receive) = mpsc::channel();
    let reader = std::thread::Builder::new().spawn(move || {
        let mut words = String::new();
        let read = stderr.read_to_string(&mut words).map(|_| words);
        send.send(read).unwrap();
    });
    let words = receive.recv_timeout(WATCHDOG);
    if words.is_err() {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    reader.unwrap().join().unwrap();
    words.expect("cargo builds a small program within the watchdog's time").unwrap()
}
