//! Pools of Python, each case in a Python of its own that is asked for one figure after the other.

use std::process::Command;

use crate::case::{Failure, Measure};
use crate::children::Asked;
use crate::setting::Setting;

/// Every Python side there is.
pub(crate) const SIDES: [&str; 5] = ["cpython", "cpython-pool", "loky", "pebble", "mpire"];

/// The program, which knows all peers and cases. It is a file, since workers of Python start it again.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/bench.py");

/// Starts that peer for that case. Each figure is the answer to `question`.
pub(crate) fn start(setting: &Setting, peer: &str, case: &str, question: String) -> Result<Measure, Failure> {
    let mut command = Command::new(&setting.python);
    let mut asked = Asked::start(command.env("PYTHONDONTWRITEBYTECODE", "1").args([PROGRAM, peer, case]))?;
    // It says so once its pool has worked.
    asked.answer()?;
    Ok(Box::new(move || asked.ask(&question)))
}
