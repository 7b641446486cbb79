//! What a task's panic says, and where: taken down by a panic hook while a call runs on the thread.
//!
//! Keeps true: a panic in a call is reported once, by its reply, and not printed as well; a panic anywhere else is
//! handed to the hook that was there before, also in a copy of the worker that a task made by a fork, which ends when it
//! comes here; a payload that panics when it is dropped harms nobody. Never: unwinds
//! itself, or holds anything borrowed while code of the program's runs. A panic that cannot unwind, which ends the process before there
//! is a reply, is printed after all, and so is what led to it.
//!
//! Threads that a task starts are not in the call: what they panic with is printed as ever, and reaches the reply only if
//! the task joins them and panics itself.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::sync::Once;

use crate::error::tamed;
use crate::task::{COPY_RETURNED, Home, stack};
use crate::wire::PanicReport;

/// Installs the hook, once in a process.
pub(super) fn listen() {
    static FIRST: Once = Once::new();
    FIRST.call_once(install);
}

/// Installs the hook again, over one that an initializer may have installed; once in a process, too. Two of ours on top
/// of each other do no harm: the upper one hands on nothing of a call.
pub(super) fn listen_again() {
    static SECOND: Once = Once::new();
    SECOND.call_once(install);
}

/// Runs a call and gives what it panicked with. Copies of this process do not return from it.
#[inline]
pub(super) fn catch(task: fn() -> &'static str, home: Home, call: impl FnOnce()) -> Result<(), Box<PanicReport>> {
    let outer = RUNNING.replace(Some(Running { home, has_heard: false }));
    let outcome = catch_unwind(AssertUnwindSafe(call));
    // Before anything else: the payload may have a destructor.
    home.end_copy(if outcome.is_ok() { COPY_RETURNED } else { COPY_PANICKED });
    match (outcome, RUNNING.get()) {
        (Ok(()), Some(Running { has_heard: false, .. })) => {
            RUNNING.set(outer);
            Ok(())
        }
        // In a pause.
        (Err(payload), None) => {
            RUNNING.set(outer);
            resume_unwind(payload)
        }
        (outcome, _) => conclude(task, outcome, outer),
    }
}

/// Whether there were panics in the call that this thread runs, which it caught itself.
#[inline]
pub(super) fn has_heard() -> bool {
    RUNNING.get().is_some_and(|running| running.has_heard)
}

/// Does something of the pool's own in the middle of a call, whose panics are not the call's: it is as if there was none.
#[inline]
pub(super) fn pause<R>(step: impl FnOnce() -> R) -> R {
    let pause = Pause::begin();
    let value = step();
    pause.end();
    value
}

/// A time in which the pool does something of its own in the middle of a call. If it ends by a panic, that is the pool's.
pub(super) struct Pause {
    running: Option<Running>,
}

impl Pause {
    #[inline]
    pub(super) fn begin() -> Self {
        Self { running: RUNNING.replace(None) }
    }

    /// Does something of the call's in between. If that panics the call does.
    #[inline]
    pub(super) fn interrupt<R>(&mut self, step: impl FnOnce() -> R) -> R {
        RUNNING.set(self.running);
        let value = step();
        self.running = RUNNING.replace(None);
        value
    }

    #[inline]
    pub(super) fn end(self) {
        RUNNING.set(self.running);
    }
}

/// The end of a call in which there was a panic.
#[cold]
fn conclude(
    task: fn() -> &'static str,
    outcome: std::thread::Result<()>,
    outer: Option<Running>,
) -> Result<(), Box<PanicReport>> {
    let outcome = outcome.map_err(take_text);
    let mut heard = match RUNNING.replace(outer) {
        Some(Running { has_heard: true, .. }) => HEARD.with_borrow_mut(Vec::pop).unwrap_or_default(),
        _ => Vec::new(),
    };
    let outcome = outcome.map_err(|text| match heard.iter().rposition(|report| report.message == text) {
        Some(position) => Box::new(heard.remove(position)),
        // A payload of another thread, raised again here: no hook was called for it.
        None => Box::new(PanicReport { message: text, thread: thread_name(), ..PanicReport::default() }),
    });
    for report in heard {
        pool_ipc::tell!(Warn, "task {} {report} (and caught it)", task());
    }
    outcome
}

