//! A gate that holds workers until the parent opens it, so that a case decides when they begin.
//!
//! Keeps true: the parent knows how many have arrived without looking twice; a gate that is dropped is open, and so is
//! one whose parent is gone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use pool_core::{Future, ProcessPoolExecutor};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use crate::case::Failure;

/// The parent's side.
pub(crate) struct Gate {
    arrivals: File,
    /// What a task writes to when it arrives, and reads from until it may go on.
    ends: (OwnedFd, OwnedFd),
    /// Open as long as the gate is closed.
    closed: OwnedFd,
}

/// Where a task finds the gate.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Address {
    pid: u32,
    arrive: i32,
    wait: i32,
}

impl Gate {
    pub(crate) fn new() -> io::Result<Self> {
        let (arrivals, arrive) = pipe_with(PipeFlags::CLOEXEC)?;
        let (wait, closed) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { arrivals: arrivals.into(), ends: (arrive, wait), closed })
    }

    /// Keeps that many workers of the pool, all of which are at the gate when this returns.
    pub(crate) fn hold(&mut self, pool: &ProcessPoolExecutor, workers: usize) -> Result<Vec<Future<i64>>, Failure> {
        let held = self.ask(pool, workers)?;
        self.await_arrivals(workers)?;
        Ok(held)
    }

    /// Asks that many workers to the gate.
    pub(crate) fn ask(&self, pool: &ProcessPoolExecutor, workers: usize) -> Result<Vec<Future<i64>>, Failure> {
        let (arrive, wait) = &self.ends;
        let address = Address { pid: std::process::id(), arrive: arrive.as_raw_fd(), wait: wait.as_raw_fd() };
        Ok((0..workers).map(|_| pool.submit(pass, (address,))).collect::<Result<_, _>>()?)
    }

    /// Waits until that many have come.
    pub(crate) fn await_arrivals(&mut self, workers: usize) -> io::Result<()> {
        self.arrivals.read_exact(&mut vec![0; workers])
    }

    /// Lets everybody go on.
    pub(crate) fn open(self) {
        drop(self.closed);
    }
}

/// The task: arrives, and waits until the gate is open. Gives the time of its arrival, in nanoseconds of the clock that
/// all processes share.
fn pass(address: Address) -> i64 {
    let now = now_ns();
    // A gate that is not there any more is open.
    let _ = wait(address);
    now
}

fn wait(Address { pid, arrive, wait }: Address) -> io::Result<()> {
    let mut waiting = File::open(format!("/proc/{pid}/fd/{wait}"))?;
    OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/{arrive}"))?.write_all(b"!")?;
    waiting.read_exact(&mut [0]).or_else(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(()),
        _ => Err(error),
    })
}

/// Now, on the clock that all processes share.
pub(crate) fn now_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
