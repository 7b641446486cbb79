//! The terms of frames: what runs and since when, what the far end is told of it, and how it is asked to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_ipc::{Backend, ExitCause, Frame, Terms};

use crate::gate::Gate;
use crate::rig::{Rig, echo, frame, number, post};
use crate::script::request;

const HOUR: Duration = Duration::from_secs(3600);

fn timed(owner: u64, line: &str, items: u32, timeout: Duration) -> Frame {
    let terms = Terms { attempt: 2, timeout: Some(timeout), deadline: None };
    Frame { terms: Some(Arc::new(terms)), ..frame(owner, request(line, &[]), items) }
}

pub(crate) fn contract_04_running_item_is_told_with_its_terms_and_its_beginning(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let (link, gate) = (rig.start(), Gate::new());
    assert!(link.running().is_none());
    let before = Instant::now();
    let ticket = post(&link, timed(7, &format!("stop {}", gate.name()), 3, HOUR));
    let mut begun = Vec::new();
    for item in 0..3 {
        let held = gate.next();
        let running = link.running().expect("it stands in the gate");
        assert_eq!((running.ticket, running.item, number(&running.owner)), (ticket, item, 7));
        assert_eq!(running.terms.expect("it has some").timeout, Some(HOUR));
        let since = running.since.expect("it has a time limit");
        assert!(before <= since && since <= Instant::now());
        assert_eq!(link.running().and_then(|again| again.since), Some(since), "the beginning does not move");
        begun.push(since);
        held.release();
        assert_eq!(rig.outcome(&link), echo(7, item, &[]));
    }
    assert!(begun.is_sorted(), "{begun:?}");
    assert!(link.running().is_none());
    let untimed = post(&link, frame(8, request(&format!("stop {}", gate.name()), &[]), 1));
    let held = gate.next();
    let running = link.running().expect("it stands in the gate");
    assert_eq!((running.ticket, running.since), (untimed, None));
    held.release();
    rig.outcome(&link);
    rig.close(&link);
}

pub(crate) fn contract_04_shortest_time_limit_is_that_of_what_nobody_has_begun(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let (link, gate) = (rig.start(), Gate::new());
    assert_eq!(link.shortest_timeout(), None);
    post(&link, timed(1, &format!("stop {}", gate.name()), 2, HOUR));
    let first = gate.next();
    assert_eq!(link.shortest_timeout(), Some(HOUR), "the second item waits");
    first.release();
    let second = gate.next();
    // The claim that the gate proves may not have been read yet, where it is a message.
    assert!(link.running().is_some());
    assert_eq!(link.shortest_timeout(), None);
    second.release();
    rig.outcome(&link);
    rig.outcome(&link);
    rig.close(&link);
}

pub(crate) fn contract_04_far_end_is_told_the_terms_of_its_item(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let mut ask = |frame: Frame| {
        post(&link, frame);
        String::from_utf8(rig.outcome(&link).result.expect("it is small")).expect("it is text")
    };
    let told = ask(timed(1, "tell-terms", 1, HOUR));
    assert!(["2 Some(3599)", "2 Some(3600)", "2 Some(3598)"].contains(&told.as_str()), "{told}");
    assert_eq!(ask(frame(2, request("tell-terms", &[]), 1)), "0 None");
    let late = Terms { deadline: Some(Instant::now()), ..Terms::default() };
    assert_eq!(ask(Frame { terms: Some(Arc::new(late)), ..frame(3, request("tell-terms", &[]), 1) }), "0 Some(0)");
    rig.close(&link);
}

pub(crate) fn contract_04_cancelled_item_hears_of_it_and_the_next_does_not(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let (link, gate) = (rig.start(), Gate::new());
    // More than the ring has slots.
    for owner in 0..70 {
        let ticket = post(&link, frame(owner, request(&format!("until-cancelled {}", gate.name()), &[]), 1));
        gate.next().release();
        link.cancel(ticket);
        assert_eq!(rig.outcome(&link), echo(owner, 0, &[]));
        // Over, and nobody's any more.
        link.cancel(ticket);
    }
    rig.close(&link);
}

pub(crate) fn contract_05_soft_stop_ends_an_item_that_minds_it_and_the_worker_of_one_that_does_not(
    backend: &dyn Backend,
) {
    let mut rig = Rig::new(backend);
    let (link, gate) = (rig.start(), Gate::new());
    post(&link, frame(1, request(&format!("until-cancelled {}", gate.name()), &[]), 1));
    let held = gate.next();
    assert!(link.signal(libc::SIGTERM, true));
    held.release();
    assert_eq!(rig.outcome(&link), echo(1, 0, &[]));
    post(&link, frame(2, request(&format!("stop {}", gate.name()), &[]), 1));
    let held = gate.next();
    assert!(link.signal(libc::SIGTERM, true));
    let end = rig.end(&link);
    assert_eq!(end.cause, ExitCause::Signal(libc::SIGTERM));
    drop(held);
}
