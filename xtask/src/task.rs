//! What a task is: a name, a usage text, and a function from arguments to an exit code.
//!
//! Keeps true: a wrong call and a failure are told apart, so that they leave with different exit codes.

use crate::options::Opt;
use crate::run::RunError;

/// One command of `cargo xtask`.
pub(crate) struct Task {
    /// What the caller types.
    pub(crate) name: &'static str,
    /// What `help` prints, and every wrong call.
    pub(crate) usage: &'static str,
    /// The options that it takes, if it hands them on to a program that must be built first; else it judges them itself.
    pub(crate) options: Option<&'static [Opt]>,
    /// Does it; the number is the exit code.
    pub(crate) perform: fn(&[String]) -> Result<u8, TaskError>,
}

/// Why a task has no exit code of its own.
#[derive(Debug)]
pub(crate) enum TaskError {
    /// The arguments make no sense: exit code 2, with the usage.
    WrongCall(String),
    /// The task could not be done: exit code 1.
    Failed(String),
}

impl From<RunError> for TaskError {
    fn from(error: RunError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A file that could not be read or written is a failure that names the file.
pub(crate) fn file_error(path: &std::path::Path, error: &std::io::Error) -> TaskError {
    TaskError::Failed(format!("{}: {error}", path.display()))
}
