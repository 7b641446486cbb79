//! Contract 5: a worker's end is one event with its cause, after everything that it had finished was delivered.

use std::os::fd::AsFd;
use std::sync::Arc;

use pool_ipc::{Backend, ExitCause, Frame, Link, LinkEvent, WorkerCommand};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use crate::gate::Gate;
use crate::rig::{LIMIT, Rig, Story, echo, frame, number, post};
use crate::script::{pattern, request};

/// What a worker that dies by the word `by-kill` of the script is told to have ended by.
fn killed(rig: &Rig) -> ExitCause {
    if rig.abilities.processes { ExitCause::Signal(libc::SIGKILL) } else { ExitCause::Code(101) }
}

pub(crate) fn contract_05_finished_items_are_delivered_the_claimed_one_blamed_the_rest_handed_back(
    backend: &dyn Backend,
) {
    let mut rig = Rig::new(backend);
    for (first, at, size) in [(0, 4, 10), (0, 0, 10), (100, 109, 10), (0, 0, 300_000), (7, 10, 5000)] {
        let link = rig.start();
        let payload = request(&format!("die-at {at} by-kill"), &vec![2; size]);
        post(
            &link,
            Frame {
                owner: Arc::new(1u64),
                payload: payload.clone().into(),
                window: first..first + 10,
                terms: None,
                rank: 3,
            },
        );
        let Story { delivered, declined, mut end } = rig.story(&link);
        let expected: Vec<_> = (first..at).map(|item| echo(1, item, &vec![2; size])).collect();
        assert_eq!(delivered, expected);
        assert!(declined.is_empty());
        assert_eq!((end.pid, end.cause, end.corrupt, end.lost.len()), (link.pid(), killed(&rig), None, 1));
        let lost = end.lost.remove(0);
        assert_eq!((number(&lost.owner), lost.blamed), (1, Some(at)));
        assert_eq!(lost.rest.is_some(), at + 1 < first + 10);
        let Some(rest) = lost.rest else { continue };
        assert_eq!((rest.window.clone(), rest.rank), (at + 1..first + 10, 3));
        assert_eq!(rest.payload.as_slice(), payload);
        let other = rig.start();
        post(&other, rest);
        for item in at + 1..first + 10 {
            assert_eq!(rig.outcome(&other), echo(1, item, &vec![2; size]));
        }
        rig.close(&other);
    }
}

pub(crate) fn contract_05_each_lost_frame_has_its_own_account(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(0, request("echo", b"done"), 2));
    let cut = request(&format!("stop-and-die-at 1 {} by-kill", gate.name()), b"x");
    let ticket = post(&link, frame(1, cut, 8));
    for (owner, size) in [(2, 0), (3, 5000), (4, 300_000)] {
        post(&link, frame(owner, request("echo", &vec![3; size]), 3));
    }
    let recalled = post(&link, frame(5, request("echo", &[]), 3));
    let held = gate.next();
    assert_eq!(link.recall(recalled).expect("nobody began it").window, 0..3);
    assert_eq!(link.recall(ticket).expect("six are not begun").window, 2..8);
    // A thread cannot be killed, but can die by itself.
    assert_eq!(link.signal(libc::SIGKILL, false), rig.abilities.processes);
    held.release();
    let Story { delivered, end, .. } = rig.story(&link);
    assert_eq!(delivered, [echo(0, 0, b"done"), echo(0, 1, b"done"), echo(1, 0, b"x")]);
    let accounts: Vec<_> = end
        .lost
        .iter()
        .map(|lost| (number(&lost.owner), lost.blamed, lost.rest.as_ref().map(|rest| rest.window.clone())))
        .collect();
    let whole = Some(0..3);
    assert_eq!(accounts, [(1, Some(1), None), (2, None, whole.clone()), (3, None, whole.clone()), (4, None, whole)]);
    let other = rig.start();
    for lost in end.lost.into_iter().skip(1) {
        let rest = lost.rest.expect("it was seen just now");
        let (owner, data) = (number(&lost.owner), rest.payload.as_slice()[5..].to_vec());
        post(&other, rest);
        for item in 0..3 {
            assert_eq!(rig.outcome(&other), echo(owner, item, &data));
        }
    }
    rig.close(&other);
}

