//! The standard streams of children.

use pool_core::process::{Builder, Target};
use pool_core::{Process, thread};

use crate::{Ear, end_of};

/// A child that shell code prepares the streams of: it ends in `exec` of this test program.
fn by_shell(redirections: &str) -> Builder {
    let script = format!("exec \"$0\" {redirections}");
    Process::builder().command("/bin/sh", ["-c", &script, std::env::current_exe().unwrap().to_str().unwrap()])
}

/// Starts a process whose stderr is read here.
pub(crate) fn with_stderr(name: &str, target: impl Target<()>) -> (Process, Ear) {
    let ear = Ear::new();
    with_stderr_of(by_shell("2>\"$OUT\"").name(name).env("OUT", ear.path()), ear, target)
}

/// The same with one more variable.
pub(crate) fn with_stderr_and_variable(variable: (&str, &str), target: impl Target<()>) -> (Process, Ear) {
    let ear = Ear::new();
    let builder = by_shell("2>\"$OUT\"").env("OUT", ear.path()).env(variable.0, variable.1);
    with_stderr_of(builder, ear, target)
}

fn with_stderr_of(builder: Builder, ear: Ear, target: impl Target<()>) -> (Process, Ear) {
    let child = builder.target(target, ());
    child.start().unwrap();
    // Until the shell has opened the pipe, this end keeps it.
    (child, ear)
}

fn print_and_complain() {
    println!("printed");
    print!("not a line");
    eprintln!("complained");
}

/// A file that is opened next must not be what is printed to.
fn print_into_nothing() -> Result<(), String> {
    let file = std::fs::File::open("/dev/null").unwrap();
    print_and_complain();
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    if number > 2 { Ok(()) } else { Err(format!("descriptor {number} was free")) }
}

#[test]
fn a151_streams_that_were_closed_before_the_start_do_no_harm() {
    for redirections in [">&-", ">/dev/null 2>&-", ">&- 2>&-"] {
        let child = by_shell(redirections).target(print_into_nothing, ());
        child.start().unwrap();
        assert_eq!(end_of(&child), Some(0), "{redirections}");
    }
}

#[test]
fn a152_streams_that_cannot_be_written_to_in_the_end_do_no_harm() {
    let child = by_shell(">/dev/full 2>/dev/full").target(|| print!("never comes out"), ());
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a152_a_failure_that_nobody_can_be_told_of_is_still_an_exit_code() {
    for redirections in ["2>/dev/full", "2>&-"] {
        let child = by_shell(redirections).target(|| Err::<(), _>("unheard"), ());
        child.start().unwrap();
        assert_eq!(end_of(&child), Some(1), "{redirections}");
        let child = by_shell(redirections).target(|| panic!("unheard"), ());
        child.start().unwrap();
        assert_eq!(end_of(&child), Some(1), "{redirections}");
    }
}

#[test]
fn what_was_printed_comes_out_also_without_the_end_of_the_line() {
    let mut ear = Ear::new();
    let child = by_shell(">\"$OUT\"").env("OUT", ear.path()).target(|| print!("the last word"), ());
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
    assert_eq!(ear.rest(), "the last word");
}

#[test]
fn lines_of_many_processes_and_threads_do_not_mix() {
    fn print_lines(number: usize) {
        let threads: Vec<_> =
            (0..2).map(|_| thread::spawn(move || (0..50).for_each(|line| print_line(number, line)))).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    fn print_line(number: usize, line: usize) {
        println!("{number} {}{}", line % 10, format_args!("{:x<1$}", "", number * 100));
    }
    let mut ear = Ear::new();
    let child = |number| by_shell(">\"$OUT\"").env("OUT", ear.path()).target(print_lines, (number,));
    let children: Vec<Process> = (1..=8).map(child).collect();
    children.iter().for_each(|child| child.start().unwrap());
    let lines: Vec<String> = (0..800).map(|_| ear.line()).collect();
    children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
    for line in lines {
        let (number, rest) = line.split_once(' ').unwrap();
        let expected = "x".repeat(number.parse::<usize>().unwrap() * 100);
        assert_eq!(&rest[1..], expected, "{line}");
    }
    assert_eq!(ear.rest(), "");
}
