//! Real children: how they start, arrive, end and are reaped. They run this very test binary, where a hook before
//! `main` hands them to [`children`].
//!
//! Tests that count descriptors or children, or change what a whole process has once, run in a child of their own
//! ([`isolated`]): the other tests of this binary start and close things all the time.

mod children;
mod isolated;
mod postmortem;

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use super::*;
use crate::control::Received;
use crate::exit::ExitCause;

/// Starts a child that runs a script of [`children`].
fn start(role: Role, script: &str, style: Style) -> Launched {
    start_by(&WorkerCommand::default(), role, script, style)
}

fn start_by(command: &WorkerCommand, role: Role, script: &str, style: Style) -> Launched {
    launch(role, script.as_bytes(), command, style).unwrap_or_else(|error| panic!("starting {script}: {error}"))
}

fn worker(script: &str) -> Launched {
    start(Role::Worker, script, Style::WORKER)
}

/// Waits under a watchdog.
#[track_caller]
fn wait_readable(fd: BorrowedFd<'_>, what: &str) {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))).unwrap();
    assert!(ready == 1, "waited 30 s in vain for {what}");
}

#[track_caller]
fn end_of(child: &mut Child) -> ExitCause {
    wait_readable(child.as_fd(), "the end of a child");
    assert!(child.has_ended());
    child.reap()
}

/// The next message of a child, as text, and what came with it.
#[track_caller]
fn hear_all(control: &Control) -> (String, Vec<OwnedFd>) {
    wait_readable(control.as_fd(), "a message");
    let mut buffer = Vec::new();
    match control.receive(&mut buffer).unwrap() {
        Received::Message { fds } => (String::from_utf8(buffer).unwrap(), fds),
        other => panic!("no message but {other:?}"),
    }
}

#[track_caller]
fn hear(control: &Control) -> String {
    hear_all(control).0
}

/// A pidfd of a process that need not be a child.
fn watch(pid: &str) -> OwnedFd {
    rustix::process::pidfd_open(Pid::from_raw(pid.parse().unwrap()).unwrap(), PidfdFlags::empty()).unwrap()
}

