//! The one place where the benchmarks start programs: this one again, in another role, and Python.
//!
//! Keeps true: a child's standard input is ours, so that it ends when we do; whoever is dropped is ended and reaped.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::case::Failure;
use crate::watchdog;

/// This program, to play that role.
pub(crate) fn role(words: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(crate::roles::ARGUMENT).args(words);
    command
}

#[expect(clippy::disallowed_methods, reason = "these are the sides that the pool is compared with")]
fn start(command: &mut Command) -> io::Result<Child> {
    command.spawn()
}

/// Runs a role to its end and reads the figure that it prints.
pub(crate) fn figure(words: &[&str]) -> Result<f64, Failure> {
    let mut asked = Asked::start(&mut role(words))?;
    let figure = asked.answer()?;
    asked.end()?;
    Ok(figure)
}

/// Runs a program to its end, which has to be a good one.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let child = start(command.stdin(Stdio::null()).process_group(0))?;
    let leader = Pid::from_child(&child);
    watchdog::guard(leader);
    let output = child.wait_with_output();
    watchdog::let_go(leader);
    let status = output?.status;
    if status.success() { Ok(()) } else { Err(format!("it left with {status}").into()) }
}

/// A child that is asked, a line each, and answers, a line each. It leads a process group.
pub(crate) struct Asked {
    child: Child,
    /// None once it is reaped.
    leader: Option<Pid>,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Asked {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0))?;
        let leader = Pid::from_child(&child);
        watchdog::guard(leader);
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.ok_or("the output was not piped")?);
        Ok(Self { child, leader: Some(leader), input, output })
    }

    /// Asks, and reads the answer, which is a number.
    pub(crate) fn ask(&mut self, line: &str) -> Result<f64, Failure> {
        self.tell(line)?;
        self.answer()
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let input = self.input.as_mut().ok_or("its input is closed")?;
        Ok(writeln!(input, "{line}").and_then(|()| input.flush())?)
    }

    pub(crate) fn answer(&mut self) -> Result<f64, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line)? {
            0 => Err("it ended without an answer".into()),
            _ => line.trim().parse().map_err(|_| format!("it said {:?}", line.trim()).into()),
        }
    }

    /// Closes its input and waits for its end, which has to be a good one.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        drop(self.input.take());
        let status = self.child.wait()?;
        if let Some(leader) = self.leader.take() {
            watchdog::let_go(leader);
        }
        if status.success() { Ok(()) } else { Err(format!("it left with {status}").into()) }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.input.take());
        let Some(leader) = self.leader.take() else { return };
        // Its own children are in its group, whose number is its own until it is reaped.
        let _ = kill_process_group(leader, Signal::KILL);
        watchdog::let_go(leader);
        let _ = self.child.wait();
    }
}

/// A child that is killed and reaped when it is dropped. It leads a process group.
pub(crate) struct Held(Child);

impl Held {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let child = start(command.process_group(0))?;
        watchdog::guard(Pid::from_child(&child));
        Ok(Self(child))
    }

    /// Its streams, if they are piped.
    pub(crate) fn streams(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        Some((self.0.stdin.take()?, self.0.stdout.take()?))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        watchdog::let_go(Pid::from_child(&self.0));
        let _ = self.0.wait();
    }
}
