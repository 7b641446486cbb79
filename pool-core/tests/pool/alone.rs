//! Tests that need a process for themselves: because they count what a process has, change what it has once, or end it.
//!
//! The test starts this very binary again to run only itself, with a variable set that says so.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use pool_core::thread;

use crate::watchdog;

/// How long nothing may be heard from the process. A watchdog of its own says what hangs before that.
const LIMIT: Duration = Duration::from_secs(watchdog::LIMIT.as_secs() + 15);

/// Names the test that is to be run by the process itself.
const VARIABLE: &str = "POOL_CORE_TEST_ALONE";

/// Runs a body in a process of its own, and fails if that fails. `path` is the test's, with or without the crate's name.
pub(crate) fn run(path: &str, body: impl FnOnce()) {
    match Scene::of(path) {
        Scene::Alone => body(),
        Scene::Outside(host) => host.start().assert_success(),
    }
}

/// Where a test finds itself.
pub(crate) enum Scene {
    /// In the process of its own.
    Alone,
    /// In the test run, which has yet to start that process.
    Outside(Host),
}

impl Scene {
    pub(crate) fn of(path: &str) -> Self {
        let test = path.strip_prefix(concat!(env!("CARGO_CRATE_NAME"), "::")).unwrap_or(path);
        match std::env::var(VARIABLE) {
            Ok(own) if own == test => Self::Alone,
            _ => Self::Outside(Host { test: test.to_owned(), program: None, wrapper: Vec::new() }),
        }
    }
}

/// A process to be started for a test.
pub(crate) struct Host {
    test: String,
    program: Option<OsString>,
    wrapper: Vec<OsString>,
}

impl Host {
    /// A copy of this binary is to be run.
    pub(crate) fn program(mut self, program: &Path) -> Self {
        self.program = Some(program.into());
        self
    }

    /// The process is to be started through another program, which gets it as further arguments.
    pub(crate) fn through<const N: usize>(mut self, wrapper: [&str; N]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    #[expect(clippy::disallowed_methods, reason = "this child is a test, not a worker")]
    pub(crate) fn start(self) -> Running {
        let program = self.program.unwrap_or_else(|| std::env::current_exe().unwrap().into());
        let mut words = self.wrapper;
        words.push(program);
        words.extend([&*self.test, "--exact", "--nocapture", "--test-threads=1"].map(OsString::from));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env(VARIABLE, &self.test);
        // What a test prints is compared: no colours, no logs, no backtraces but those that are asked for.
        command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running::new(child)
    }
}

/// The test's process. Killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    stderr: Receiver<String>,
    /// What it printed and somebody asked for.
    seen: Vec<String>,
}

/// How it went.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    fn new(mut child: Child) -> Self {
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (send_line, lines) = mpsc::channel();
        let (send_text, text) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                let _ = send_line.send(String::from_utf8_lossy(&line.unwrap()).trim_end().to_owned());
            }
        });
        thread::spawn(move || {
            let mut bytes = Vec::new();
            BufReader::new(stderr).read_to_end(&mut bytes).unwrap();
            let _ = send_text.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        Self { child, lines, stderr: text, seen: Vec::new() }
    }

    /// Waits until it prints this, and gives the rest of that line.
    pub(crate) fn told(&mut self, mark: &str) -> String {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("it never said {mark:?}, but {:#?}", self.seen));
            if let Some((_, rest)) = line.split_once(mark) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended and nobody holds its output any more: a worker that stays behind is a failure.
    pub(crate) fn end(mut self) -> Ended {
        while self.line().is_some() {}
        let stderr = self.stderr.recv_timeout(LIMIT);
        let stderr = stderr.unwrap_or_else(|_| panic!("stderr is still open after {LIMIT:?}: {:#?}", self.seen));
        let status = self.child.wait().unwrap();
        Ended { status, stdout: self.seen.join("\n"), stderr }
    }

    pub(crate) fn assert_success(self) {
        let Ended { status, stdout, stderr } = self.end();
        assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    }

    fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(LIMIT) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                let stderr = self.stderr.recv_timeout(Duration::from_secs(5));
                panic!("it hangs: it has said {:#?} and {stderr:?}", self.seen);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
