//! What `Process` promises, by the numbers of the list of behaviours (A130 to A159, A229 to A235), on real processes.
//!
//! Nothing here makes a pool or calls `init`: children are taken over by the hook, which has to be linked for `Process`
//! alone. A scenario that counts what a whole process has runs in a child of its own ([`alone`]).

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod at_exit;
mod exit_codes;
mod family;
mod life;
mod signals;
mod starting;
mod streams;
mod waiting;

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use pool_core::process::Target;
use pool_core::{Process, process};

/// Long enough for a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs a scenario in a process of its own.
#[track_caller]
fn alone(scenario: impl Target<()>) {
    let child = Process::new(scenario, ());
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
}

/// Waits for a process under the watchdog, and gives its exit code.
#[track_caller]
fn end_of(child: &Process) -> Option<i32> {
    if !child.join_timeout(WATCHDOG).unwrap() {
        child.kill().unwrap();
        panic!("{child:?} did not end within {WATCHDOG:?}");
    }
    child.exitcode()
}

/// A function that never returns by itself.
fn sleep_for_ever() {
    loop {
        std::thread::park();
    }
}

/// What children tell this process: lines, through a pipe whose writing end they open by its path.
struct Ear {
    reader: PipeReader,
    /// Kept open for the children to find it.
    writer: Option<PipeWriter>,
}

impl Ear {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        Self { reader, writer: Some(writer) }
    }

    /// Where children write to.
    fn path(&self) -> String {
        path_of(self.writer.as_ref().unwrap())
    }

    /// The next line, waited for under the watchdog.
    #[track_caller]
    fn line(&mut self) -> String {
        let (mut line, deadline) = (Vec::new(), Instant::now() + WATCHDOG);
        while !line.ends_with(b"\n") {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!process::wait(&[&self.reader], Some(left)).unwrap().is_empty(), "no line came, only {line:?}");
            let mut byte = [0];
            assert_eq!(self.reader.read(&mut byte).unwrap(), 1, "the end came after {line:?}");
            line.extend(byte);
        }
        line.pop();
        String::from_utf8(line).unwrap()
    }

    /// Everything until all who write have closed the pipe.
    #[track_caller]
    fn rest(&mut self) -> String {
        self.writer = None;
        let (mut rest, deadline) = (Vec::new(), Instant::now() + WATCHDOG);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !process::wait(&[&self.reader], Some(left)).unwrap().is_empty(),
                "the end of the pipe did not come"
            );
            let mut bytes = [0; 4096];
            match self.reader.read(&mut bytes).unwrap() {
                0 => return String::from_utf8(rest).unwrap(),
                count => rest.extend(&bytes[..count]),
            }
        }
    }
}

/// Tells a line to the ear at this path.
fn say(path: &str, line: impl std::fmt::Display) {
    let mut writer = File::options().write(true).open(path).unwrap();
    writer.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// What children wait at until this process opens it.
struct Gate {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Gate {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        Self { reader, writer }
    }

    /// Where children wait.
    fn path(&self) -> String {
        path_of(&self.reader)
    }

    /// Lets one child pass.
    fn open(&mut self) {
        self.writer.write_all(b"x").unwrap();
    }
}

/// Waits at a gate.
fn pass(path: &str) {
    File::open(path).unwrap().read_exact(&mut [0]).unwrap();
}

/// How another process of this user opens what this one has open.
fn path_of(descriptor: &impl AsRawFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), descriptor.as_raw_fd())
}

/// Whether there is a process with this number. Only for ones that somebody else reaps at once.
fn exists(pid: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // A zombie is no process any more.
    state.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

/// Waits under the watchdog for the end of a process that is somebody else's child.
#[track_caller]
fn wait_until_gone(pid: &str) {
    let deadline = Instant::now() + WATCHDOG;
    while exists(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}
