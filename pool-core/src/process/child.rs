//! The child's side of a process: who it is, the call, and its end.
//!
//! Keeps true: whatever the function does short of ending the process itself, threads that are no daemons are waited for,
//! what was printed comes out, and the exit code says how it went; what this file writes to stderr is one write, so that it
//! does not mix with what other processes write there. Never: returns.

use std::error::Error;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::exit;

use pool_ipc::ChildProcess;

use super::identity::{self, Own, current_process};
use super::target::Ending;
use crate::error::RemoteError;
use crate::task::{self, Stage};
use crate::wire::{ProcessBoot, RequestReader};

/// The exit code of a child that panicked or returned an error.
const FAILED: i32 = 1;

/// The exit code of a child that is another build than its parent, as that of one that could not come to itself.
const OTHER_BUILD: i32 = 4;

/// Becomes the process that the parent described, calls its function, and exits.
///
/// `exit` runs what is to be run at the end: the processes that this one started are waited for or ended, its pools too.
pub(crate) fn run(child: ChildProcess) -> ! {
    let Some((boot, request)) = ProcessBoot::decode(child.boot(), task::fingerprint()) else {
        let parent = child.parent_pid();
        say(&format!("process {} is another build than its parent, process {parent}\n", std::process::id()));
        exit(OTHER_BUILD)
    };
    become_process(boot, child.parent_pid());
    let code = call(request);
    crate::thread::join_non_daemon();
    exit(code)
}

fn become_process(boot: ProcessBoot, parent_pid: u32) {
    let ProcessBoot { name, lineage, daemon, parent_name, depth, log_level } = boot;
    identity::become_process(Own { name, lineage, daemon, parent_name, parent_pid, depth });
    if let Some(level) = log::LevelFilter::iter().nth(log_level) {
        log::set_max_level(level);
    }
    // The usual hook calls this thread `<unnamed>` where `main` has not begun, and writes piece by piece.
    panic::set_hook(Box::new(|info| say(&report(info))));
}

/// Calls the function and gives the exit code.
fn call(request: &[u8]) -> i32 {
    let found = RequestReader::default().find(request, 0).and_then(|(id, arguments)| {
        let (arguments, entry) = (request.get(arguments)?, task::find(id)?);
        Some((arguments, entry))
    });
    let Some((arguments, entry)) = found else {
        return failed("it has no such function");
    };
    let mut ending = Vec::new();
    let mut single = task::Single { arguments, fixed_tag: None };
    let mut call = task::Call::new(&mut single, &mut ending);
    let outcome = catch_unwind(AssertUnwindSafe(|| entry.call(&mut call)));
    match (call.stage(), outcome) {
        (Stage::Done, Ok(())) => match task::decode::<Ending>(&ending) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) => failed(&with_sources(&error)),
            Err(reason) => failed(&reason.text),
        },
        (Stage::Undecoded { type_name, reason }, _) => {
            failed(&format!("its arguments could not be decoded: type {type_name}: {}", reason.text))
        }
        // The panic hook has said it. A payload that panics when it is dropped shall not do so now.
        (_, Err(payload)) => {
            std::mem::forget(payload);
            FAILED
        }
        (_, Ok(())) => failed("its exit value could not be passed on"),
    }
}

/// Says why the process has failed.
fn failed(what: &str) -> i32 {
    let current = current_process();
    say(&format!("{} (pid {}) failed: {what}\n", current.name(), current.pid()));
    FAILED
}

fn with_sources(error: &RemoteError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// All that is to be said of a panic of any thread here.
fn report(info: &PanicHookInfo<'_>) -> String {
    let (current, thread) = (current_process(), crate::thread::current());
    let location = info.location().map_or_else(String::new, |location| format!(" at {location}"));
    let message = info.payload_as_str().unwrap_or("a payload that is no string");
    let trace = match task::stack::of_panic() {
        Some(stack) => format!("stack backtrace:\n{stack}"),
        None => "note: run with `RUST_BACKTRACE=1` to see where it came from\n".to_owned(),
    };
    let (name, pid, thread) = (current.name(), current.pid(), thread.name());
    format!("{name} (pid {pid}), thread {thread} panicked{location}:\n{message}\n{trace}")
}

/// Not by `eprintln!`, which writes piece by piece, and which a test harness keeps to itself.
pub(super) fn say(what: &str) {
    // Where stderr is closed there is nobody to tell; the exit code says the rest.
    let _unheard = io::stderr().write_all(what.as_bytes());
}
