//! Contract 2: posting never blocks; it succeeds, or hands the frame back and says why.

use std::sync::Arc;
use std::time::Instant;

use pool_ipc::{Backend, Frame, Link, RefusedWhy};

use crate::gate::{Gate, Held};
use crate::rig::{LIMIT, Rig, echo, frame, number, post};
use crate::script::request;

/// A payload that is too large for any arena.
const LARGE: usize = 300_000;

pub(crate) fn contract_02_full_link_hands_the_frame_back_unchanged(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let held = busy(&mut rig, &link, &gate);
    let fitting = fill(&link, |owner| frame(owner, request("echo", &[]), 1));
    for size in [0, 400, 5000, LARGE] {
        let payload = request("echo", &vec![3; size]);
        let mut offered = frame(77, payload.clone(), 9);
        offered.window = 4..9;
        let refused = link.post(offered).expect_err("it is full");
        assert_eq!(refused.why, RefusedWhy::Full);
        assert_eq!((number(&refused.frame.owner), refused.frame.window), (77, 4..9));
        assert_eq!(refused.frame.payload.as_slice(), payload);
    }
    assert_eq!(link.outstanding(), fitting + 1);
    held.release();
    for owner in 0..=fitting as u64 {
        assert_eq!(rig.outcome(&link).owner, if owner == 0 { 1000 } else { owner - 1 });
    }
    rig.close(&link);
}

pub(crate) fn contract_02_full_link_takes_frames_again_once_outcomes_are_collected(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let (mut posted, mut seen) = (0, 0);
    for _ in 0..20 {
        // The last of a full link stops at the gate: when it gets there, all others have been run, and none collected.
        let room = rig.abilities.frames_a_link - 1;
        for _ in 0..room {
            post(&link, frame(posted, request("echo", b"x"), 1));
            posted += 1;
        }
        post(&link, frame(posted, request(&format!("stop {}", gate.name()), b"x"), 1));
        posted += 1;
        gate.next().release();
        while seen < posted {
            assert_eq!(rig.outcome(&link), echo(seen, 0, b"x"));
            seen += 1;
        }
    }
    rig.close(&link);
}

pub(crate) fn contract_02_worker_may_run_a_full_link_and_fall_asleep_before_anybody_looks(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(0, request("thread", &[]), 1));
    let thread = rig.outcome(&link).result.expect("it was carried");
    let thread = u32::from_le_bytes(thread.try_into().expect("a thread's number"));
    for _ in 0..5 {
        let held = busy(&mut rig, &link, &gate);
        let posted = fill(&link, |owner| frame(owner, request("echo", b"x"), 1)) as u64;
        held.release();
        wait_until_asleep(link.pid(), thread);
        assert_eq!(rig.outcome(&link).owner, 1000);
        for owner in 0..posted {
            assert_eq!(rig.outcome(&link), echo(owner, 0, b"x"));
        }
    }
    rig.close(&link);
}

pub(crate) fn contract_02_link_that_is_full_of_recalled_frames_becomes_free_without_an_outcome(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    for round in 0..5 {
        let held = busy(&mut rig, &link, &gate);
        let tickets: Vec<_> =
            std::iter::from_fn(|| link.post(frame(round, request("echo", b"never"), 3)).ok()).collect();
        assert_eq!(tickets.len(), rig.abilities.frames_a_link - 1);
        for ticket in tickets {
            assert_eq!(link.recall(ticket).expect("nobody began it").window, 0..3);
        }
        assert_eq!(link.outstanding(), 1);
        held.release();
        assert_eq!(rig.outcome(&link).owner, 1000);
        // Waits bring no outcome any more, but end as slots become free.
        rig.post(&link, frame(2000, request("echo", b"at last"), 1));
        assert_eq!(rig.outcome(&link), echo(2000, 0, b"at last"));
    }
    if rig.abilities.processes {
        only_a_ring_tells_of_free_slots(&mut rig, &link);
    }
    rig.close(&link);
}

