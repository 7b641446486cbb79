//! Python, with the pools of Python that ours is compared with.
//!
//! Keeps true: each is installed by its exact version, into an environment of its own below the build directory, made
//! anew. One that cannot be had is told as such, and is no failure of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;
use crate::task::TaskError;
use crate::workspace;

/// The packages, each with the version that is measured.
pub(crate) const PACKAGES: [(&str, &str); 4] =
    [("loky", "3.7.0"), ("pebble", "5.2.3"), ("mpire", "2.10.2"), ("deadpool-executor", "2026.7.1")];

/// The Python of a new environment of that name.
pub(crate) fn environment(name: &str) -> Result<PathBuf, TaskError> {
    let folder = workspace::target().join("xtask").join(name);
    let mut python = Command::new("python3");
    match run::status(python.args(["-m", "venv", "--clear"]).arg(&folder))?.success() {
        true => Ok(folder.join("bin/python")),
        false => Err(TaskError::Failed(format!("python3 could not make an environment in {}", folder.display()))),
    }
}

/// Whether that package could be installed.
pub(crate) fn install(python: &Path, name: &str, version: &str) -> Result<bool, TaskError> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &format!("{name}=={version}")]);
    Ok(run::status(&mut pip)?.success())
}
