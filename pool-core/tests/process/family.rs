//! Names, parents, and processes that start processes.

use std::collections::BTreeSet;
use std::time::Duration;

use pool_core::{Process, ProcessError, cpu_count, current_process, parent_process, thread};

use crate::{Ear, Gate, alone, end_of, exists, pass, say, sleep_for_ever};

#[test]
fn a130_the_current_process_is_this_one_and_no_daemon() {
    let current = current_process();
    assert_eq!((current.pid(), current.daemon()), (std::process::id(), false));
}

#[test]
fn a133_a_process_is_a_daemon_where_it_was_chosen_and_else_as_this_one() {
    assert_eq!(Process::new(|| (), ()).daemon(), current_process().daemon());
    for daemon in [true, false] {
        assert_eq!(Process::builder().daemon(daemon).target(|| (), ()).daemon(), daemon);
    }
}

#[test]
fn a134_a_child_knows_its_parent_and_the_main_process_has_none() {
    fn report(path: String) {
        let parent = parent_process().unwrap();
        assert!(parent.is_alive() && !parent.join_timeout(Duration::ZERO).unwrap());
        assert_eq!(parent.pid(), std::os::unix::process::parent_id());
        say(&path, format_args!("{} {}", parent.name(), parent.pid()));
    }
    assert_eq!(parent_process(), None);
    assert_eq!(current_process().name(), "MainProcess");
    let mut ear = Ear::new();
    let child = Process::new(report, (ear.path(),));
    child.start().unwrap();
    assert_eq!(ear.line(), format!("MainProcess {}", std::process::id()));
    assert_eq!(end_of(&child), Some(0));
}

/// A child that starts another one, which outlives it, and is killed.
#[test]
fn a135_a_grandchild_that_outlives_its_parent_notices_its_death() {
    fn parent(ear: String, gate: String) {
        Process::builder().outlive_parent().target(grandchild, (ear, gate)).start().unwrap();
        sleep_for_ever();
    }
    fn grandchild(ear: String, gate: String) {
        let parent = parent_process().unwrap();
        say(&ear, format_args!("{} {}", parent.is_alive(), parent.join_timeout(Duration::ZERO).unwrap()));
        parent.join().unwrap();
        pass(&gate);
        say(&ear, format_args!("{} {}", parent.is_alive(), parent.join_timeout(Duration::ZERO).unwrap()));
        say(&ear, parent.name());
    }
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let child = Process::builder().name("parent").target(parent, (ear.path(), gate.path()));
    child.start().unwrap();
    assert_eq!(ear.line(), "true false");
    child.terminate().unwrap();
    assert_eq!(end_of(&child), Some(-15));
    gate.open();
    assert_eq!(ear.line(), "false true");
    assert_eq!(ear.line(), "parent");
    assert_eq!(ear.rest(), "");
}

#[test]
fn a_grandchild_ends_with_its_parent_unless_told_otherwise() {
    fn parent(ear: String) {
        let child = Process::new(
            |ear: String| {
                say(&ear, std::process::id());
                sleep_for_ever()
            },
            (ear,),
        );
        child.start().unwrap();
        child.join().unwrap();
    }
    let mut ear = Ear::new();
    let child = Process::new(parent, (ear.path(),));
    child.start().unwrap();
    let grandchild = ear.line();
    assert!(exists(&grandchild));
    child.kill().unwrap();
    assert_eq!(end_of(&child), Some(-9));
    crate::wait_until_gone(&grandchild);
}

#[test]
fn a137_the_main_thread_of_a_child_is_another_one_of_the_system() {
    let mut ear = Ear::new();
    let report =
        |path: String| say(&path, format_args!("{} {:?}", thread::current().name(), thread::current().native_id()));
    let child = Process::new(report, (ear.path(),));
    child.start().unwrap();
    assert_eq!(ear.line(), format!("MainThread Some({})", child.pid().unwrap()));
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a142_there_is_a_cpu() {
    assert!(cpu_count() >= 1);
}

#[test]
fn a144_processes_nest_and_are_named_after_their_line() {
    fn node(ear: String, depth: u32) {
        say(&ear, current_process().name());
        let children: Vec<Process> =
            (0..if depth < 2 { 2 } else { 0 }).map(|_| Process::new(node, (ear.clone(), depth + 1))).collect();
        children.iter().for_each(|child| child.start().unwrap());
        children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
    }
    let mut ear = Ear::new();
    let root = Process::new(node, (ear.path(), 0));
    let name = root.name().to_owned();
    root.start().unwrap();
    assert_eq!(end_of(&root), Some(0));
    let said = ear.rest();
    let nodes: BTreeSet<&str> = said.lines().collect();
    let expected = ["", ":1", ":2", ":1:1", ":1:2", ":2:1", ":2:2"].map(|end| format!("{name}{end}"));
    assert_eq!(nodes, expected.iter().map(String::as_str).collect());
    assert_eq!(said.lines().count(), 7);
}

#[test]
fn names_count_within_a_parent_also_past_those_that_have_one() {
    alone(|| {
        let own = current_process().name().to_owned();
        let children =
            [Process::new(|| (), ()), Process::builder().name("x").target(|| (), ()), Process::new(|| (), ())];
        let names = children.each_ref().map(Process::name);
        assert_eq!(names, [&format!("{own}:1"), "x", &format!("{own}:3")]);
    });
}

#[test]
fn a_daemon_may_not_have_children() {
    fn daemon(ear: String) {
        assert!(current_process().daemon());
        let refused = Process::builder().name("grandchild").target(|| (), ()).start().unwrap_err();
        assert!(matches!(refused, ProcessError::DaemonParent { .. }));
        say(&ear, refused);
    }
    let mut ear = Ear::new();
    let child = Process::builder().name("imp").daemon(true).target(daemon, (ear.path(),));
    child.start().unwrap();
    assert_eq!(ear.line(), "process grandchild cannot be started by imp: a daemon may not have children");
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a149_children_that_run_at_once_have_the_same_number_of_descriptors() {
    fn report(ear: String, gate: String) {
        let numbers = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().file_name());
        let numbers: BTreeSet<u32> = numbers.map(|name| name.into_string().unwrap().parse().unwrap()).collect();
        // Above are its own: the way to its parent, closed on both sides sooner or later.
        let (low, high): (Vec<u32>, Vec<u32>) = numbers.iter().partition(|number| **number < 200);
        assert!(high.len() <= 5, "{high:?}");
        say(&ear, format_args!("{low:?}"));
        pass(&gate);
    }
    let (mut ear, mut gate) = (Ear::new(), Gate::new());
    let children: Vec<Process> = (0..5).map(|_| Process::new(report, (ear.path(), gate.path()))).collect();
    children.iter().for_each(|child| child.start().unwrap());
    let counts: BTreeSet<String> = children.iter().map(|_| ear.line()).collect();
    assert_eq!(counts.len(), 1, "{counts:?}");
    children.iter().for_each(|_| gate.open());
    children.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
}
