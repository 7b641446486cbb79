//! What a function's value, panic or exit means for the exit code, and what is said about it.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::mpsc;

use pool_core::process::Target;
use pool_core::{Process, process, thread};

use crate::streams::{with_stderr, with_stderr_and_variable};
use crate::{Ear, Gate, WATCHDOG, end_of, pass, say};

fn code_of(target: impl Target<()>) -> Option<i32> {
    let child = Process::new(target, ());
    child.start().unwrap();
    end_of(&child)
}

#[test]
fn a159_the_value_of_the_function_is_the_exit_code() {
    assert_eq!(code_of(|| ()), Some(0));
    assert_eq!(code_of(|| 8), Some(8));
    assert_eq!(code_of(|| 3_u8), Some(3));
    assert_eq!(code_of(|| ExitCode::FAILURE), Some(1));
    assert_eq!(code_of(|| Ok::<(), String>(())), Some(0));
    assert_eq!(code_of(|| Ok::<i32, String>(8)), Some(8));
    assert_eq!(code_of(|| std::process::exit(9)), Some(9));
    assert_eq!(code_of(|| std::process::abort()), Some(-6));
}

#[test]
fn a159_an_error_is_printed_with_its_sources_and_is_exit_code_1() {
    let (child, mut ear) = with_stderr("failing", || Err::<(), _>("no such file"));
    assert_eq!(end_of(&child), Some(1));
    assert_eq!(ear.rest(), format!("failing (pid {}) failed: no such file\n", child.pid().unwrap()));
}

#[test]
fn a158_a_panic_is_told_in_full_and_is_exit_code_1() {
    let (child, mut ear) = with_stderr("panicking", || panic!("the {} is out", "milk"));
    assert_eq!(end_of(&child), Some(1));
    let said = ear.rest();
    let pid = child.pid().unwrap();
    let head = format!("panicking (pid {pid}), thread MainThread panicked at {}:", file!());
    assert!(said.starts_with(&head) && said.contains(":\nthe milk is out\n") && said.ends_with('\n'), "{said}");
}

#[test]
fn a158_a_traceback_has_the_frames_of_the_function_and_of_the_thread_that_panicked() {
    fn fall() {
        thread::Builder::new().spawn(|| panic!("in a thread")).unwrap().join().unwrap_err();
        panic!("in the function")
    }
    let (child, mut ear) = with_stderr_and_variable(("RUST_BACKTRACE", "1"), fall);
    assert_eq!(end_of(&child), Some(1));
    let said = ear.rest();
    let frames: Vec<&str> = said.lines().filter(|line| line.starts_with("   ") && line.contains(": ")).collect();
    let frames: Vec<&str> = frames.into_iter().filter(|line| !line.trim_start().starts_with("at ")).collect();
    let [thread, function] = *frames else { panic!("{said}") };
    assert!(thread.starts_with("   0: ") && thread.contains("fall::{{closure}}"), "{said}");
    assert!(function.starts_with("   0: ") && function.ends_with("fall"), "{said}");
}

#[test]
fn a158_a_traceback_of_any_length_comes_out_to_its_end() {
    fn down(depth: u32) -> u32 {
        if depth == 0 {
            panic!("{} bottom", "deep ".repeat(100_000))
        }
        std::hint::black_box(down(depth - 1)) + 1
    }
    let (child, mut ear) = with_stderr("deep", || assert_eq!(down(50), 0));
    // More than a pipe holds, so it is read while it is written.
    let sentinel = child.sentinel().unwrap();
    let mut said = Vec::new();
    while process::wait::<&dyn AsFd>(&[&ear.reader, &sentinel], Some(WATCHDOG)).unwrap().contains(&0) {
        let mut bytes = [0; 4096];
        let count = ear.reader.read(&mut bytes).unwrap();
        said.extend(&bytes[..count]);
    }
    assert_eq!(end_of(&child), Some(1));
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("deep  bottom\n"), "{} bytes", said.len());
    assert_eq!(ear.rest(), "");
}

#[test]
fn a_panic_of_a_thread_ends_that_thread_only() {
    let (child, mut ear) = with_stderr("steady", || {
        thread::Builder::new().name("clumsy").spawn(|| panic!("oops")).unwrap().join().unwrap_err();
    });
    assert_eq!(end_of(&child), Some(0));
    assert!(ear.rest().contains(", thread clumsy panicked at "));
}

#[test]
fn a150_a_process_waits_for_its_threads_but_not_for_daemons() {
    fn leave_threads_behind(ear: String, gate: String) {
        let (ready, begun) = mpsc::channel();
        let begin = ready.clone();
        thread::Builder::new()
            .daemon(true)
            .spawn(move || {
                begin.send(()).unwrap();
                crate::sleep_for_ever()
            })
            .unwrap();
        thread::spawn(move || {
            ready.send(()).unwrap();
            pass(&gate);
            say(&ear, "joined")
        });
        (0..2).for_each(|_| begun.recv().unwrap());
    }
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let child = Process::new(leave_threads_behind, (ear.path(), gate.path()));
    child.start().unwrap();
    gate.open();
    assert_eq!(ear.line(), "joined");
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a150_also_after_a_panic_of_the_function() {
    fn panic_with_a_thread(ear: String) {
        thread::spawn(move || say(&ear, "joined"));
        panic!("no matter");
    }
    let mut ear = Ear::new();
    let child = Process::new(panic_with_a_thread, (ear.path(),));
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(1));
    assert_eq!(ear.rest(), "joined\n");
}
