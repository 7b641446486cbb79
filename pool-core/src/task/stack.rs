//! The stack of a panic, cut to what the task did itself.
//!
//! Keeps true: what is left out lies outside the marks that Rust's own backtraces are cut at, or is a frame of the pool's at
//! the very edge; where the marks are not found (a program without symbols) nothing is left out, and nothing is where
//! `RUST_BACKTRACE=full` asks for all of it. Never: changes a frame's text but for its number.

use std::backtrace::{Backtrace, BacktraceStatus};

/// Runs a call of the program's. The frames below this one are not its own: the name is the mark by which the standard
/// library knows that, too.
#[inline(never)]
pub(super) fn __rust_begin_short_backtrace<R>(call: impl FnOnce() -> R) -> R {
    let result = call();
    // Something to do after the call: else there might be a jump instead of a call, and no frame.
    std::hint::black_box(());
    result
}

/// The stack of the panic that this is called in by its hook, where the environment asks for one.
pub(crate) fn of_panic() -> Option<String> {
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured if is_all_asked_for() => Some(backtrace.to_string()),
        BacktraceStatus::Captured => Some(cut(&backtrace.to_string())),
        _ => None,
    }
}

/// The same variables in the same order as [`Backtrace::capture`].
fn is_all_asked_for() -> bool {
    let variable = std::env::var_os("RUST_LIB_BACKTRACE").or_else(|| std::env::var_os("RUST_BACKTRACE"));
    variable.is_some_and(|value| value == "full")
}

/// Above this frame there is only what deals with the panic.
const PANIC_BEGAN: &str = "__rust_end_short_backtrace";
/// Below this frame there is only what called the task.
const TASK_BEGAN: &str = "__rust_begin_short_backtrace";
/// What follows after the mark before the frame that panicked.
const RAISING: [&str; 2] = ["rust_begin_unwind", "panicking::"];
/// What comes between the mark and the task; where calls are made in a row, that is the way from one to the next, too.
const CALLING: [&str; 6] = [
    "pool_core::task::",
    "pool_core::worker::",
    "pool_core::process::",
    "pool_core::thread::",
    "pool_ipc::",
    "core::ops::function::Fn",
];

fn cut(text: &str) -> String {
    let frames = frames(text);
    let begin = frames.iter().position(|frame| frame.name.contains(PANIC_BEGAN)).map_or(0, |mark| mark + 1);
    let above = frames[begin..].iter().take_while(|frame| frame.is_one_of(&RAISING)).count();
    let frames = &frames[begin + above..];
    let end = frames.iter().position(|frame| frame.name.contains(TASK_BEGAN)).unwrap_or(frames.len());
    let below = frames[..end].iter().rev().take_while(|frame| frame.is_one_of(&CALLING)).count();
    // Where the task became part of what calls it, that is all there is.
    let own = if below == end { &frames[..end] } else { &frames[..end - below] };
    if own.is_empty() {
        return text.to_owned();
    }
    own.iter().enumerate().map(|(number, frame)| format!("{number:4}: {}\n{}", frame.name, frame.place)).collect()
}

/// One entry of a backtrace as it is printed.
#[derive(Debug, Default)]
struct Frame<'a> {
    name: &'a str,
    /// The lines that say where it is; none where that is not known.
    place: String,
}

impl Frame<'_> {
    fn is_one_of(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.name.contains(part))
    }
}

/// An entry begins with its number and a colon; further lines are indented.
fn frames(text: &str) -> Vec<Frame<'_>> {
    let mut frames: Vec<Frame<'_>> = Vec::new();
    for line in text.lines() {
        let entry = line.trim_start().split_once(": ").filter(|(number, _)| number.parse::<u32>().is_ok());
        match (entry, frames.last_mut()) {
            (Some((_, name)), _) => frames.push(Frame { name, place: String::new() }),
            (None, Some(frame)) => {
                frame.place.push_str(line);
                frame.place.push('\n');
            }
            (None, None) => {}
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "   0: pool_core::task::stack::of_panic
             at /c/pool-core/src/task/stack.rs:24:21
   1: std::panicking::panic_with_hook
   2: std::sys::backtrace::__rust_end_short_backtrace
   3: __rustc::rust_begin_unwind
             at /rustc/library/std/src/panicking.rs:689:5
   4: core::panicking::panic_fmt
   5: core::option::expect_failed
   6: program::cook::{{closure}}
             at ./src/main.rs:4:20
   7: program::cook
             at ./src/main.rs:9:1
   8: core::ops::function::Fn::call
   9: <F as pool_core::task::args::Task<(A,)>>::call
  10: pool_core::task::table::trampoline
  11: pool_core::task::stack::__rust_begin_short_backtrace
  12: pool_core::worker::call
  13: main
";

    #[test]
    fn a_stack_is_cut_to_the_tasks_own_frames() {
        let own = "   0: core::option::expect_failed
   1: program::cook::{{closure}}
             at ./src/main.rs:4:20
   2: program::cook
             at ./src/main.rs:9:1
";
        assert_eq!(cut(WHOLE), own);
    }

    #[test]
    fn without_marks_nothing_is_left_out() {
        let text = "   0: <unknown>\n   1: <unknown>\n";
        assert_eq!(cut(text), text);
        assert_eq!(cut(""), "");
        assert_eq!(cut("something else"), "something else");
    }

    #[test]
    fn a_task_that_became_part_of_its_caller_is_there_by_its_callers_name() {
        let text = "   0: std::__rust_end_short_backtrace
   1: core::panicking::panic
   2: pool_core::task::table::trampoline::<program::cook>
   3: pool_core::task::stack::__rust_begin_short_backtrace
   4: main
";
        assert_eq!(cut(text), "   0: pool_core::task::table::trampoline::<program::cook>\n");
    }

    #[test]
    fn a_panic_with_nothing_of_a_task_is_told_whole() {
        let text = "   0: std::__rust_end_short_backtrace\n   1: a::__rust_begin_short_backtrace\n";
        assert_eq!(cut(text), text);
    }
}
