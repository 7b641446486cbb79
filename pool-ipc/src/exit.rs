//! How a process ended, in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a process is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExitCause {
    /// It exited with this code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
    /// It is gone, but somebody else reaped it first (the host ignores SIGCHLD or waits for every child).
    Unknown,
}

impl ExitCause {
    /// As Python's `exitcode`: the code, or minus the signal's number.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal(number) => Some(-number),
            Self::Unknown => None,
        }
    }
}

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_name(number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            Self::Unknown => f.write_str("cause unknown, the host program reaped it first"),
        }
    }
}

/// The name of a signal, by Linux's numbers for x86-64 and aarch64.
pub fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(number).ok()?.checked_sub(1).and_then(|index| NAMES.get(index)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_as_sentences_and_as_python_codes() {
        assert_eq!(ExitCause::Code(3).to_string(), "exit code 3");
        assert_eq!(ExitCause::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(ExitCause::Signal(40).to_string(), "signal 40");
        assert_eq!(ExitCause::Signal(15).code(), Some(-15));
        assert_eq!(ExitCause::Unknown.code(), None);
    }
}
