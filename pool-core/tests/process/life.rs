//! One process: made, started, ended, closed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pool_core::{Process, ProcessError, active_children, current_process, process, thread};
use serde::{Deserialize, Serialize};

use crate::{Ear, Gate, WATCHDOG, alone, end_of, exists, pass, say, sleep_for_ever};

#[test]
fn a136_a_process_is_made_started_listed_and_ends_with_0() {
    fn report(path: String, number: u8) {
        let (current, pid) = (current_process(), std::process::id());
        assert_eq!(current.pid(), pid);
        say(&path, format_args!("{} {pid} {number} {}", current.name(), current.daemon()));
    }
    alone(|| {
        let mut ear = Ear::new();
        let child = Process::builder().name("reporter").target(report, (ear.path(), 7));
        assert_eq!((child.is_alive(), child.pid(), child.exitcode()), (false, None, None));
        assert!(!child.daemon() && active_children().is_empty());
        child.start().unwrap();
        assert_eq!(child.exitcode().unwrap_or(0), 0);
        assert_eq!(ear.line(), format!("reporter {} 7 false", child.pid().unwrap()));
        assert_eq!(end_of(&child), Some(0));
        assert!(!child.is_alive() && active_children().is_empty());
    });
}

#[test]
fn a_process_is_started_once_whoever_tries() {
    let mut ear = Ear::new();
    let child = Process::new(|path: String| say(&path, "started"), (ear.path(),));
    let starter = |child: Process| thread::spawn(move || child.start());
    let starters: Vec<_> = (0..4).map(|_| starter(child.clone())).collect();
    let outcomes: Vec<_> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let refused = outcomes.into_iter().filter_map(Result::err);
    refused.for_each(|error| assert!(matches!(error, ProcessError::AlreadyStarted { .. }), "{error}"));
    assert_eq!(end_of(&child), Some(0));
    assert!(matches!(child.start(), Err(ProcessError::AlreadyStarted { .. })));
    assert_eq!(ear.line(), "started");
    assert_eq!(ear.rest(), "");
}

#[test]
fn what_needs_a_started_process_says_so_before_the_start() {
    let child = Process::new(|| (), ());
    for outcome in [child.join(), child.terminate(), child.kill(), child.interrupt()] {
        assert!(matches!(outcome, Err(ProcessError::NotStarted { .. })), "{outcome:?}");
    }
    assert!(matches!(child.join_timeout(Duration::ZERO), Err(ProcessError::NotStarted { .. })));
}

#[test]
fn a145_a_sentinel_is_ready_once_the_process_has_ended() {
    let mut gate = Gate::new();
    let child = Process::new(|path: String| pass(&path), (gate.path(),));
    let error = child.sentinel().unwrap_err();
    assert_eq!(error.to_string(), format!("process {} was not started yet", child.name()));
    child.start().unwrap();
    let sentinel = child.sentinel().unwrap();
    assert!(process::wait(&[&sentinel], Some(Duration::ZERO)).unwrap().is_empty());
    gate.open();
    assert_eq!(process::wait(&[&sentinel], Some(WATCHDOG)).unwrap(), [0]);
    assert!(!child.is_alive());
    assert_eq!(process::wait(&[&sentinel], Some(Duration::ZERO)).unwrap(), [0]);
}

#[test]
fn a146_a_process_is_closed_once_it_has_ended_and_then_only_remembers() {
    let mut gate = Gate::new();
    let child = Process::new(|path: String| pass(&path), (gate.path(),));
    child.start().unwrap();
    let pid = child.pid();
    assert!(matches!(child.close(), Err(ProcessError::StillRunning { pid: shown, .. }) if shown == pid));
    assert!(child.is_alive());
    gate.open();
    assert_eq!(end_of(&child), Some(0));
    child.close().unwrap();
    for outcome in [child.start(), child.join(), child.terminate(), child.kill(), child.interrupt()] {
        assert!(matches!(outcome, Err(ProcessError::Closed { .. })), "{outcome:?}");
    }
    assert!(matches!(child.sentinel(), Err(ProcessError::Closed { .. })));
    assert!(matches!(child.join_timeout(WATCHDOG), Err(ProcessError::Closed { .. })));
    assert_eq!((child.pid(), child.exitcode(), child.is_alive()), (pid, Some(0), false));
    child.close().unwrap();
}

