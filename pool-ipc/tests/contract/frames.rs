//! Contract 3: frames arrive whole, once, in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use pool_ipc::{Backend, Body, Frame, LinkEvent, MAX_ITEMS};

use crate::rig::{Rig, delivered, echo, frame, number, post, post_beside_a_collector};
use crate::script::{BLOCK, odd_blocks, pattern, request};

/// Sizes around each border: inline, the arena, memory of its own.
const SIZES: [usize; 20] = [
    0, 1, 7, 64, 249, 250, 251, 400, 443, 448, 449, 475, 480, 4096, 65_536, 262_138, 262_144, 262_145, 1_000_000,
    9_000_001,
];

pub(crate) fn contract_03_payloads_of_every_size_arrive_whole(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    for (owner, size) in (0..).zip(SIZES) {
        let data = pattern(owner as u32, size);
        post(&link, frame(owner, request("echo", &data), 1));
        assert_eq!(rig.outcome(&link), echo(owner, 0, &data), "{size} bytes there and back");
        post(&link, frame(owner, request("", &data), 1));
        assert_eq!(rig.outcome(&link), echo(owner, 0, &data), "{size} bytes there and back");
        run_to_the_end(&mut rig, &link, frame(owner, request(&format!("fill {size}"), &[]), 3), |item| {
            pattern(item, size)
        });
        assert_eq!(link.outstanding(), 0);
    }
    // Without as much as a line to say what to do.
    post(&link, frame(1, Vec::new(), 1));
    assert_eq!(rig.outcome(&link), echo(1, 0, &[]));
    rig.close(&link);
}

pub(crate) fn contract_03_gibibyte_goes_there_and_back(backend: &dyn Backend) {
    const GIBIBYTE: usize = 1 << 30;
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let mut payload = request("odd-blocks 5", &[]);
    let line = payload.len();
    payload.resize(line + GIBIBYTE, 5);
    payload[line + 512 * BLOCK] = 6;
    payload[line + GIBIBYTE - 1] = 7;
    post(&link, frame(1, payload, 1));
    let odd_ones = [1024u32, 512, 1023].map(u32::to_le_bytes).concat();
    assert_eq!(rig.outcome(&link).result, Ok(odd_ones), "how many blocks arrived, and which are unlike the others");
    post(&link, frame(2, request(&format!("give {GIBIBYTE}"), &[]), 1));
    let body = rig.wait_for("a large outcome", |events| match events.pop()? {
        LinkEvent::Outcome { outcome, .. } => Some(outcome.result.expect("it was carried")),
        other => panic!("{other:?}"),
    });
    assert_eq!(odd_blocks(7, body.as_slice()), 1024u32.to_le_bytes());
    assert_eq!(body.len(), GIBIBYTE);
    rig.close(&link);
}

pub(crate) fn contract_03_outcomes_come_once_and_in_the_order_of_posting(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let total = 3000;
    let mut seen = 0;
    for owner in 0..total {
        rig.post(&link, frame(owner, request("echo", &owner.to_le_bytes()), 2));
        if owner % 7 == 0 {
            take_in_order(&mut rig, &link, &mut seen, owner);
        }
    }
    take_in_order(&mut rig, &link, &mut seen, total);
    rig.close(&link);
    assert!(rig.rest().is_empty());
}

fn take_in_order(rig: &mut Rig, link: &Arc<dyn pool_ipc::Link>, seen: &mut u64, until: u64) {
    while *seen < until {
        for item in 0..2 {
            assert_eq!(rig.outcome(link), echo(*seen, item, &seen.to_le_bytes()));
        }
        *seen += 1;
    }
}

/// Slots are used again the very moment at which their last outcome is out: one thread posts, one takes outcomes, and the
/// worker still looks at the slot.
pub(crate) fn contract_03_saturated_link_gives_each_item_its_own_request(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    // About 500 times what a link holds.
    let total = backend.abilities().frames_a_link as u64 * 500;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for owner in 0..total {
                post_beside_a_collector(&link, frame(owner, request("echo", &owner.to_le_bytes()), 1));
            }
        });
        let mut events = Vec::new();
        let mut next = 0;
        let mut limit = std::time::Instant::now() + crate::rig::LIMIT;
        while next < total {
            link.collect(&mut events);
            if !events.is_empty() {
                limit = std::time::Instant::now() + crate::rig::LIMIT;
            }
            for event in events.drain(..) {
                let LinkEvent::Outcome { outcome, .. } = event else { panic!("{event:?}") };
                assert_eq!(delivered(outcome), echo(next, 0, &next.to_le_bytes()));
                next += 1;
            }
            assert!(std::time::Instant::now() < limit, "{next} of {total}\n{}", rig.dump());
        }
    });
    rig.close(&link);
}

pub(crate) fn contract_03_windows_of_any_size_and_place_are_run_item_by_item(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    for (start, items) in [(0, 1), (0, 2), (5, 1), (1000, 20), (7, 300), (u32::MAX - 9, 9), (0, 14_000), (3, MAX_ITEMS)]
    {
        let window = start..start + items;
        let payload = request("echo", b"");
        let mut rest = Some(Frame {
            owner: Arc::new(1u64),
            payload: payload.into(),
            window: window.clone(),
            terms: None,
            rank: 3,
        });
        let mut next = start;
        let mut turns = 0;
        while let Some(offered) = rest.take() {
            post(&link, offered);
            turns += 1;
            // A worker without room for so many outcomes gives the rest back, and gets it again.
            rest = rig.wait_for("a frame's end", |events| {
                for event in events.drain(..) {
                    match event {
                        LinkEvent::Outcome { outcome, outstanding, .. } => {
                            assert_eq!(delivered(outcome), echo(1, next, &[]));
                            next += 1;
                            if outstanding == 0 && next == window.end {
                                return Some(None);
                            }
                        }
                        LinkEvent::Declined { rest, outstanding, .. } => {
                            assert_eq!((rest.window.clone(), outstanding), (next..window.end, 0));
                            return Some(Some(rest));
                        }
                        other => panic!("{other:?}"),
                    }
                }
                None
            });
        }
        assert_eq!(next, window.end);
        assert!(turns <= 1 + items / 25, "{turns} turns for {items} items");
        assert_eq!(link.outstanding(), 0);
    }
    rig.close(&link);
}

