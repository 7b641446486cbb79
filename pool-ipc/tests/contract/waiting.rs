//! Contract 6: one blocking wait covers all links, all exits, a deadline and a wake-up from any thread.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_ipc::{Backend, LinkEvent};

use crate::gate::Gate;
use crate::rig::{LIMIT, Rig, echo, frame, post, post_beside_a_collector};
use crate::script::request;

pub(crate) fn contract_06_one_wait_covers_many_links_and_their_ends(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links: Vec<_> = (0..20).map(|_| rig.start()).collect();
    for (owner, link) in (0..).zip(&links) {
        let how = if owner % 4 == 3 { "die-at 0 by-kill" } else { "echo" };
        post(link, frame(owner, request(how, b"x"), 1));
    }
    let mut outcomes = BTreeSet::new();
    while outcomes.len() < 15 {
        let (link, delivered) = rig.any_outcome();
        assert_eq!(link, links[delivered.owner as usize].id());
        assert!(outcomes.insert(delivered.owner), "{delivered:?} came twice");
    }
    for (owner, link) in links.iter().enumerate() {
        if owner % 4 == 3 {
            assert_eq!(rig.end(link).lost.len(), 1);
        } else {
            rig.close(link);
        }
    }
}

pub(crate) fn contract_06_wake_ends_the_wait_under_way_or_the_next_one(backend: &dyn Backend) {
    let rig = Rig::new(backend);
    let hub = &rig.hub;
    for _ in 0..3 {
        hub.wake();
        hub.wait(None, &mut Vec::new());
    }
    std::thread::scope(|scope| {
        for _ in 0..200 {
            let waiter = scope.spawn(|| hub.wait(None, &mut Vec::new()));
            scope.spawn(|| hub.wake());
            waiter.join().expect("it does not panic");
        }
    });
}

pub(crate) fn contract_06_deadline_ends_a_wait(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let now = Instant::now();
    let past = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
    for deadline in [past, now, now + Duration::from_millis(1), now + Duration::from_millis(30)] {
        let mut events = Vec::new();
        while Instant::now() < deadline {
            rig.hub.wait(Some(deadline), &mut events);
        }
        rig.hub.wait(Some(deadline), &mut events);
        assert!(events.is_empty(), "{events:?}");
    }
    // One that no clock reaches is as good as none.
    post(&link, frame(1, request("echo", &[]), 1));
    let mut events = Vec::new();
    while events.is_empty() {
        rig.hub.wait(Some(now + Duration::from_secs(u64::from(u32::MAX) * 4)), &mut events);
    }
    assert!(matches!(events.as_slice(), [LinkEvent::Outcome { .. }]));
    rig.close(&link);
}

pub(crate) fn contract_06_second_waiter_gets_its_turn(backend: &dyn Backend) {
    let rig = Rig::new(backend);
    let returned = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                rig.hub.wait(None, &mut Vec::new());
                returned.fetch_add(1, Ordering::Relaxed);
            });
        }
        let limit = Instant::now() + LIMIT;
        while returned.load(Ordering::Relaxed) < 3 {
            // Many may count as one.
            rig.hub.wake();
            std::thread::yield_now();
            assert!(Instant::now() < limit, "{returned:?} of 3 waits came back");
        }
    });
}

/// One frame at a time: each ring but the last follows a wait that has just come back, or has just begun.
pub(crate) fn contract_06_no_doorbell_is_lost_in_thousands_of_turns(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let links = [rig.start(), rig.start()];
    for turn in 0..3000u64 {
        let link = &links[usize::from(turn % 3 == 0)];
        post(link, frame(turn, request("echo", &[]), 1));
        if turn % 5 == 0 {
            std::thread::yield_now();
        }
        assert_eq!(rig.any_outcome(), (link.id(), echo(turn, 0, &[])));
    }
    links.iter().for_each(|link| rig.close(link));
}

/// A caller takes its own outcomes while the manager waits; whatever the manager has to know still reaches it.
pub(crate) fn contract_06_outcomes_that_another_thread_collects_are_not_waited_for_in_vain(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let total = 4000;
    let taken = AtomicUsize::new(0);
    let count = |events: &[LinkEvent]| {
        let outcomes = events.iter().filter(|event| matches!(event, LinkEvent::Outcome { .. })).count();
        taken.fetch_add(outcomes, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while taken.load(Ordering::Relaxed) < total {
                let mut events = Vec::new();
                link.collect(&mut events);
                count(&events);
                if taken.load(Ordering::Relaxed) >= total {
                    rig.hub.wake();
                }
                std::thread::yield_now();
            }
        });
        scope.spawn(|| {
            for owner in 0..total as u64 {
                post_beside_a_collector(&link, frame(owner, request("echo", &[]), 1));
            }
        });
        while taken.load(Ordering::Relaxed) < total {
            let mut events = Vec::new();
            rig.hub.wait(None, &mut events);
            count(&events);
        }
    });
    assert_eq!(link.outstanding(), 0);
    rig.close(&link);
}

/// However far a worker is in a frame when it meets an item that takes long: what it finished before is heard of.
pub(crate) fn contract_06_outcomes_arrive_while_a_later_item_of_their_frame_runs(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let gate = Gate::new();
    for turn in 0..60u64 {
        let slow = (turn % 20) as u32;
        post(&link, frame(turn, request(&format!("stop-at {slow} {}", gate.name()), &[]), slow + 2));
        for item in 0..slow {
            assert_eq!(rig.outcome(&link), echo(turn, item, &[]));
        }
        gate.next().release();
        assert_eq!(rig.outcome(&link), echo(turn, slow, &[]));
        assert_eq!(rig.outcome(&link), echo(turn, slow + 1, &[]));
    }
    post(&link, frame(60, request(&format!("stop {}", gate.name()), &[]), 5));
    for item in 0..5 {
        gate.next().release();
        assert_eq!(rig.outcome(&link), echo(60, item, &[]));
    }
    rig.close(&link);
}
