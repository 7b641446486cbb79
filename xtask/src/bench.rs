//! `cargo xtask bench`: the benchmarks, built for speed.
//!
//! Never builds them for anybody who did not ask: the crate stands outside the default members. What a run needs beside
//! its own program is made here too: an environment for peers in Python, and the program with an idle worker.

use std::path::PathBuf;
use std::process::Command;

use crate::options::{Opt, Value};
use crate::pythons;
use crate::run;
use crate::task::{Task, TaskError};
use crate::workspace;

pub(crate) const TASK: Task = Task {
    name: "bench",
    usage: "\
usage: cargo xtask bench [--quick] [--case NAME] [--json FILE] [--svg FILE] [--peers LIST]

Builds pool-bench with optimisation across crates and runs it; its exit code is
ours: 0 whether goals are met or not, 1 if something could not be measured.
  --quick       fewer rounds and smaller sizes: every case within three minutes
  --case NAME   only this case:
                ping_pong, ping_pong_hot, single_submits,
                submit_from_8_threads, map_auto, map_skewed, map_5ms,
                echo_1mib, echo_64mib, echo_shared, broadcast_64mib, start_two,
                start_64_big_parent, pending_1m, many_workers, sixteen_on_two,
                idle, worker_memory, callbacks or wait_100k
  --json FILE   writes the figures of every side
  --svg FILE    draws how each figure stands to its goal
  --peers LIST  who is measured beside the pool, with commas between: rayon,
                procspawn, ipc-channel, cpython (these four if there is no
                such option), cpython-pool, loky, pebble, mpire; or all.
                The last three are installed into an environment of their own",
    options: Some(&[
        Opt { name: "--quick", value: Value::Nothing },
        Opt { name: "--case", value: Value::OneOf(&CASES) },
        Opt { name: "--json", value: Value::File },
        Opt { name: "--svg", value: Value::File },
        Opt { name: "--peers", value: Value::SomeOf(&PEERS) },
    ]),
    perform,
};

/// Those of pool-bench, and those that wait for something the pool has no way to do yet.
const CASES: [&str; 20] = [
    "ping_pong",
    "ping_pong_hot",
    "single_submits",
    "submit_from_8_threads",
    "map_auto",
    "map_skewed",
    "map_5ms",
    "echo_1mib",
    "echo_64mib",
    "echo_shared",
    "broadcast_64mib",
    "start_two",
    "start_64_big_parent",
    "pending_1m",
    "many_workers",
    "sixteen_on_two",
    "idle",
    "worker_memory",
    "callbacks",
    "wait_100k",
];

/// Those of pool-bench.
const PEERS: [&str; 8] = ["rayon", "procspawn", "ipc-channel", "cpython", "cpython-pool", "loky", "pebble", "mpire"];

/// The case that needs a program of its own.
const IDLE_WORKER: &str = "worker_memory";

fn perform(arguments: &[String]) -> Result<u8, TaskError> {
    require()?;
    let arguments = with_whole_paths(arguments)?;
    build(&["--profile", "bench-lto", "--package", "pool-bench", "--bin", "pool-bench"])?;
    let mut command = Command::new(workspace::target().join("bench-lto/pool-bench"));
    command.args(&arguments);
    if value_of("--case", &arguments).is_none_or(|case| case == IDLE_WORKER) {
        build(&["--release", "--package", "pool-demo", "--example", "idle_worker"])?;
        command.env("POOL_BENCH_IDLE_WORKER", workspace::target().join("release/examples/idle_worker"));
    }
    if let Some(python) = python(value_of("--peers", &arguments))? {
        command.env("POOL_BENCH_PYTHON", python);
    }
    Err(run::become_program(&mut command).into())
}

/// Whether the crate is there.
pub(crate) fn require() -> Result<(), TaskError> {
    match workspace::root().join("pool-bench/Cargo.toml").exists() {
        true => Ok(()),
        false => Err(TaskError::Failed("there is no pool-bench in this checkout".to_owned())),
    }
}

pub(crate) fn build(what: &[&str]) -> Result<(), TaskError> {
    match run::status(workspace::cargo().args(["build", "--quiet"]).args(what))?.success() {
        true => Ok(()),
        false => Err(TaskError::Failed(format!("cargo build {} failed", what.join(" ")))),
    }
}

/// An environment with those of the wanted peers that have to be installed. One that cannot be had is told, and then left
/// out by the program.
fn python(peers: Option<&str>) -> Result<Option<PathBuf>, TaskError> {
    let wanted = |name: &str| peers.is_some_and(|peers| peers == "all" || peers.split(',').any(|peer| peer == name));
    let packages: Vec<_> = pythons::PACKAGES.iter().filter(|(name, _)| PEERS.contains(name) && wanted(name)).collect();
    if packages.is_empty() {
        return Ok(None);
    }
    let python = pythons::environment("bench-peers")?;
    for (name, version) in packages {
        if !pythons::install(&python, name, version)? {
            eprintln!("xtask bench: {name} {version} could not be installed");
        }
    }
    Ok(Some(python))
}

fn value_of<'a>(option: &str, arguments: &'a [String]) -> Option<&'a str> {
    arguments.windows(2).rev().find(|pair| pair[0] == option).map(|pair| pair[1].as_str())
}

/// The same with files where the caller means them: seen from the caller's directory.
fn with_whole_paths(arguments: &[String]) -> Result<Vec<String>, TaskError> {
    let mut whole = arguments.to_vec();
    for at in 1..whole.len() {
        if matches!(whole[at - 1].as_str(), "--json" | "--svg") {
            let path = std::path::absolute(&whole[at]);
            let path = path.map_err(|error| TaskError::Failed(format!("{}: {error}", whole[at])))?;
            whole[at] = path.to_string_lossy().into_owned();
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands in quotes behind each of these words in a file of pool-bench.
    fn quoted_behind(file: &str, word: &str) -> Vec<String> {
        let source = std::fs::read_to_string(workspace::root().join("pool-bench/src").join(file)).unwrap();
        source.split(word).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    }

    #[test]
    fn the_cases_are_those_of_the_program() {
        let files = std::fs::read_dir(workspace::root().join("pool-bench/src/cases")).unwrap();
        let files = files.map(|file| format!("cases/{}", file.unwrap().file_name().to_str().unwrap()));
        let mut names: Vec<String> =
            files.flat_map(|file| quoted_behind(&file, " Case = Case {\n    name: \"")).collect();
        names
            .extend(quoted_behind("cases/mod.rs", "Awaited { name: \"").into_iter().filter(|name| !name.contains('@')));
        names.sort();
        let mut cases = CASES;
        cases.sort_unstable();
        assert_eq!(names, cases);
        assert!(CASES.iter().all(|case| TASK.usage.contains(case)), "{}", TASK.usage);
    }

    #[test]
    fn the_peers_are_those_of_the_program() {
        assert_eq!(quoted_behind("options.rs", "\n    (\""), PEERS);
        assert!(PEERS.iter().all(|peer| TASK.usage.contains(peer)), "{}", TASK.usage);
    }

    #[test]
    fn files_are_those_that_the_caller_means() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let whole = with_whole_paths(&words("--svg a.svg --case idle --json /b.json")).unwrap();
        assert_eq!(value_of("--json", &whole), Some("/b.json"));
        let svg = std::env::current_dir().unwrap().join("a.svg");
        assert_eq!(value_of("--svg", &whole), svg.to_str());
        assert_eq!(value_of("--peers", &whole), None);
    }
}