/// The worker comes to its recalled frames only after everybody has looked in vain.
fn only_a_ring_tells_of_free_slots(rig: &mut Rig, link: &Arc<dyn Link>) {
    assert!(link.signal(libc::SIGSTOP, false));
    wait_until(&format!("/proc/{}/stat", link.pid()), |stat| stat.contains(") T "));
    while let Ok(ticket) = link.post(frame(0, request("echo", b"never"), 1)) {
        assert!(link.recall(ticket).is_some());
    }
    assert!(rig.rest().is_empty());
    link.collect(&mut Vec::new());
    assert!(link.signal(libc::SIGCONT, false));
    rig.post(link, frame(3000, request("echo", b"at last"), 1));
    assert_eq!(rig.outcome(link), echo(3000, 0, b"at last"));
}

pub(crate) fn contract_02_closed_link_and_ended_link_refuse_frames(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    link.close();
    let refused = |link: &Arc<dyn Link>| {
        for size in [0, LARGE] {
            let refused = link.post(frame(8, request("echo", &vec![1; size]), 2)).expect_err("it is closed");
            assert_eq!(refused.why, RefusedWhy::Closed);
            assert_eq!((refused.frame.payload.len(), refused.frame.window), (size + 5, 0..2));
        }
    };
    refused(&link);
    rig.close(&link);
    refused(&link);
    let link = rig.start();
    post(&link, frame(1, request("die-at 0 by-kill", &[]), 1));
    assert_eq!(rig.end(&link).lost.len(), 1);
    refused(&link);
}

pub(crate) fn contract_02_posting_to_a_stopped_worker_does_not_block(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let held = busy(&mut rig, &link, &gate);
    assert!(link.signal(libc::SIGSTOP, false));
    // Each of the larger ones takes a message on the channel, and all of the smaller ones more than the arena has.
    let mut refused = None;
    let mut taken = 0;
    while refused.is_none() {
        let size = if taken % 2 == 0 { LARGE } else { 200_000 };
        match link.post(frame(taken, request("sum", &vec![1; size]), 1)) {
            Ok(_) => taken += 1,
            Err(full) => refused = Some(full.why),
        }
    }
    assert_eq!(refused, Some(RefusedWhy::Full));
    assert!(link.signal(libc::SIGCONT, false));
    held.release();
    assert_eq!(rig.outcome(&link).owner, 1000);
    for owner in 0..taken {
        assert_eq!(rig.outcome(&link).owner, owner);
    }
    rig.close(&link);
}

pub(crate) fn contract_02_large_frames_that_are_always_recalled_do_not_clog_the_link(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let mut rounds = 0;
    let mut recalled = 0;
    while recalled < 1000 {
        rounds += 1;
        let held = busy(&mut rig, &link, &gate);
        while let Ok(ticket) = link.post(frame(0, request("sum", &vec![1; LARGE]), 1)) {
            assert!(link.recall(ticket).is_some());
            recalled += 1;
        }
        held.release();
        assert_eq!(rig.outcome(&link).owner, 1000);
        assert!(rounds < 1000, "only {recalled} frames were taken in {rounds} rounds");
    }
    rig.post(&link, frame(3, request("echo", &vec![4; LARGE]), 1));
    assert_eq!(rig.outcome(&link), echo(3, 0, &vec![4; LARGE]));
    rig.close(&link);
}

/// Makes a worker busy with an item of owner 1000.
fn busy(rig: &mut Rig, link: &Arc<dyn Link>, gate: &Gate) -> Held {
    rig.post(link, frame(1000, request(&format!("stop {}", gate.name()), &[]), 1));
    gate.next()
}

/// Posts until the link is full, and gives the number of frames that it took.
fn fill(link: &Arc<dyn Link>, make: impl Fn(u64) -> Frame) -> usize {
    (0..).take_while(|&owner| link.post(make(owner)).is_ok()).count()
}

/// Waits until a thread sleeps on a futex.
fn wait_until_asleep(pid: u32, thread: u32) {
    let futex = format!("{} ", libc::SYS_futex);
    wait_until(&format!("/proc/{pid}/task/{thread}/syscall"), |call| call.starts_with(&futex));
}

/// Waits until a file of /proc says something. There is nothing to wait by but to look again.
fn wait_until(path: &str, says: impl Fn(&str) -> bool) {
    let limit = Instant::now() + LIMIT;
    loop {
        let text = std::fs::read_to_string(path).expect("the thread is there");
        if says(&text) {
            return;
        }
        assert!(Instant::now() < limit, "{path} still says {text}");
        std::thread::yield_now();
    }
}
