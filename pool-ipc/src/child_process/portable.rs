//! Where processes cannot be started: the same names, and a typed error.
//!
//! What holds: nothing here exists at run time, as nothing can be started. What never happens here: anything else.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use crate::backend::StartError;
use crate::command::WorkerCommand;
use crate::exit::ExitCause;

/// How a process belongs to its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessOptions {
    /// It leads a process group of its own.
    pub own_group: bool,
    /// It goes on when its parent has ended.
    pub outlive_parent: bool,
}

/// A child process: none, here.
#[derive(Debug)]
pub struct ProcessHandle(Infallible);

impl ProcessHandle {
    /// Starts nothing.
    ///
    /// # Errors
    /// Always: this platform is not supported.
    pub fn start(_: &[u8], command: &WorkerCommand, _: ProcessOptions) -> Result<Self, StartError> {
        let source = io::Error::new(io::ErrorKind::Unsupported, "not supported on this platform");
        Err(StartError { doing: "starting a process", path: command.program.clone(), source })
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        match self.0 {}
    }

    /// Asks it to end.
    pub fn terminate(&self) -> bool {
        match self.0 {}
    }

    /// Ends it.
    pub fn kill(&self) -> bool {
        match self.0 {}
    }

    /// Interrupts it.
    pub fn interrupt(&self) -> bool {
        match self.0 {}
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        match self.0 {}
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// None.
    pub fn wait(&self, _: Option<Duration>) -> io::Result<bool> {
        match self.0 {}
    }

    /// Tells how it ended.
    pub fn reap(&self) -> ExitCause {
        match self.0 {}
    }
}

/// The process that started this one: none, here.
#[derive(Debug)]
pub struct ParentHandle(Infallible);

impl ParentHandle {
    /// Finds nothing.
    ///
    /// # Errors
    /// None.
    pub fn find(_: u32) -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// None.
    pub fn wait(&self, _: Option<Duration>) -> io::Result<bool> {
        match self.0 {}
    }
}
