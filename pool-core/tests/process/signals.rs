//! Processes that are ended from outside.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_core::Process;

use crate::{Ear, end_of, say, sleep_for_ever};

/// Starts a child that sleeps, waits until it does, ends it, and gives its exit code.
fn ended_by(end: impl FnOnce(&Process)) -> Option<i32> {
    let mut ear = Ear::new();
    let child = Process::new(
        |ear: String| {
            say(&ear, "asleep");
            sleep_for_ever()
        },
        (ear.path(),),
    );
    child.start().unwrap();
    assert_eq!(ear.line(), "asleep");
    // Python's join(0) and join(-1): no duration is negative, so the shortest wait stands for both.
    assert!(!child.join_timeout(Duration::ZERO).unwrap());
    assert!(child.is_alive() && child.exitcode().is_none());
    end(&child);
    let code = end_of(&child);
    assert!(!child.is_alive());
    child.join().unwrap();
    assert!(child.join_timeout(Duration::ZERO).unwrap());
    // Nobody is there to get it, which is no error.
    end_again(&child);
    code
}

fn end_again(child: &Process) {
    child.terminate().unwrap();
    child.kill().unwrap();
    child.interrupt().unwrap();
}

/// In Python an interrupt is an exception, KeyboardInterrupt, which ends a process with exit code 1, or kills it where no
/// handler is set up. Rust has no handler, so the second holds for every process that does not bring one.
#[test]
fn a138_a139_an_interrupted_process_ends_by_sigint() {
    assert_eq!(ended_by(|child| child.interrupt().unwrap()), Some(-2));
}

#[test]
fn a140_a_terminated_process_ends_by_sigterm() {
    assert_eq!(ended_by(|child| child.terminate().unwrap()), Some(-15));
}

#[test]
fn a141_a_killed_process_ends_by_sigkill() {
    assert_eq!(ended_by(|child| child.kill().unwrap()), Some(-9));
}

/// Not the program's, which may be from outside of the pid namespace and then has no number.
#[expect(clippy::disallowed_methods, reason = "stands for what a process may start")]
fn join_another_group() {
    let mut other = Command::new("sleep").arg("1000").stdin(Stdio::null()).process_group(0).spawn().unwrap();
    rustix::process::setpgid(None, Some(rustix::process::Pid::from_child(&other))).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_process_that_left_the_group_of_its_own_is_ended_like_any_other() {
    fn leave(ear: String) {
        join_another_group();
        say(&ear, "gone");
        sleep_for_ever();
    }
    for code in [-15, -9, -2] {
        let mut ear = Ear::new();
        let child = Process::builder().own_group().target(leave, (ear.path(),));
        child.start().unwrap();
        assert_eq!(ear.line(), "gone");
        match code {
            -15 => child.terminate().unwrap(),
            -9 => child.kill().unwrap(),
            _ => child.interrupt().unwrap(),
        }
        assert_eq!(end_of(&child), Some(code));
    }
}

#[test]
fn a_process_with_a_group_of_its_own_takes_what_it_started_along() {
    fn leader(ear: String) {
        let child = Process::builder().outlive_parent().target(
            |ear: String| {
                say(&ear, std::process::id());
                sleep_for_ever()
            },
            (ear,),
        );
        child.start().unwrap();
        sleep_for_ever();
    }
    let mut ear = Ear::new();
    let child = Process::builder().own_group().target(leader, (ear.path(),));
    child.start().unwrap();
    let grandchild = ear.line();
    child.terminate().unwrap();
    assert_eq!(end_of(&child), Some(-15));
    crate::wait_until_gone(&grandchild);
}
