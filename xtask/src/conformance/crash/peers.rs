//! Other pools, made to live through the same rows: where they come from, and how their results are read.
//!
//! Keeps true: each is of an exact version; one that cannot be had is told as such, and is no failure of ours. Never puts
//! a word into the table that was not measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::print;
use crate::pythons;
use crate::run;
use crate::task::TaskError;
use crate::workspace;

/// The Rust one; the version stands in pool-bench's Cargo.toml.
const PROCSPAWN: &str = "1.0.2";

/// What was measured.
pub(super) struct Measured {
    /// The peers, in the order in which they are shown.
    pub(super) peers: Vec<Peer>,
    /// Those that could not be had, with the reason.
    pub(super) absent: Vec<String>,
    pub(super) cells: Vec<Cell>,
}

/// Another pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) version: String,
}

/// What one row came to with one peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) peer: String,
    pub(super) row: String,
    pub(super) verdict: String,
    pub(super) detail: String,
}

/// Installs what can be installed, and plays every row with each.
pub(super) fn measure() -> Result<Measured, TaskError> {
    let python = pythons::environment("crash-peers")?;
    let mut absent = Vec::new();
    let mut peers = vec![Peer { name: "cpython".to_owned(), version: python_version(&python)? }];
    for (name, version) in pythons::PACKAGES {
        match pythons::install(&python, name, version)? {
            true => peers.push(Peer { name: name.to_owned(), version: version.to_owned() }),
            false => absent.push(format!("{name} {version} could not be installed")),
        }
    }
    let mut command = Command::new(&python);
    command.arg(workspace::root().join("pool-bench/peers/crash_table.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    match procspawn()? {
        Some(program) => {
            command.arg("--procspawn").arg(program).arg(PROCSPAWN);
            peers.push(Peer { name: "procspawn".to_owned(), version: PROCSPAWN.to_owned() });
        }
        None => absent.push(format!("procspawn {PROCSPAWN} could not be built")),
    }
    let pythons = peers.iter().filter(|peer| peer.name != "procspawn");
    command.args(pythons.map(|peer| format!("{}={}", peer.name, peer.version)));
    Ok(Measured { cells: play(&mut command)?, peers, absent })
}

/// Runs the driver, which takes some minutes, and shows what it says as it comes.
fn play(command: &mut Command) -> Result<Vec<Cell>, TaskError> {
    let mut bytes = Vec::new();
    let status = run::stream(command, |piece| {
        print::aside(piece);
        bytes.extend_from_slice(piece);
    })?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&bytes).lines().filter_map(cell).collect()),
        false => Err(TaskError::Failed(format!("the peers' driver left with {status}"))),
    }
}

/// A line of the driver: `PEER | VERSION | ROW | VERDICT | DETAIL`.
fn cell(line: &str) -> Option<Cell> {
    let fields: Vec<&str> = line.splitn(5, " | ").collect();
    let [peer, _version, row, verdict, detail] = *fields else { return None };
    let owned = str::to_owned;
    Some(Cell { peer: owned(peer), row: owned(row), verdict: owned(verdict), detail: owned(detail) })
}

fn python_version(python: &Path) -> Result<String, TaskError> {
    let (_, text) =
        run::output(Command::new(python).args(["-c", "import platform; print(platform.python_version())"]))?;
    Ok(text.trim().to_owned())
}

/// The cell's program for procspawn, if it builds.
fn procspawn() -> Result<Option<PathBuf>, TaskError> {
    let mut build = workspace::cargo();
    build.args(["build", "--quiet", "--package", "pool-bench", "--example", "procspawn_cell"]);
    let built = run::status(&mut build)?.success();
    Ok(built.then(|| workspace::target().join("debug/examples/procspawn_cell")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_driver_is_read_whatever_its_detail_holds() {
        let read = cell("loky | 3.7.0 | aborts | broken | own task: a | b").unwrap();
        assert_eq!((read.peer.as_str(), read.row.as_str(), read.verdict.as_str()), ("loky", "aborts", "broken"));
        assert_eq!(read.detail, "own task: a | b");
        assert_eq!(cell("Traceback (most recent call last):"), None);
    }
}
