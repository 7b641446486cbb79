//! What is particular to the `ipc-channel` backend, beyond the contract that all backends keep: deaths in mid-send, holders
//! of a dead worker's channels, garbage on the crate's socket, and what is left behind.
//!
//! Workers are this very test binary, taken over before `main`; see [`script`]. Every wait has a watchdog.
#![cfg(all(target_os = "linux", not(pool_portable)))]

mod isolated;
mod journal;
mod rig;
mod script;

use pool_ipc::{Corrupt, ExitCause, LinkEvent, RefusedWhy};

use crate::rig::{Rig, end_of, frame, post};

#[test]
fn payloads_and_results_of_all_sizes_arrive_in_messages_and_in_memory() {
    let mut rig = Rig::new();
    let link = rig.start();
    for size in [0, 1, 16_379, 16_384, 16_385, 100_000, 250_000, 5_000_000] {
        let data = script::pattern(size);
        post(&link, frame(&[b"echo\n", data.as_slice()].concat(), 1));
        assert!(rig.result(&link) == data, "{size} bytes");
    }
    rig.close(&link);
}

#[test]
fn a_link_takes_one_frame_and_recalls_none_that_was_sent() {
    let mut rig = Rig::new();
    let link = rig.start();
    let early = post(&link, frame(b"echo\nearly", 1));
    // Until the worker has come up, the frame was not sent.
    match link.recall(early) {
        Some(frame) => assert_eq!((frame.payload.as_slice(), link.outstanding()), (b"echo\nearly".as_slice(), 0)),
        None => assert_eq!(rig.result(&link), b"early"),
    }
    let ticket = post(&link, frame(b"hang", 3));
    let refused = link.post(frame(b"echo\n", 1)).unwrap_err();
    assert_eq!(refused.why, RefusedWhy::Full);
    rig.wait_until("the item to run", |_| link.is_running(ticket, 0));
    assert!(!link.is_running(ticket, 1));
    assert!(link.recall(ticket).is_none());
    assert!(link.signal(libc::SIGKILL, true));
    let (cause, corrupt, lost) = end_of(&rig.until_end(&link));
    assert_eq!((cause, corrupt), (ExitCause::Signal(libc::SIGKILL), None));
    assert_eq!(lost, [(Some(0), Some(1..3))]);
    assert!(!link.is_running(ticket, 0));
    assert_eq!(link.post(frame(b"echo\n", 1)).unwrap_err().why, RefusedWhy::Closed);
}

#[test]
fn b005_a_death_in_a_batch_is_blamed_on_the_item_that_ran() {
    let mut rig = Rig::new();
    for at in [0, 3, 5] {
        let link = rig.start();
        post(&link, frame(format!("die-at {at}").as_bytes(), 6));
        let events = rig.until_end(&link);
        let finished = events.iter().filter(|event| matches!(event, LinkEvent::Outcome { .. })).count();
        assert_eq!(finished, at as usize);
        let rest = (at < 5).then_some(at + 1..6);
        assert_eq!(end_of(&events), (ExitCause::Signal(libc::SIGKILL), None, vec![(Some(at), rest)]));
    }
}

