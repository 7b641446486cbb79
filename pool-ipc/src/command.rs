//! What a child process runs: the program, its arguments, its environment, its directory.
//!
//! Keeps true: what no system can take is told before anything is started, by name. Never starts anything, and never looks
//! at what is there.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use crate::groups::Groups;

/// Which program a worker process runs. The default is this very program, by the file that it was started from even if
/// another has taken its name since, with this process's own arguments and environment.
#[derive(Clone, Debug, Default)]
pub struct WorkerCommand {
    /// The executable; none means this one.
    pub program: Option<PathBuf>,
    /// Its arguments; none means this process's.
    pub arguments: Option<Vec<OsString>>,
    /// Variables to set, or with `None` to remove, beyond what is inherited.
    pub environment: BTreeMap<OsString, Option<OsString>>,
    /// The directory to start in; none means this process's.
    pub directory: Option<PathBuf>,
    /// How much private memory the worker may have, in bytes, and each process that it starts; none means what this process
    /// may. Memory that it shares with this process does not count.
    pub memory_limit: Option<NonZeroU64>,
    /// Where a control group is made for it; none means that it is in this process's.
    pub cgroup: Option<Arc<Groups>>,
}

impl WorkerCommand {
    /// Looks for what the system cannot be given: strings end at a NUL byte there, and the name of a variable at a `=`.
    ///
    /// # Errors
    /// There is such a thing; the first one.
    pub fn check(&self) -> Result<(), CommandError> {
        if let Some(program) = self.program.as_deref().filter(|program| has_nul(program.as_os_str())) {
            return Err(CommandError::Program { program: program.to_path_buf() });
        }
        let arguments = self.arguments.iter().flatten().enumerate();
        if let Some((index, argument)) = arguments.into_iter().find(|(_, argument)| has_nul(argument)) {
            return Err(CommandError::Argument { index, argument: argument.clone() });
        }
        if let Some(directory) = self.directory.as_deref().filter(|directory| has_nul(directory.as_os_str())) {
            return Err(CommandError::Directory { directory: directory.to_path_buf() });
        }
        self.environment.iter().try_for_each(|(name, value)| check_variable(name, value.as_deref()))
    }
}

fn check_variable(name: &OsStr, value: Option<&OsStr>) -> Result<(), CommandError> {
    if name.is_empty() || has_nul(name) || name.as_encoded_bytes().contains(&b'=') {
        return Err(CommandError::VariableName { name: name.to_owned() });
    }
    match value {
        Some(value) if has_nul(value) => Err(CommandError::VariableValue { name: name.to_owned() }),
        _ => Ok(()),
    }
}

fn has_nul(text: &OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}

/// What of a [`WorkerCommand`] no process can be given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The program's path has a NUL byte.
    Program {
        /// The path.
        program: PathBuf,
    },
    /// An argument has a NUL byte.
    Argument {
        /// Which, counted from 0.
        index: usize,
        /// The argument.
        argument: OsString,
    },
    /// The directory's path has a NUL byte.
    Directory {
        /// The path.
        directory: PathBuf,
    },
    /// The name of an environment variable is empty, or has a NUL byte or a `=`.
    VariableName {
        /// The name.
        name: OsString,
    },
    /// The value of an environment variable has a NUL byte.
    VariableValue {
        /// The variable's name. What it holds may be a secret.
        name: OsString,
    },
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { program } => write!(f, "the program {program:?} has a NUL byte"),
            Self::Argument { index, argument } => write!(f, "argument {index}, {argument:?}, has a NUL byte"),
            Self::Directory { directory } => write!(f, "the directory {directory:?} has a NUL byte"),
            Self::VariableName { name } if name.is_empty() => f.write_str("an environment variable has no name"),
            Self::VariableName { name } => {
                write!(f, "the environment variable {name:?} has a NUL byte or = in its name")
            }
            Self::VariableValue { name } => write!(f, "the environment variable {name:?} has a NUL byte in its value"),
        }
    }
}

impl Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about a command with this one variable.
    fn said(name: &str, value: Option<&str>) -> Option<String> {
        let environment = BTreeMap::from([(name.into(), value.map(OsString::from))]);
        let error = WorkerCommand { environment, ..WorkerCommand::default() }.check().err()?;
        Some(error.to_string())
    }

    #[test]
    fn a_variable_that_no_process_can_have_is_named() {
        assert_eq!(said("A", Some("a=b")), None);
        assert_eq!(said("A", Some("")), None);
        assert_eq!(said("", None).unwrap(), "an environment variable has no name");
        let in_name = "has a NUL byte or = in its name";
        assert_eq!(said("A=B", None).unwrap(), format!("the environment variable \"A=B\" {in_name}"));
        assert_eq!(said("A\0", Some("")).unwrap(), format!("the environment variable \"A\\0\" {in_name}"));
        let secret = said("KEY", Some("secret\0")).unwrap();
        assert_eq!(secret, "the environment variable \"KEY\" has a NUL byte in its value");
    }

    #[test]
    fn paths_and_arguments_that_no_process_can_have_are_told() {
        let arguments = Some(vec!["a".into(), "b\0c".into()]);
        let error = WorkerCommand { arguments, ..WorkerCommand::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "argument 1, \"b\\0c\", has a NUL byte");
        let error = WorkerCommand { program: Some("a\0".into()), ..WorkerCommand::default() }.check().unwrap_err();
        assert_eq!(error, CommandError::Program { program: "a\0".into() });
        let error = WorkerCommand { directory: Some("a\0".into()), ..WorkerCommand::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "the directory \"a\\0\" has a NUL byte");
        assert_eq!(WorkerCommand::default().check(), Ok(()));
    }
}
