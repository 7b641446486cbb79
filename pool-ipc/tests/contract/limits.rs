//! Contract 7: every limit is stated, and hitting it is an error with the sizes in it.

use pool_ipc::{Backend, MAX_ITEMS, MAX_SAID, RefusedWhy, Undelivered};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::gate::Gate;
use crate::isolated;
use crate::rig::{Rig, echo, frame, post};
use crate::script::{pattern, request};

/// A payload for which memory of its own is needed.
const LARGE: usize = 300_000;

pub(crate) fn contract_07_link_takes_as_many_frames_as_it_declares(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(0, request(&format!("stop {}", gate.name()), &[]), 1));
    let held = gate.next();
    for owner in 1..rig.abilities.frames_a_link {
        post(&link, frame(owner as u64, request("echo", &[]), 1));
    }
    let refused = link.post(frame(1, request("echo", &[]), 1)).expect_err("it is full");
    assert_eq!((refused.why, link.outstanding()), (RefusedWhy::Full, rig.abilities.frames_a_link));
    held.release();
    for owner in 0..rig.abilities.frames_a_link {
        assert_eq!(rig.outcome(&link).owner, owner as u64);
    }
    rig.close(&link);
}

pub(crate) fn contract_07_number_of_items_is_limited_and_the_error_says_so(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    for items in [0, MAX_ITEMS + 1, u32::MAX] {
        let refused = link.post(frame(1, request("echo", b"x"), items)).expect_err("so many are not allowed");
        assert_eq!(refused.why, RefusedWhy::Items { items });
        assert_eq!(refused.frame.items(), items);
        let text = refused.why.to_string();
        assert!(text.contains(&items.to_string()) && text.contains(&MAX_ITEMS.to_string()), "{text}");
    }
    post(&link, frame(2, request("begin-at-most 1", b"x"), MAX_ITEMS));
    assert_eq!(rig.outcome(&link), echo(2, 0, b"x"));
    rig.wait_for("the rest", |events| events.pop());
    rig.close(&link);
}

pub(crate) fn contract_07_length_of_a_message_is_limited_and_the_error_says_so(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start_with("boast");
    assert_eq!(rig.said(&link).len(), MAX_SAID);
    let error = String::from_utf8(rig.said(&link)).expect("text");
    assert!(error.contains(&MAX_SAID.to_string()) && error.contains(&(MAX_SAID + 1).to_string()), "{error}");
    rig.close(&link);
}

pub(crate) fn contract_07_payload_without_a_descriptor_for_it_is_an_error_with_its_size(backend: &dyn Backend) {
    isolated::run("post-without-descriptors", backend);
}

/// Runs alone in a process.
pub(crate) fn post_without_descriptors(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a limit may be lowered");
    let payload = request("echo", &vec![1; LARGE]);
    let refused = link.post(frame(1, payload.clone(), 1));
    setrlimit(Resource::Nofile, limit).expect("and raised again");
    let refused = refused.expect_err("it takes a descriptor");
    assert_eq!(refused.why, RefusedWhy::NoMemory { size: payload.len() as u64, errno: libc::EMFILE });
    assert!(refused.why.to_string().contains(&payload.len().to_string()), "{}", refused.why);
    assert_eq!(refused.frame.payload.as_slice(), payload);
    post(&link, refused.frame);
    assert_eq!(rig.outcome(&link), echo(1, 0, &vec![1; LARGE]));
    rig.close(&link);
}

pub(crate) fn contract_07_outcome_without_a_descriptor_for_it_is_an_error_with_its_size(backend: &dyn Backend) {
    isolated::run("collect-without-descriptors", backend);
}

/// Runs alone in a process.
pub(crate) fn collect_without_descriptors(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(1, request(&format!("fill {LARGE}"), &[]), 2));
    post(&link, frame(2, request(&format!("stop {}", gate.name()), &[]), 1));
    let held = gate.next();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).expect("a limit may be lowered");
    let outcomes = [rig.outcome(&link), rig.outcome(&link)];
    setrlimit(Resource::Nofile, limit).expect("and raised again");
    for outcome in outcomes {
        assert_eq!(outcome.result, Err(Undelivered { size: LARGE as u64, errno: libc::EMFILE }));
    }
    held.release();
    assert_eq!(rig.outcome(&link).owner, 2);
    post(&link, frame(3, request(&format!("fill {LARGE}"), &[]), 1));
    assert_eq!(rig.outcome(&link).result, Ok(pattern(0, LARGE)));
    rig.close(&link);
}

pub(crate) fn contract_07_worker_that_may_have_no_descriptor_works_and_ends_in_order(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for _ in 0..10 {
        let link = rig.start();
        for owner in 0..3 {
            post(&link, frame(owner, request("give-up-descriptors", b"x"), 1));
            assert_eq!(rig.outcome(&link), echo(owner, 0, b"x"));
        }
        rig.close(&link);
    }
}