/// The facts that a child of script `report` tells.
fn facts(control: &Control) -> BTreeMap<String, String> {
    let facts = hear(control);
    facts.lines().map(|line| line.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    for (script, cause) in [
        ("exit 0", ExitCause::Code(0)),
        ("exit 3", ExitCause::Code(3)),
        ("exit 255", ExitCause::Code(255)),
        ("abort", ExitCause::Signal(libc::SIGABRT)),
        ("segv", ExitCause::Signal(libc::SIGSEGV)),
        ("kill-itself", ExitCause::Signal(libc::SIGKILL)),
    ] {
        let mut launched = worker(script);
        assert_eq!(end_of(&mut launched.child), cause, "{script}");
        assert_eq!(launched.child.reap(), cause, "{script}: reaping is repeatable");
    }
}

#[test]
fn a_signal_reaches_a_running_child_and_no_ended_one() {
    let mut launched = worker("sleep");
    assert_eq!(hear(&launched.control), "ready");
    assert!(!launched.child.has_ended());
    assert!(launched.child.signal(libc::SIGTERM, false));
    assert_eq!(end_of(&mut launched.child), ExitCause::Signal(libc::SIGTERM));
    assert!(!launched.child.signal(libc::SIGTERM, false));
    assert!(!launched.child.signal(libc::SIGTERM, true));
}

/// What a child ignores of the signals that the table is about. A test that was started in the background of a shell
/// ignores others, and its children inherit that.
fn ignored_by_table(ignored: &str) -> Vec<&str> {
    let table = ["SIGINT", "SIGTTIN", "SIGTTOU", "SIGPIPE", "SIGTERM", "SIGCHLD"];
    ignored.split(' ').filter(|name| table.contains(name)).collect()
}

#[test]
fn a_worker_comes_up_as_written_down() {
    let launched = worker("report");
    let facts = facts(&launched.control);
    let fact = |name: &str| facts[name].as_str();
    assert_eq!(fact("takeover"), "Hook");
    assert_eq!(fact("role"), "Worker");
    assert_eq!(fact("pid"), launched.child.pid().to_string());
    assert_eq!(fact("ppid"), std::process::id().to_string());
    assert_eq!(fact("parent_pid"), std::process::id().to_string());
    assert_eq!(fact("variable"), "false", "the variable is removed");
    assert_eq!(fact("awaiting"), "None");
    assert_eq!(fact("stdin"), "/dev/null");
    assert_eq!(fact("leads_group"), "true");
    assert_eq!(fact("own_fds_high"), "true");
    assert_eq!(fact("core_limit"), "Some(0)");
    assert_eq!(ignored_by_table(fact("ignored")), ["SIGINT", "SIGPIPE", "SIGTTIN", "SIGTTOU"]);
    assert_eq!(fact("blocked"), "0000000000000000");
    assert_eq!(fact("watcher_blocks"), "everything");
    let arguments: Vec<_> = std::env::args().collect();
    assert_eq!(fact("arguments"), format!("{arguments:?}"));
    assert_ne!(fact("name"), "exe");
}

#[test]
fn a_process_child_shares_the_group_and_obeys_the_terminal() {
    let launched = start(Role::Process, "report", Style::PROCESS);
    let facts = facts(&launched.control);
    assert_eq!(facts["role"], "Process");
    assert_eq!(facts["group"], children::status("self", "NSpgid"));
    assert_eq!(ignored_by_table(&facts["ignored"]), ["SIGPIPE"]);
    assert_eq!(facts["stdin"], "/dev/null");
}

#[test]
fn a_child_whose_hook_is_turned_off_waits_for_init() {
    let environment = BTreeMap::from([("POOL_CORE_NO_HOOK".into(), Some("1".into()))]);
    let command = WorkerCommand { environment, ..WorkerCommand::default() };
    let launched = start_by(&command, Role::Worker, "report", Style::WORKER);
    assert_eq!(facts(&launched.control)["takeover"], "Init");
}

#[test]
fn a_command_sets_arguments_environment_and_directory() {
    let command = WorkerCommand {
        arguments: Some(vec!["one".into(), "two".into()]),
        environment: BTreeMap::from([("POOL_IPC_TEST".into(), Some("set".into())), ("PATH".into(), None)]),
        directory: Some(PathBuf::from("/")),
        program: Some(std::env::current_exe().unwrap()),
        ..WorkerCommand::default()
    };
    let facts = facts(&start_by(&command, Role::ChannelWorker, "report", Style::WORKER).control);
    assert_eq!(facts["role"], "ChannelWorker");
    assert!(facts["arguments"].ends_with(r#""one", "two"]"#), "{}", facts["arguments"]);
    assert_eq!(facts["test_variable"], "set");
    assert_eq!(facts["path_variable"], "unset");
    assert_eq!(facts["directory"], "/");
}

#[test]
fn the_first_message_arrives_whatever_its_size() {
    for size in [0, 1, 8 << 20] {
        let mut boot = b"size-and-sum ".to_vec();
        boot.resize(boot.len() + size, 7);
        let launched = launch(Role::Worker, &boot, &WorkerCommand::default(), Style::WORKER).unwrap();
        assert_eq!(hear(&launched.control), format!("{size} {}", size * 7));
    }
    let mut empty = launch(Role::Worker, b"", &WorkerCommand::default(), Style::WORKER).unwrap();
    assert_eq!(end_of(&mut empty.child), ExitCause::Code(children::UNKNOWN_SCRIPT));
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let program = PathBuf::from("/nowhere/to/be/found");
    let command = WorkerCommand { program: Some(program.clone()), ..WorkerCommand::default() };
    let error = launch(Role::Worker, b"", &command, Style::WORKER).unwrap_err();
    assert_eq!(error.path, Some(program));
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "starting a process (/nowhere/to/be/found): No such file or directory (os error 2)");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named_and_the_program_is_not() {
    let missing = PathBuf::from("/nowhere/to/be/found");
    for (directory, said) in [(missing, "No such file or directory"), (PathBuf::from("/dev/null"), "not a directory")] {
        let command = WorkerCommand { directory: Some(directory.clone()), ..WorkerCommand::default() };
        let error = launch(Role::Worker, b"", &command, Style::WORKER).unwrap_err();
        assert_eq!(error.path.as_ref(), Some(&directory));
        let begin = format!("entering the directory of a new process ({}): {said}", directory.display());
        assert!(error.to_string().starts_with(&begin), "{error}");
    }
    let (program, directory) = (Some(PathBuf::from("/nowhere/to/be/found")), Some(PathBuf::from("/")));
    let command = WorkerCommand { program: program.clone(), directory, ..WorkerCommand::default() };
    assert_eq!(launch(Role::Worker, b"", &command, Style::WORKER).unwrap_err().path, program);
}

#[test]
fn a_program_that_is_none_of_ours_is_an_ended_child_with_its_own_cause() {
    let command = WorkerCommand { program: Some(PathBuf::from("/bin/sh")), ..WorkerCommand::default() };
    let arguments = Some(vec!["-c".into(), "exit 5".into()]);
    let mut launched = start_by(&WorkerCommand { arguments, ..command }, Role::Worker, "", Style::WORKER);
    assert_eq!(end_of(&mut launched.child), ExitCause::Code(5));
}

#[test]
fn nesting_ends_at_the_limit_with_an_error_that_says_so() {
    let launched = worker("nest");
    assert_eq!(hear(&launched.control), "16: starting a process: it would be nested at depth 17, and the limit is 16");
}

#[test]
fn a_killed_group_takes_the_grandchildren_with_it() {
    let mut launched = worker("with-grandchild");
    let grandchild = watch(&hear(&launched.control));
    assert!(launched.child.signal(libc::SIGKILL, true));
    wait_readable(grandchild.as_fd(), "the end of a grandchild");
    assert_eq!(end_of(&mut launched.child), ExitCause::Signal(libc::SIGKILL));
}

#[test]
fn what_a_dead_worker_left_in_its_group_is_ended_before_it_is_reaped() {
    let launched = worker("with-grandchild");
    let grandchild = watch(&hear(&launched.control));
    assert!(launched.child.signal(libc::SIGKILL, false));
    wait_readable(launched.child.as_fd(), "the end of a child");
    assert!(!readable(&grandchild), "a signal to the worker alone does not reach its grandchild");
    launched.child.end_group();
    wait_readable(grandchild.as_fd(), "the end of a grandchild");
    assert_eq!(launched.child.reap(), ExitCause::Signal(libc::SIGKILL));
}

#[test]
fn a_dropped_child_is_gone_with_its_group() {
    let launched = worker("with-grandchild");
    let grandchild = watch(&hear(&launched.control));
    let child = watch(&launched.child.pid().to_string());
    drop(launched);
    assert!(readable(&child));
    wait_readable(grandchild.as_fd(), "the end of a grandchild");
}

#[test]
fn b009_a_killed_parent_takes_workers_and_their_groups_along_even_if_somebody_holds_the_channel() {
    let mut parent = start(Role::Process, "parent", Style { group: Group::Own, life: Life::WithParent });
    let (pids, held) = hear_all(&parent.control);
    assert_eq!(held.len(), 1, "this process now holds the parent's end of the worker's channel");
    let orphans: Vec<OwnedFd> = pids.split(' ').map(watch).collect();
    assert_eq!(orphans.len(), 2, "the worker and the grandchild in its group");
    assert!(parent.child.signal(libc::SIGKILL, false));
    assert_eq!(end_of(&mut parent.child), ExitCause::Signal(libc::SIGKILL));
    for orphan in &orphans {
        wait_readable(orphan.as_fd(), "the end of an orphan");
    }
}

#[test]
fn a_parent_that_is_gone_before_its_child_arrives_takes_it_along_nevertheless() {
    let mut parent = start(Role::Process, "leave-at-once with-parent", Style::PROCESS);
    let orphan = watch_if_there(&hear(&parent.control));
    assert_eq!(end_of(&mut parent.child), ExitCause::Code(0));
    if let Some(orphan) = orphan {
        wait_readable(orphan.as_fd(), "the end of an orphan");
    }
}

#[test]
fn a_child_with_a_life_of_its_own_stays() {
    let mut parent = start(Role::Process, "leave-at-once own-life", Style::PROCESS);
    let (pid, channel) = hear_all(&parent.control);
    let stayer = watch(&pid);
    assert_eq!(end_of(&mut parent.child), ExitCause::Code(0));
    let channel = Control::from(channel.into_iter().next().unwrap());
    assert_eq!(hear(&channel), "ready", "it arrived although its parent had gone");
    assert!(!readable(&stayer));
    rustix::process::pidfd_send_signal(&stayer, rustix::process::Signal::KILL).unwrap();
    wait_readable(stayer.as_fd(), "the end of a killed process");
}

#[test]
fn a_closed_channel_with_a_living_parent_is_told_once() {
    for script in ["end-on-close", "end-on-close-late"] {
        let Launched { mut child, control } = worker(script);
        if script == "end-on-close" {
            assert_eq!(hear(&control), "ready");
        }
        control.close_sending();
        assert_eq!(end_of(&mut child), ExitCause::Code(7), "{script}");
    }
}

/// Whether it is so now.
fn readable(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
}

/// For a process that may have ended.
fn watch_if_there(pid: &str) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid.parse().unwrap()).unwrap(), PidfdFlags::empty()).ok()
}