pub(crate) fn contract_05_large_outcomes_of_a_killed_worker_are_delivered(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for size in [100, 50_000, 300_000] {
        let link = rig.start();
        let payload = request("die-at 5 by-kill", &pattern(1, size));
        post(&link, frame(1, payload, 10));
        // Nobody looks before the worker is gone.
        wait_until_gone(&rig, &link);
        let Story { delivered, end, .. } = rig.story(&link);
        assert_eq!(delivered, (0..5).map(|item| echo(1, item, &pattern(1, size))).collect::<Vec<_>>());
        assert_eq!(
            (end.lost[0].blamed, end.lost[0].rest.as_ref().map(|rest| rest.window.clone())),
            (Some(5), Some(6..10))
        );
    }
}

/// Threads have no handle to see their end by; there the end is waited for by its event.
fn wait_until_gone(rig: &Rig, link: &Arc<dyn Link>) {
    if rig.abilities.processes {
        wait_for_pid(link.pid());
    }
}

fn wait_for_pid(pid: u32) {
    let pid = Pid::from_raw(pid as i32).expect("a process's number");
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => wait_readable(&process, "the end of a process"),
        Err(errno) => assert_eq!(errno, rustix::io::Errno::SRCH),
    }
}

fn wait_readable(fd: &impl AsFd, what: &str) {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let limit = Timespec { tv_sec: LIMIT.as_secs() as i64, tv_nsec: 0 };
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&limit))).expect("poll works");
    assert!(ready == 1, "waited {LIMIT:?} in vain for {what}");
}

pub(crate) fn contract_05_causes_are_told_apart(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for (how, cause) in [
        ("0", ExitCause::Code(0)),
        ("3", ExitCause::Code(3)),
        ("255", ExitCause::Code(255)),
        ("by-abort", ExitCause::Signal(libc::SIGABRT)),
        ("by-segv", ExitCause::Signal(libc::SIGSEGV)),
        ("by-kill", ExitCause::Signal(libc::SIGKILL)),
    ] {
        let link = rig.start();
        post(&link, frame(1, request(&format!("die-at 0 {how}"), &[]), 1));
        let end = rig.end(&link);
        assert_eq!((end.cause, end.lost.len(), end.lost[0].blamed), (cause, 1, Some(0)), "{how}");
    }
}

pub(crate) fn contract_05_end_of_an_idle_worker_costs_nothing(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let (link, other) = (rig.start(), rig.start());
    post(&link, frame(1, request("echo", &[]), 1));
    assert_eq!(rig.outcome(&link), echo(1, 0, &[]));
    assert!(link.signal(libc::SIGKILL, false));
    let end = rig.end(&link);
    assert_eq!((end.cause, end.lost.len()), (ExitCause::Signal(libc::SIGKILL), 0));
    assert!(!link.signal(libc::SIGTERM, false) && !link.signal(libc::SIGTERM, true));
    post(&other, frame(2, request("echo", &[]), 1));
    assert_eq!(rig.outcome(&other), echo(2, 0, &[]));
    rig.close(&other);
}

pub(crate) fn contract_05_end_is_the_last_event_and_comes_once(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links: Vec<_> = (0..4).map(|_| rig.start_with("greet 1")).collect();
    for (link, how) in links.iter().zip(["die-at 3 by-kill", "echo", "fill 300000", "leave-unpublished"]) {
        post(link, frame(1, request(how, b"x"), 5));
        link.close();
        link.close();
    }
    for link in &links {
        rig.story(link);
    }
    for link in &links {
        let mut events = Vec::new();
        link.collect(&mut events);
        assert!(events.is_empty(), "{events:?}");
        assert_eq!((link.outstanding(), link.unclaimed()), (0, 0));
        assert!(!link.signal(libc::SIGKILL, true));
        link.close();
    }
    for _ in 0..5 {
        rig.hub.wake();
        let rest = rig.rest();
        assert!(rest.is_empty(), "{rest:?}");
    }
}

pub(crate) fn contract_05_closed_worker_runs_what_was_posted_and_ends_in_order(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for size in [0, 1000, 300_000].repeat(10) {
        let link = rig.start();
        let frames = 5.min(rig.abilities.frames_a_link as u64);
        for owner in 0..frames {
            post(&link, frame(owner, request("echo", &vec![1; size]), 2));
        }
        link.close();
        let Story { delivered, end, .. } = rig.story(&link);
        assert_eq!(delivered.len() as u64, frames * 2);
        assert_eq!((end.cause, end.corrupt, end.lost.len()), (ExitCause::Code(0), None, 0));
    }
}

pub(crate) fn contract_05_worker_that_is_closed_before_it_came_up_ends_in_order(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for _ in 0..30 {
        let link = rig.start_with("");
        rig.close(&link);
    }
}

