//! Runs a program to its end, under a watchdog.
//!
//! Keeps true: a program that hangs is ended and fails its test, which says so; what it printed is all of it, since its
//! stdout is read to the end, after which nobody can hold it open.

#![expect(clippy::unwrap_used, reason = "a test that cannot do what it needs has failed")]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Long enough for a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

/// A program, its arguments and where its output goes.
pub(crate) struct Program {
    command: Command,
}

impl Program {
    pub(crate) fn new(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(path);
        command.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

pub(crate) fn run(mut program: Program) -> Output {
    #[expect(clippy::disallowed_methods, reason = "the one place of these tests where programs start")]
    let child = program.command.spawn().unwrap();
    // It holds the other ends of pipes that were given to the program.
    drop(program);
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    let (ended, end) = channel::<()>();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            if end.recv_timeout(WATCHDOG) == Err(RecvTimeoutError::Timeout) {
                // Should it have ended just now there is nobody to kill, and nothing to do.
                let _ = pidfd_send_signal(pidfd, Signal::KILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        output
    });
    let hung = output.status.signal() == Some(Signal::KILL.as_raw());
    assert!(!hung, "the program was ended after {WATCHDOG:?}: {output:?}");
    Output { code: output.status.code(), stdout: output.stdout, stderr: output.stderr }
}