/// The exit code of a copy that panicked: that of any Rust program.
const COPY_PANICKED: i32 = 101;

/// The most panics of one call that are kept: those that the task catches itself are only worth a line in the log.
#[cfg(not(panic = "abort"))]
const MOST_HEARD: usize = 16;

/// What a payload says that is no string.
const NO_TEXT: &str = "a payload that is no string";

thread_local! {
    /// The call that this thread runs. Set and forgotten with every call, so it is a few words without a destructor.
    static RUNNING: Cell<Option<Running>> = const { Cell::new(None) };

    /// The panics of the calls that have heard any, oldest first: those of a call within a call come last.
    static HEARD: RefCell<Vec<Vec<PanicReport>>> = const { RefCell::new(Vec::new()) };
}

/// A call.
#[derive(Clone, Copy, Debug)]
struct Running {
    /// Whose panics are its own.
    home: Home,
    /// Whether there were any.
    has_heard: bool,
}

fn install() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !hear(info) {
            let causes = causes_of_dead_end(info);
            previous(info);
            // After its backtrace, which is long: of what a worker wrote, the end is kept.
            print(&causes);
        }
    }));
}

/// What the core library panics with, from a file of its own, where a panic cannot go further: out of a function for C, or out of
/// the drop of what another panic unwinds. The process is aborted after the hook.
const DEAD_ENDS: [&str; 2] = ["panic in a function that cannot unwind", "panic in a destructor during cleanup"];

fn is_dead_end(info: &PanicHookInfo<'_>) -> bool {
    let of_core = info.location().is_some_and(|location| location.file().ends_with("core/src/panicking.rs"));
    of_core && info.payload_as_str().is_some_and(|text| DEAD_ENDS.contains(&text))
}

/// What this panic came of, if it is the end.
fn causes_of_dead_end(info: &PanicHookInfo<'_>) -> Vec<PanicReport> {
    if !is_dead_end(info) {
        return Vec::new();
    }
    if !RUNNING.get().is_some_and(|running| running.has_heard) {
        return Vec::new();
    }
    let taken = HEARD.try_with(|heard| heard.try_borrow_mut().ok()?.last_mut().map(std::mem::take));
    taken.ok().flatten().unwrap_or_default()
}

/// Prints panics that will have no reply.
fn print(reports: &[PanicReport]) {
    use std::io::Write;
    if reports.is_empty() {
        return;
    }
    let text = |report: &PanicReport| {
        let backtrace = report.backtrace.as_deref().map_or_else(String::new, |trace| format!("{trace}\n"));
        format!("\nthread '{}' {report}\n{backtrace}", report.thread)
    };
    let texts: String = reports.iter().map(text).collect();
    // There is nobody to tell if that fails.
    let _ = std::io::stderr().write_all(texts.as_bytes());
}

/// Takes a panic down if this thread runs a call, and says whether it does.
fn hear(info: &PanicHookInfo<'_>) -> bool {
    match RUNNING.get() {
        Some(running) if !running.home.is_elsewhere() && !is_dead_end(info) => note(running, report(info)),
        _ => false,
    }
}

#[cfg(panic = "abort")]
fn note(_: Running, report: PanicReport) -> bool {
    super::last_word::publish(report)
}

#[cfg(not(panic = "abort"))]
fn note(running: Running, report: PanicReport) -> bool {
    HEARD.with_borrow_mut(|heard| {
        if !running.has_heard {
            heard.push(Vec::new());
            RUNNING.set(Some(Running { has_heard: true, ..running }));
        }
        let Some(reports) = heard.last_mut() else { return false };
        if reports.len() == MOST_HEARD {
            reports.remove(0);
        }
        reports.push(report);
        true
    })
}

fn report(info: &PanicHookInfo<'_>) -> PanicReport {
    PanicReport {
        message: tamed(info.payload_as_str().unwrap_or(NO_TEXT)),
        location: info.location().map(ToString::to_string),
        backtrace: stack::of_panic(),
        thread: thread_name(),
    }
}

fn thread_name() -> String {
    crate::thread::current().name().to_owned()
}

/// The text of a payload, as an error has it. The payload is dropped. A payload that panics in its drop, and whose payload then does, is leaked.
fn take_text(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => tamed(text),
        (None, Some(text)) => tamed(text),
        (None, None) => NO_TEXT.to_owned(),
    };
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    text
}