pub(crate) fn contract_03_messages_of_the_worker_come_before_its_outcomes(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for _ in 0..30 {
        let link = rig.start_with("greet 3");
        post(&link, frame(1, request("echo", &[]), 1));
        let mut told = Vec::new();
        rig.wait_for("three greetings and an outcome", |events| {
            told.extend(events.drain(..).map(|event| match event {
                LinkEvent::Said { bytes, .. } => String::from_utf8(bytes).expect("text"),
                LinkEvent::Outcome { .. } => "outcome".to_owned(),
                other => panic!("{other:?}"),
            }));
            (told.len() >= 4).then_some(())
        });
        assert_eq!(told, ["greeting 0", "greeting 1", "greeting 2", "outcome"]);
        rig.close(&link);
    }
}

pub(crate) fn contract_03_items_without_room_for_their_outcomes_are_given_back(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    // Each outcome fits into a frame's room, all of them together do not.
    run_to_the_end(&mut rig, &link, frame(1, request("fill 100", b""), 4000), |item| pattern(item, 100));
    run_to_the_end(&mut rig, &link, frame(2, request("fill 230", b""), 3), |item| pattern(item, 230));
    run_to_the_end(&mut rig, &link, frame(3, request("fill 60000", b""), 500), |item| pattern(item, 60_000));
    // A worker may also give up by itself, having begun some items, or none.
    post(&link, frame(4, request("begin-at-most 2", b"x"), 5));
    assert_eq!((rig.outcome(&link), rig.outcome(&link)), (echo(4, 0, b"x"), echo(4, 1, b"x")));
    let rest = declined(&mut rig);
    assert_eq!((rest.window.clone(), number(&rest.owner)), (2..5, 4));
    assert_eq!(rest.payload.as_slice(), request("begin-at-most 2", b"x"));
    post(&link, frame(5, request("begin-at-most 0", b"x"), 5));
    assert_eq!(declined(&mut rig).window, 0..5);
    assert_eq!(link.outstanding(), 0);
    post(&link, frame(6, request("echo", b"x"), 1));
    assert_eq!(rig.outcome(&link), echo(6, 0, b"x"));
    rig.close(&link);
}

pub(crate) fn contract_03_large_outcomes_beyond_the_limit_of_a_frame_are_given_back(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    run_to_the_end(&mut rig, &link, frame(1, request("fill 270000", b""), 150), |item| pattern(item, 270_000));
    rig.close(&link);
}

/// Posts a frame and what is given back of it, until all of its items are done, in order.
fn run_to_the_end(rig: &mut Rig, link: &Arc<dyn pool_ipc::Link>, frame: Frame, expected: impl Fn(u32) -> Vec<u8>) {
    let window = frame.window.clone();
    let mut next = window.start;
    let mut turn = next;
    post(link, frame);
    while next < window.end {
        let rest = rig.wait_for("an outcome or a rest", |events| {
            if events.is_empty() {
                return None;
            }
            match events.remove(0) {
                LinkEvent::Outcome { outcome, .. } => {
                    let found = delivered(outcome);
                    assert_eq!((found.item, found.result), (next, Ok(expected(next))));
                    next += 1;
                    Some(None)
                }
                LinkEvent::Declined { rest, .. } => {
                    assert_eq!(rest.window, next..window.end);
                    Some(Some(rest))
                }
                other => panic!("{other:?}"),
            }
        });
        if let Some(rest) = rest {
            assert!(next > turn, "nothing was done in this turn");
            turn = next;
            post(link, rest);
        }
    }
    assert_eq!(link.outstanding(), 0);
}

fn declined(rig: &mut Rig) -> Frame {
    rig.wait_for("a rest", |events| {
        let at = events.iter().position(|event| matches!(event, LinkEvent::Declined { .. }))?;
        let LinkEvent::Declined { rest, .. } = events.remove(at) else { unreachable!() };
        Some(rest)
    })
}

/// An outcome in memory of its own is a request like any other, also where it would fit into an arena that is full.
pub(crate) fn contract_03_outcome_may_be_posted_again_as_a_request(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let mut bodies: BTreeMap<u64, Body> = BTreeMap::new();
    // More than the worker's arena holds while nobody takes them.
    for owner in 0..40 {
        rig.post(&link, frame(owner, request("give 200000", b""), 1));
    }
    while bodies.len() < 40 {
        let (owner, body) = rig.wait_for("an outcome", |events| match events.pop()? {
            LinkEvent::Outcome { outcome, .. } => {
                Some((number(&outcome.owner), outcome.result.expect("it was carried")))
            }
            other => panic!("{other:?}"),
        });
        bodies.insert(owner, body);
    }
    for (owner, body) in bodies {
        assert_eq!(body.as_slice(), vec![7; 200_000]);
        rig.post(&link, Frame::new(Arc::new(owner), body, 1));
    }
    for owner in 0..40 {
        assert_eq!(rig.outcome(&link), echo(owner, 0, &[7; 200_000]));
    }
    rig.close(&link);
}
