//! Contract 1: a backend opens hubs, a hub starts workers, each has a link of its own.

use std::path::PathBuf;
use std::sync::Arc;

use pool_ipc::{Backend, ExitCause, Link, LinkEvent, WorkerCommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::gate::Gate;
use crate::isolated::{self, Holdings};
use crate::rig::{Rig, echo, frame, post};
use crate::script::request;

pub(crate) fn contract_01_links_are_told_apart_and_run_one_item_at_a_time(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links = [rig.start(), rig.start()];
    for (link, owner) in links.iter().zip([5, 6]) {
        assert_eq!(link.capacity(), 1);
        assert_eq!(link.pid() != std::process::id(), rig.abilities.processes);
        post(link, frame(owner, request("echo", b"hello"), 1));
    }
    assert_eq!(links[0].pid() != links[1].pid(), rig.abilities.processes);
    for (link, owner) in links.iter().zip([5, 6]) {
        assert_eq!(rig.outcome(link), echo(owner, 0, b"hello"));
        assert_eq!(link.outstanding(), 0);
    }
    let other = Rig::new(backend).start();
    assert_ne!(other.id(), links[0].id());
    links.iter().for_each(|link| rig.close(link));
}

pub(crate) fn contract_01_frames_may_be_posted_before_the_worker_has_come_up(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for owner in 0..50 {
        let link = rig.start_with("");
        post(&link, frame(owner, request("echo", b"early"), 1));
        assert_eq!(rig.outcome(&link), echo(owner, 0, b"early"));
        rig.close(&link);
    }
}

pub(crate) fn contract_01_worker_gets_its_boot_bytes(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for size in [0, 1000, 60_000] {
        let boot = format!("tell-boot {}", "x".repeat(size));
        let link = rig.start_with(&boot);
        assert_eq!(rig.said(&link), boot.as_bytes());
        rig.close(&link);
    }
}

pub(crate) fn contract_01_program_that_does_not_exist_is_named_by_the_error(backend: &dyn Backend) {
    let program = PathBuf::from("/nowhere/to/be/found");
    let command = WorkerCommand { program: Some(program.clone()), ..WorkerCommand::default() };
    let error = Rig::new(backend).try_start("", command).expect_err("there is no such program");
    assert_eq!(error.path, Some(program));
    assert!(error.to_string().contains("/nowhere/to/be/found"), "{error}");
}

pub(crate) fn contract_01_program_that_is_no_worker_ends_with_its_own_exit_code(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for (program, code) in [("/bin/true", 0), ("/bin/false", 1)].repeat(20) {
        let command =
            WorkerCommand { program: Some(program.into()), arguments: Some(Vec::new()), ..WorkerCommand::default() };
        let link = rig.try_start("", command).expect("the program is there");
        let posted = link.post(frame(3, request("echo", b"in vain"), 4)).is_ok();
        let end = rig.end(&link);
        assert_eq!(end.cause, ExitCause::Code(code), "{program}");
        let rest: Vec<_> = end.lost.iter().map(|lost| lost.rest.as_ref().map(|rest| rest.window.clone())).collect();
        assert_eq!(rest, vec![Some(0..4); usize::from(posted)], "nobody began anything");
    }
}

pub(crate) fn contract_01_links_and_hubs_leave_nothing_behind(backend: &dyn Backend) {
    isolated::run("leaks", backend);
}

/// Runs alone in a process.
pub(crate) fn count_what_links_and_hubs_leave_behind(backend: &dyn Backend) {
    // What is made once and kept, by us or by the standard library, is made before the count.
    closed_in_order(backend);
    let before = Holdings::count();
    for _ in 0..10 {
        closed_in_order(backend);
        before.wait_until_as_before("links that were closed");
        dropped_in_the_middle(backend);
        before.wait_until_as_before("links that were dropped");
        lost(backend);
        before.wait_until_as_before("workers that died");
    }
}

fn closed_in_order(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links: Vec<Arc<dyn Link>> = (0..3).map(|_| rig.start()).collect();
    for link in &links {
        rig.post(link, frame(1, request("give 300000", &vec![1; 300_000]), 1));
        rig.post(link, frame(1, request("give 3000", &[]), 1));
        link.close();
    }
    for link in &links {
        assert_eq!(rig.story(link).delivered.len(), 2);
    }
}

fn dropped_in_the_middle(backend: &dyn Backend) {
    let gate = Gate::new();
    let mut rig = Rig::new(backend);
    let links: Vec<Arc<dyn Link>> = (0..3).map(|_| rig.start()).collect();
    for link in &links {
        rig.post(link, frame(1, request("give 300000", &[]), 1));
        rig.post(link, frame(1, request(&format!("stop {}", gate.name()), &[]), 1));
        let _ = link.post(frame(1, request("echo", &vec![1; 300_000]), 1));
    }
    let held: Vec<_> = links.iter().map(|_| gate.next()).collect();
    drop((rig, links));
    // Threads cannot be killed: they go once they have run what they had begun.
    held.into_iter().for_each(crate::gate::Held::release);
}

fn lost(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links: Vec<Arc<dyn Link>> = (0..3).map(|_| rig.start()).collect();
    for link in &links {
        rig.post(link, frame(1, request("give 300000", &[]), 1));
        rig.post(link, frame(1, request("die-at 0 by-kill", &vec![1; 300_000]), 1));
    }
    for link in &links {
        assert_eq!(rig.story(link).end.lost.len(), 1);
    }
}

pub(crate) fn contract_01_start_without_descriptors_fails_and_leaves_nothing_behind(backend: &dyn Backend) {
    isolated::run("start-without-descriptors", backend);
}

/// Runs alone in a process.
pub(crate) fn start_with_ever_more_descriptors(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let first = rig.start();
    rig.close(&first);
    drop(first);
    let before = Holdings::count();
    let limit = getrlimit(Resource::Nofile);
    let mut failures = Vec::new();
    for allowed in 3..64 {
        let current = Some(allowed);
        setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("a limit may be lowered");
        let started = rig.try_start("", WorkerCommand::default());
        setrlimit(Resource::Nofile, limit).expect("and raised again");
        match started {
            Ok(link) => {
                // The worker has the low limit too, so it may not come up. The end is told either way.
                link.close();
                drop(rig.story(&link));
                break;
            }
            Err(error) => {
                failures.push(error.doing);
                before.wait_until_as_before(&format!("{error} with {allowed} descriptors"));
            }
        }
    }
    failures.dedup();
    assert!(failures.len() >= 4, "several steps take a descriptor, and each may fail: {failures:?}");
    assert!(rig.rest().iter().all(|event| !matches!(event, LinkEvent::Outcome { .. })));
}
