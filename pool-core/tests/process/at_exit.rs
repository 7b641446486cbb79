//! What becomes of children at the end of the process that started them.

use std::time::Duration;

use pool_core::{Process, ProcessError};

use crate::{Ear, Gate, alone, end_of, pass, say, sleep_for_ever, wait_until_gone};

fn wait_and_say(ear: String, gate: String) {
    say(&ear, std::process::id());
    pass(&gate);
    say(&ear, "done");
}

fn leave_a_child(ear: String, gate: String) {
    Process::new(wait_and_say, (ear, gate)).start().unwrap();
}

#[test]
fn a_process_waits_at_its_end_for_children_that_it_left() {
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let child = Process::new(leave_a_child, (ear.path(), gate.path()));
    child.start().unwrap();
    ear.line();
    assert!(!child.join_timeout(Duration::from_millis(50)).unwrap(), "its own child has not ended");
    gate.open();
    assert_eq!(ear.line(), "done");
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a_process_that_calls_exit_waits_as_well() {
    fn leave_and_exit(ear: String, gate: String) -> i32 {
        leave_a_child(ear, gate);
        std::process::exit(5)
    }
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let child = Process::new(leave_and_exit, (ear.path(), gate.path()));
    child.start().unwrap();
    ear.line();
    gate.open();
    assert_eq!(ear.line(), "done");
    assert_eq!(end_of(&child), Some(5));
}

fn leave_a_daemon(ear: String) {
    let sleeper = |ear: String| {
        say(&ear, std::process::id());
        sleep_for_ever()
    };
    Process::builder().daemon(true).target(sleeper, (ear,)).start().unwrap();
}

#[test]
fn a_process_ends_its_daemons_and_does_not_wait_for_them() {
    let mut ear = Ear::new();
    let child = Process::new(leave_a_daemon, (ear.path(),));
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
    let said = ear.rest();
    // It may have been ended before it could say anything.
    said.lines().for_each(|pid| assert!(!crate::exists(pid)));
}

#[test]
fn a_daemon_that_does_not_follow_is_killed() {
    fn leave_a_stopped_daemon(ear: String) {
        let sleeper = |ear: String| {
            say(&ear, std::process::id());
            sleep_for_ever()
        };
        let daemon = Process::builder().daemon(true).target(sleeper, (ear,));
        daemon.start().unwrap();
        stop(daemon.pid().unwrap());
    }
    let mut ear = Ear::new();
    let child = Process::new(leave_a_stopped_daemon, (ear.path(),));
    child.start().unwrap();
    assert_eq!(end_of(&child), Some(0));
    ear.rest().lines().for_each(|pid| assert!(!crate::exists(pid)));
}

#[expect(clippy::disallowed_methods, reason = "this child is a system tool")]
fn stop(pid: u32) {
    let status = std::process::Command::new("/bin/sh").arg("-c").arg(format!("kill -STOP {pid}")).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_process_does_not_wait_for_a_child_that_outlives_it() {
    fn leave(ear: String, gate: String) {
        Process::builder().outlive_parent().target(wait_and_say, (ear, gate)).start().unwrap();
    }
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let child = Process::new(leave, (ear.path(), gate.path()));
    child.start().unwrap();
    let pid = ear.line();
    assert_eq!(end_of(&child), Some(0));
    assert!(crate::exists(&pid));
    gate.open();
    assert_eq!(ear.line(), "done");
    wait_until_gone(&pid);
}

#[test]
fn a_daemon_cannot_outlive_its_parent() {
    let child = Process::builder().daemon(true).outlive_parent().target(|| (), ());
    assert!(matches!(child.start(), Err(ProcessError::DaemonOutlives { .. })));
}

/// What this process has of the system's: descriptors, threads, and children, running or not.
fn holdings() -> [usize; 3] {
    let count = |path: &str| std::fs::read_dir(path).unwrap().count();
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let children = processes.filter(|name| parent_of(name) == Some(std::process::id()));
    [count("/proc/self/fd"), count("/proc/self/task"), children.count()]
}

/// The parent of a process, behind its name and its state.
fn parent_of(pid: &str) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}

#[test]
fn nothing_is_left_of_processes_that_ended_failed_or_were_killed() {
    alone(|| {
        let round = || {
            let ended = Process::new(|| (), ());
            let failed = Process::builder().command("/nowhere", ["x"]).target(|| (), ());
            let killed = Process::new(sleep_for_ever, ());
            let never_started = Process::new(sleep_for_ever, ());
            ended.start().unwrap();
            assert!(matches!(failed.start(), Err(ProcessError::Start { .. })));
            killed.start().unwrap();
            killed.kill().unwrap();
            assert_eq!((end_of(&ended), end_of(&killed)), (Some(0), Some(-9)));
            drop(never_started);
        };
        round();
        let before = holdings();
        (0..10).for_each(|_| round());
        assert_eq!(holdings(), before);
        assert_eq!(before[2], 0);
    });
}