/// The contract lets a worker do so. It is the worker that is at fault for the item, and nothing else is lost.
pub(crate) fn contract_05_worker_that_leaves_an_item_unpublished_is_blamed_for_it_alone(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    post(&link, frame(1, request("leave-unpublished", b"x"), 3));
    let behind = link.post(frame(2, request("echo", b"x"), 2)).is_ok();
    link.close();
    let Story { delivered, declined, end } = rig.story(&link);
    let expected: Vec<_> = (0..2).filter(|_| behind).map(|item| echo(2, item, b"x")).collect();
    assert_eq!(delivered, expected);
    assert_eq!(end.cause, ExitCause::Code(0));
    assert_eq!((end.lost.len(), end.lost[0].blamed), (1, Some(0)));
    let rests: Vec<_> = declined.into_iter().chain(end.lost.into_iter().filter_map(|lost| lost.rest)).collect();
    assert_eq!((rests.len(), rests[0].window.clone()), (1, 1..3));
}

pub(crate) fn contract_05_signals_reach_the_worker_and_what_it_started(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(1, request("child", &[]), 1));
    let child = rig.outcome(&link).result.expect("it was carried");
    let child = u32::from_le_bytes(child.try_into().expect("a process's number"));
    post(&link, frame(2, request(&format!("stop {}", gate.name()), &[]), 1));
    let _held = gate.next();
    assert!(link.signal(libc::SIGTERM, false));
    let end = rig.end(&link);
    assert_eq!((end.cause, end.lost[0].blamed), (ExitCause::Signal(libc::SIGTERM), Some(0)));
    wait_for_pid(child);
}

/// With somebody left in its group, whom a signal to that meets, and without.
pub(crate) fn contract_05_signals_reach_a_worker_that_left_its_process_group(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for (signal, leaves_a_child) in
        [(libc::SIGTERM, false), (libc::SIGTERM, true), (libc::SIGKILL, false), (libc::SIGKILL, true)]
    {
        let (link, gate) = (rig.start(), Gate::new());
        let mut child = None;
        if leaves_a_child {
            post(&link, frame(1, request("child", &[]), 1));
            let pid = rig.outcome(&link).result.expect("it was carried");
            child = Some(u32::from_le_bytes(pid.try_into().expect("a process's number")));
        }
        post(&link, frame(2, request("leave-group", &[]), 1));
        assert_eq!(rig.outcome(&link), echo(2, 0, &[]));
        post(&link, frame(3, request(&format!("stop {}", gate.name()), &[]), 1));
        let _held = gate.next();
        assert!(link.signal(signal, true));
        let end = rig.end(&link);
        assert_eq!((end.cause, end.lost[0].blamed), (ExitCause::Signal(signal), Some(0)));
        child.into_iter().for_each(wait_for_pid);
    }
}

/// A second one might end what a handler began at the first.
pub(crate) fn contract_05_a_signal_to_the_group_comes_once(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for deed in ["echo", "leave-group"] {
        let (link, gate) = (rig.start(), Gate::new());
        post(&link, frame(1, request(deed, &[]), 1));
        assert_eq!(rig.outcome(&link), echo(1, 0, &[]));
        post(&link, frame(2, request(&format!("count-signals {}", gate.name()), &[]), 1));
        let held = gate.next();
        // Signals of this kind are queued, each by itself.
        assert!(link.signal(libc::SIGRTMIN(), true));
        held.release();
        assert_eq!(rig.outcome(&link).result.expect("it was carried"), [1], "{deed}");
        rig.close(&link);
    }
}

/// A task closes all descriptors that it can find: the worker is of no use any more, and ends.
pub(crate) fn contract_05_worker_that_loses_its_descriptors_is_a_loss_like_any_other(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    post(&link, frame(1, request("attack close-all", &[]), 1));
    let Story { delivered, end, .. } = rig.story(&link);
    assert!(end.corrupt.is_none());
    assert_eq!(delivered.len() + end.lost.len(), 1);
    assert_ne!(end.cause, ExitCause::Code(0));
    // As does a program that is no worker of ours, and takes what it was given for its input.
    let (program, arguments) = (Some("/bin/grep".into()), Some(["-q", "no such text"].map(Into::into).to_vec()));
    let command = WorkerCommand { program, arguments, ..WorkerCommand::default() };
    let link = rig.try_start("", command).expect("the program is there");
    link.close();
    rig.end(&link);
    assert!(rig.rest().iter().all(|event| !matches!(event, LinkEvent::Ended { .. })));
}