/// An argument that counts how often it was dropped.
#[derive(Serialize, Deserialize)]
struct Counted;

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a146_a148_the_arguments_are_dropped_by_the_start_or_by_the_close() {
    alone(|| {
        let child = Process::new(|_: Counted| (), (Counted,));
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
        child.start().unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
        assert_eq!(end_of(&child), Some(0));
        let never_started = Process::new(|_: Counted| (), (Counted,));
        never_started.close().unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
        drop((child, never_started));
        assert_eq!(DROPPED.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a143_active_children_are_those_that_run() {
    alone(|| {
        let mut gate = Gate::new();
        let child = Process::new(|path: String| pass(&path), (gate.path(),));
        assert_eq!(active_children(), []);
        child.start().unwrap();
        assert!(active_children() == std::slice::from_ref(&child));
        gate.open();
        assert_eq!(process::wait(&[child.sentinel().unwrap()], Some(WATCHDOG)).unwrap(), [0]);
        assert_eq!(active_children(), []);
        assert!(!exists(&child.pid().unwrap().to_string()));
    });
}

#[test]
fn a_dropped_process_goes_on_and_is_reaped_by_the_next_start() {
    alone(|| {
        let (mut ear, mut gate) = (Ear::new(), Gate::new());
        let child = Process::new(
            |path: String, gate: String| {
                pass(&gate);
                say(&path, std::process::id())
            },
            (ear.path(), gate.path()),
        );
        child.start().unwrap();
        let sentinel = child.sentinel().unwrap();
        drop(child);
        gate.open();
        let pid = ear.line();
        assert_eq!(process::wait(&[sentinel], Some(WATCHDOG)).unwrap(), [0]);
        let next = Process::new(|| (), ());
        next.start().unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie is left");
        assert_eq!(end_of(&next), Some(0));
    });
}

#[test]
fn a147_a_hundred_processes_all_end_as_they_should() {
    let quick: Vec<Process> = (0..100).map(|_| Process::new(|| (), ())).collect();
    quick.iter().for_each(|child| child.start().unwrap());
    quick.iter().for_each(|child| assert_eq!(end_of(child), Some(0)));
    let slow: Vec<Process> = (0..100).map(|_| Process::new(sleep_for_ever, ())).collect();
    slow.iter().for_each(|child| child.start().unwrap());
    slow.iter().for_each(|child| child.terminate().unwrap());
    slow.iter().for_each(|child| assert_eq!(end_of(child), Some(-15)));
}

/// Python's test makes a class of its own that is a Process with a pipe. Here a method is the function.
#[derive(Serialize, Deserialize)]
struct Upper {
    questions: String,
    answers: String,
}

impl Upper {
    fn serve(self) {
        let questions = std::fs::File::open(&self.questions).unwrap();
        for line in std::io::BufRead::lines(std::io::BufReader::new(questions)) {
            match line.unwrap().as_str() {
                "" => return,
                question => say(&self.answers, question.to_uppercase()),
            }
        }
    }
}

#[test]
fn a157_a_method_runs_on_a_value_of_its_own_in_another_process() {
    let (mut ear, questions) = (Ear::new(), Ear::new());
    let upper = Upper { questions: crate::path_of(&questions.reader), answers: ear.path() };
    let child = Process::new(Upper::serve, (upper,));
    child.start().unwrap();
    for word in ["hello", "world"] {
        say(&questions.path(), word);
        assert_eq!(ear.line(), word.to_uppercase());
    }
    say(&questions.path(), "");
    assert_eq!(end_of(&child), Some(0));
}

#[test]
fn a_process_tells_how_far_it_has_come() {
    let child = Process::builder().name("shown").daemon(true).target(sleep_for_ever, ());
    let own = std::process::id();
    assert_eq!(
        format!("{child:?}"),
        format!("Process {{ name: \"shown\", parent: {own}, state: initial, daemon: true }}")
    );
    child.start().unwrap();
    let pid = child.pid().unwrap();
    let shown =
        |state: &str| format!("Process {{ name: \"shown\", pid: {pid}, parent: {own}, state: {state}, daemon: true }}");
    assert_eq!(format!("{child:?}"), shown("started"));
    child.terminate().unwrap();
    end_of(&child);
    assert_eq!(format!("{child:?}"), shown("stopped exitcode=-SIGTERM"));
    child.close().unwrap();
    assert_eq!(format!("{child:?}"), shown("closed"));
}