#[test]
fn results_in_memory_that_were_sent_before_a_death_are_delivered() {
    let mut rig = Rig::new();
    let link = rig.start();
    post(&link, frame(b"give-and-die-at 4 1000000", 6));
    let events = rig.until_end(&link);
    let sizes = events.iter().filter_map(|event| match event {
        LinkEvent::Outcome { outcome, .. } => Some(outcome.result.as_ref().expect("it arrives").len()),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [1_000_000; 4]);
    assert_eq!(end_of(&events).2, [(Some(4), Some(5..6))]);
}

#[test]
fn b005_a_worker_killed_while_it_sends_large_results_harms_its_own_link_only() {
    let mut rig = Rig::new();
    let neighbour = rig.start();
    for round in 0_u32..20 {
        let victim = rig.start();
        // As many as it can send until it is killed: some in messages, some in memory.
        let size = if round % 2 == 0 { 15_000 } else { 3_000_000 };
        post(&victim, frame(format!("give {size}").as_bytes(), 20_000));
        for _ in 0..=round {
            rig.result(&victim);
        }
        assert!(victim.signal(libc::SIGKILL, false));
        post(&neighbour, frame(b"echo\nstill there", 1));
        assert_eq!(rig.result(&neighbour), b"still there");
        let events = rig.until_end(&victim);
        let (cause, corrupt, lost) = end_of(&events);
        assert_eq!((cause, corrupt), (ExitCause::Signal(libc::SIGKILL), None));
        assert_eq!(lost.len(), 1);
    }
    rig.close(&neighbour);
}

#[test]
fn a_process_that_holds_a_dead_workers_channels_does_not_delay_its_end() {
    let mut rig = Rig::new();
    let link = rig.start();
    post(&link, frame(b"fork-and-die", 3));
    let copy: i32 = String::from_utf8(rig.result(&link)).unwrap().parse().unwrap();
    assert_eq!(end_of(&rig.until_end(&link)), (ExitCause::Code(3), None, vec![(Some(1), Some(2..3))]));
    // It ends by nothing else, so the number is still its own.
    let copy = rustix::process::Pid::from_raw(copy).expect("a process's number");
    rustix::process::kill_process(copy, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_closed_worker_runs_what_was_posted_and_ends_in_order() {
    let mut rig = Rig::new();
    let idle = rig.start();
    idle.close();
    assert_eq!(end_of(&rig.until_end(&idle)), (ExitCause::Code(0), None, vec![]));
    for size in [10, 1_000_000] {
        let busy = rig.start();
        let data = script::pattern(size);
        post(&busy, frame(&[b"echo\n", data.as_slice()].concat(), 5));
        busy.close();
        assert_eq!(busy.post(frame(b"echo\n", 1)).unwrap_err().why, RefusedWhy::Closed);
        let events = rig.until_end(&busy);
        assert_eq!(events.iter().filter(|event| matches!(event, LinkEvent::Outcome { .. })).count(), 5);
        assert_eq!(end_of(&events), (ExitCause::Code(0), None, vec![]));
    }
}

#[test]
fn a_worker_that_loses_its_descriptors_is_a_loss_like_any_other() {
    let mut rig = Rig::new();
    let link = rig.start();
    post(&link, frame(b"close-low\n", 2));
    assert_eq!(rig.result(&link), b"done", "the channels have high numbers");
    assert_eq!(rig.result(&link), b"done");
    post(&link, frame(b"close-all\n", 2));
    let (cause, corrupt, lost) = end_of(&rig.until_end(&link));
    assert!(matches!(cause, ExitCause::Code(1) | ExitCause::Signal(libc::SIGKILL)), "{cause}");
    assert_eq!((corrupt, lost), (None, vec![(Some(0), Some(1..2))]));
}

#[test]
fn garbage_on_the_crates_socket_ends_that_link_and_no_other() {
    let mut rig = Rig::new();
    let neighbour = rig.start();
    for seed in 0..30 {
        let link = rig.start();
        post(&link, frame(format!("garbage {seed}").as_bytes(), 2));
        let (cause, corrupt, lost) = end_of(&rig.until_end(&link));
        assert_eq!(cause, ExitCause::Signal(libc::SIGKILL));
        assert!(matches!(corrupt, Some(Corrupt::Message { .. } | Corrupt::Descriptor { .. })), "{corrupt:?}");
        assert_eq!(lost, [(Some(0), Some(1..2))]);
        post(&neighbour, frame(b"echo\nstill there", 1));
        assert_eq!(rig.result(&neighbour), b"still there");
    }
}

#[test]
fn a_worker_that_breaks_the_protocol_again_and_again_is_logged_once() {
    journal::keep();
    let mut rig = Rig::new();
    for _ in 0..10 {
        let link = rig.start();
        post(&link, frame(b"babble", 1));
        let (cause, corrupt, _) = end_of(&rig.until_end(&link));
        assert_eq!(cause, ExitCause::Signal(libc::SIGKILL));
        assert!(matches!(corrupt, Some(Corrupt::Message { .. })), "{corrupt:?}");
        let accusation = format!("worker {} is stopped: ", link.pid());
        // By the thread that saw it, which may not be the one that saw the end.
        rig.wait_until("a line about it", |_| journal::lines_with(&accusation) > 0);
        assert_eq!(journal::lines_with(&accusation), 1);
    }
}

#[test]
fn a_signal_storm_in_the_worker_costs_nothing() {
    let mut rig = Rig::new();
    let link = rig.start();
    post(&link, frame(b"storm", 1));
    assert_eq!(rig.result(&link), b"done");
    for _ in 0..50 {
        let data = script::pattern(12_000);
        post(&link, frame(&[b"echo\n", data.as_slice()].concat(), 8));
        for _ in 0..8 {
            assert!(rig.result(&link) == data);
        }
    }
    rig.close(&link);
}

#[test]
fn b011_nothing_is_left_behind_neither_descriptor_nor_thread_nor_process_nor_file() {
    isolated::run("leaks");
}

#[test]
fn want_of_descriptors_is_an_error_with_the_size_in_it() {
    isolated::run("descriptors");
}
