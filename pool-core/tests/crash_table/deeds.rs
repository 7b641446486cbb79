//! What a task does to its worker: the rows of the table, and the one task that does any of them.

use std::fs::OpenOptions;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use serde::{Deserialize, Serialize};

use crate::values::{Answer, Order};
use crate::{clock, gate, native};

/// What one task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Deed {
    /// What it was asked for.
    Nothing,
    ExitsWith0,
    ExitsWith1,
    Aborts,
    Segfaults,
    IsKilled,
    Panics,
    PanicsWithANumber,
    OverflowsItsStack,
    ExhaustsItsMemory,
    ResultIsNotEncoded,
    ResultIsNotDecoded,
    ArgumentsAreNotDecoded,
    ResultPanicsInSerialize,
    ArgumentsPanicInSerialize,
    ArgumentsPanicInDeserialize,
    ResultPanicsInDeserialize,
    LeavesAThread,
    LeavesAGrandchild,
    ClosesDescriptors,
    OverwritesAndExits,
    OverwritesAndGoesOn,
    BlocksSigterm,
}

impl Deed {
    /// What the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "does nothing",
            Self::ExitsWith0 => "exits with 0",
            Self::ExitsWith1 => "exits with 1",
            Self::Aborts => "aborts",
            Self::Segfaults => "segfaults",
            Self::IsKilled => "is SIGKILLed",
            Self::Panics => "panics",
            Self::PanicsWithANumber => "panics with a payload that is no string",
            Self::OverflowsItsStack => "overflows its stack",
            Self::ExhaustsItsMemory => "exhausts its memory limit",
            Self::ResultIsNotEncoded => "returns what cannot be encoded",
            Self::ResultIsNotDecoded => "returns what the parent cannot decode",
            Self::ArgumentsAreNotDecoded => "gets arguments that the worker cannot decode",
            Self::ResultPanicsInSerialize => "panics in Serialize of its result",
            Self::ArgumentsPanicInSerialize => "panics in Serialize of its arguments",
            Self::ArgumentsPanicInDeserialize => "panics in Deserialize of its arguments",
            Self::ResultPanicsInDeserialize => "panics in Deserialize of its result",
            Self::LeavesAThread => "leaves a running thread",
            Self::LeavesAGrandchild => "leaves a grandchild",
            Self::ClosesDescriptors => "closes fds 0 to 9",
            Self::OverwritesAndExits => "writes over its shared region and exits",
            Self::OverwritesAndGoesOn => "writes over its shared region and goes on",
            Self::BlocksSigterm => "blocks SIGTERM",
        }
    }
}

impl Deed {
    /// Whether it destroys what tells which tasks of its worker were begun.
    pub(crate) fn overwrites(self) -> bool {
        matches!(self, Self::OverwritesAndExits | Self::OverwritesAndGoesOn)
    }
}

/// What a panic of a task says.
pub(crate) const MESSAGE: &str = "of a test: told to";

/// The task of every cell.
pub(crate) fn perform(order: Order) -> Answer {
    let mut answer = Answer { deed: order.deed, value: order.expected_value() };
    if order.deed != Deed::Nothing {
        clock::stamp(&order.clock);
    }
    match order.deed {
        Deed::ExitsWith0 => std::process::exit(0),
        Deed::ExitsWith1 => std::process::exit(1),
        Deed::Aborts => std::process::abort(),
        Deed::Segfaults => native::segfault(),
        Deed::IsKilled => be_killed(),
        Deed::Panics => panic!("{MESSAGE}"),
        Deed::PanicsWithANumber => std::panic::panic_any(7_u32),
        Deed::OverflowsItsStack => answer.value += overflow(answer.value),
        Deed::ExhaustsItsMemory => exhaust_memory(),
        Deed::LeavesAThread => leave_thread(&order.gate),
        Deed::LeavesAGrandchild => answer.value = leave_grandchild().into(),
        Deed::ClosesDescriptors => native::close_descriptors(0..=9),
        Deed::OverwritesAndExits => std::process::exit(if overwrite() > 0 { 0 } else { 101 }),
        Deed::OverwritesAndGoesOn => answer.value += overwrite(),
        Deed::BlocksSigterm => native::block_sigterm(),
        // These are done by the values, on their way.
        Deed::Nothing
        | Deed::ResultIsNotEncoded
        | Deed::ResultIsNotDecoded
        | Deed::ArgumentsAreNotDecoded
        | Deed::ResultPanicsInSerialize
        | Deed::ArgumentsPanicInSerialize
        | Deed::ArgumentsPanicInDeserialize
        | Deed::ResultPanicsInDeserialize => {}
    }
    answer
}

fn be_killed() {
    kill_process(getpid(), Signal::KILL).unwrap();
    std::thread::park();
}

fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1) + room[511] }
}

/// Allocates until the limit that it gave itself, a little above what there is, ends it.
fn exhaust_memory() {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    let limit = pages * u64::try_from(rustix::param::page_size()).unwrap() + (4 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(limit), maximum: getrlimit(Resource::As).maximum }).unwrap();
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1_u8; 1 << 16]));
    }
}

/// A thread such as native code leaves behind: the library knows nothing of it. It runs for as long as the gate stands.
fn leave_thread(gate: &str) {
    let mut stream = gate::knock(gate, 0);
    std::thread::Builder::new().spawn(move || stream.read(&mut [0])).unwrap();
}

/// A process that holds the standard streams of its worker, and stays in its group.
#[expect(clippy::disallowed_methods, reason = "the grandchild is what the row is about")]
fn leave_grandchild() -> u32 {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap().id()
}

/// Writes over all memory that this process shares with another one. Gives how many pages it could write.
fn overwrite() -> u64 {
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let page = rustix::param::page_size();
    let pages = shared_memory().into_iter().flat_map(|range| range.step_by(page));
    let written = pages.filter(|&at| memory.write_all_at(&vec![0xa5; page], at).is_ok());
    written.count().try_into().unwrap()
}

/// A task: whether this process shares memory with another one that it may write.
pub(crate) fn shares_memory() -> bool {
    !shared_memory().is_empty()
}

fn shared_memory() -> Vec<Range<u64>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let shared = maps.lines().filter(|line| line.contains(" rw-s "));
    let ends = shared.map(|line| line.split_once(' ').unwrap().0.split_once('-').unwrap());
    let address = |text| u64::from_str_radix(text, 16).unwrap();
    ends.map(|(from, to)| address(from)..address(to)).collect()
}
