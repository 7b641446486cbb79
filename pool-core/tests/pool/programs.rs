//! Programs of their own: built as their authors would build them, and run.
//!
//! They are built together, once, with panics that abort.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use pool_core::{Broken, Builder, StartFailure, SubmitError, TaskError};

use crate::backends::pool;

claims! { on_processes:
    a_program_of_another_build_breaks_the_pool_and_is_named,
}

#[test]
fn d07_a_main_that_reads_its_arguments_first_has_working_workers() {
    let output = run(&program("parses_arguments_first"), &["2", "40"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1099511627776\n");
    assert_eq!(run(&program("parses_arguments_first"), &["2"]).status.code(), Some(2));
}

#[test]
fn d09_panics_that_abort_are_told_and_the_pool_goes_on() {
    let output = run(&program("aborts"), &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "passed\n");
}

#[test]
fn a_child_without_hook_and_init_says_what_to_do_and_exits_with_3() {
    let advised = "call pool_core::init() first in main";
    for (hook, code, told) in [("1", "Some(3)\n", 1), ("0", "it ran\nSome(0)\n", 0)] {
        let output = run_with(&program("without_init"), &[], &[("POOL_CORE_NO_HOOK", hook)]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), code, "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((stderr.matches(advised).count(), stderr.lines().count()), (told, told), "{stderr}");
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_child_whose_main_ends_without_init_says_what_to_do_and_exits_with_3() {
    let advised = "which never ran, as main ended before; call pool_core::init() first in main";
    for (hook, stdout, told) in [("1", "main ran Some(3)\n", 1), ("0", "the function ran Some(0)\n", 0)] {
        let output = run_with(&program("ends_without_init"), &[], &[("POOL_CORE_NO_HOOK", hook)]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((stderr.matches(advised).count(), stderr.lines().count()), (told, told), "{stderr}");
    }
}

#[test]
fn a_pool_without_hook_and_init_advises_once_and_is_broken_with_the_same_advice() {
    let advised = "call pool_core::init() first in main";
    let output = run_with(&program("pool_without_init"), &[], &[("POOL_CORE_NO_HOOK", "1")]);
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(stdout.starts_with("Err(") && stdout.contains(advised), "{stdout}");
    assert_eq!((stderr.matches(advised).count(), stderr.lines().count()), (1, 1), "{stderr}");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn d10_workers_write_their_coverage_profiles() {
    let profiles = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profiles-{}", std::process::id()));
    fs::create_dir_all(&profiles).unwrap();
    let pattern = profiles.join("%p.profraw");
    let output = run_with(&covered(), &[], &[("LLVM_PROFILE_FILE", pattern.to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
    let mut expected: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(|pid| format!("{pid}.profraw")).collect();
    let mut written: Vec<String> =
        fs::read_dir(&profiles).unwrap().map(|entry| named_profile(&entry.unwrap())).collect();
    expected.sort();
    written.sort();
    assert_eq!((written.len(), written), (2, expected));
    fs::remove_dir_all(&profiles).unwrap();
}

/// The name of a profile that has something in it.
fn named_profile(entry: &fs::DirEntry) -> String {
    assert!(entry.metadata().unwrap().len() > 0, "{entry:?}");
    entry.file_name().into_string().unwrap()
}

fn a_program_of_another_build_breaks_the_pool_and_is_named(builder: Builder) {
    let pool = pool(builder.worker_command(program("aborts"), [""; 0]), 1);
    let end = pool.submit(u32::pow, (2, 8)).unwrap().result();
    let Err(TaskError::Broken(broken)) = &end else { panic!("{end:?}") };
    let Broken::Start(failure) = &**broken else { panic!("{broken}") };
    assert!(matches!(**failure, StartFailure::OtherBuild { .. }), "{failure}");
    assert!(failure.to_string().contains("another build"), "{failure}");
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    run_with(program, arguments, &[])
}

/// Runs a program to its end. What hangs in there is ended by the harness around the tests.
#[expect(clippy::disallowed_methods, reason = "this child is a program under test, not a worker")]
fn run_with(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let _watchdog = crate::watchdog::Watchdog::new({
        let program = program.to_owned();
        move || format!("{}", program.display())
    });
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG").envs(variables.iter().copied()).output().unwrap()
}

/// Where the program is, once all are built.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(name)
}

/// The programs as they are built by everybody.
fn build() -> PathBuf {
    let package = write_package();
    cargo(&package, "build", &[]);
    package.join("target/debug")
}

/// The program that writes a profile, which it alone is built for: not what it depends on.
fn covered() -> PathBuf {
    let package = write_package();
    cargo(&package, "rustc", &["--bin", "covered", "--features", "covered", "--", "-C", "instrument-coverage"]);
    package.join("target/debug/covered")
}

#[expect(clippy::disallowed_methods, reason = "this child is cargo, not a worker")]
fn cargo(package: &Path, command: &str, arguments: &[&str]) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.args([command, "--offline", "--color", "never", "--target-dir"]).arg(package.join("target")).args(arguments);
    let output = cargo.current_dir(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a package of the programs, which uses the same versions of everything as this one.
fn write_package() -> PathBuf {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&package).unwrap();
    let mut manifest = format!(
        "[package]\nname = \"programs\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
         [profile.dev]\ndebug = \"line-tables-only\"\npanic = \"abort\"\n[dependencies]\npool-core.path = {core:?}\n"
    );
    let names =
        ["aborts", "parses_arguments_first", "without_init", "pool_without_init", "ends_without_init", "covered"];
    for name in names {
        let path = core.join("tests/programs").join(name).with_extension("rs");
        manifest += &format!("[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    // The last one is built by who asks for it only, lest somebody else's build takes its place.
    manifest += "required-features = [\"covered\"]\n[features]\ncovered = []\n";
    let path = package.join("Cargo.toml");
    // Left alone where it is the same, as another process may be building from it.
    if fs::read_to_string(&path).is_ok_and(|present| present == manifest) {
        return package;
    }
    fs::copy(core.join("../Cargo.lock"), package.join("Cargo.lock")).unwrap();
    fs::write(path, manifest).unwrap();
    package
}
