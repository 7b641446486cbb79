//! Contract 4: what was posted can be taken back until it is begun, and what was taken back is never begun.

use std::sync::Arc;

use pool_ipc::{Backend, Frame, Link, Share, Ticket};

use crate::gate::Gate;
use crate::rig::{Rig, echo, frame, number, post};
use crate::script::request;

pub(crate) fn contract_04_frame_recalled_before_its_claim_comes_back_and_never_starts(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(0, request(&format!("stop {}", gate.name()), &[]), 1));
    let held = gate.next();
    let sizes = [0, 5000, 300_000];
    let tickets = sizes.map(|size| {
        let mut offered = frame(size as u64, request("echo", &vec![9; size]), 20);
        offered.window = 3..20;
        post(&link, offered)
    });
    let begun = post(&link, frame(7, request("begun", &[]), 1));
    assert_eq!(link.unclaimed(), 3 * 17 + 1);
    for (ticket, size) in tickets.into_iter().zip(sizes) {
        let back = link.recall(ticket).expect("nobody began it");
        assert_eq!((number(&back.owner), back.window.clone()), (size as u64, 3..20));
        assert_eq!(back.payload.as_slice(), request("echo", &vec![9; size]));
        assert!(link.recall(ticket).is_none(), "it is recalled already");
    }
    assert_eq!((link.outstanding(), link.unclaimed()), (2, 1));
    let load = link.load();
    assert_eq!((load.outstanding, load.unclaimed, load.room), (2, 1, usize::MAX));
    held.release();
    assert_eq!(rig.outcome(&link).owner, 0);
    assert_eq!(rig.outcome(&link).result, Ok(1u32.to_le_bytes().to_vec()), "one item was begun before this one");
    assert!(link.recall(begun).is_none());
    rig.close(&link);
}

pub(crate) fn contract_04_rest_of_a_running_batch_comes_back(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let (link, other) = (rig.start(), rig.start());
    let payload = request(&format!("stop-at 102 {}", gate.name()), b"data");
    let ticket = post(
        &link,
        Frame { owner: Arc::new(1u64), payload: payload.clone().into(), window: 100..110, terms: None, rank: 3 },
    );
    let held = gate.next();
    let back = link.recall(ticket).expect("items 103 to 109 are not begun");
    assert_eq!((back.window.clone(), back.rank, back.payload.as_slice()), (103..110, 3, payload.as_slice()));
    assert!(link.recall(ticket).is_none());
    assert!(link.is_running(ticket, 102));
    post(&other, back);
    for item in 103..110 {
        assert_eq!(rig.outcome(&other), echo(1, item, b"data"));
    }
    held.release();
    for item in 100..103 {
        assert_eq!(rig.outcome(&link), echo(1, item, b"data"));
    }
    post(&link, frame(2, request("begun", &[]), 1));
    assert_eq!(rig.outcome(&link).result, Ok(3u32.to_le_bytes().to_vec()));
    assert_eq!(link.outstanding(), 0);
    [link, other].iter().for_each(|link| rig.close(link));
}

pub(crate) fn contract_04_claimed_single_is_not_recalled(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let ticket = post(&link, frame(1, request(&format!("stop {}", gate.name()), b"x"), 1));
    let held = gate.next();
    assert!(link.recall(ticket).is_none());
    assert!(link.recall_tail(Share::All).is_empty());
    assert_eq!((link.unclaimed(), link.outstanding()), (0, 1));
    held.release();
    assert_eq!(rig.outcome(&link), echo(1, 0, b"x"));
    rig.close(&link);
}

pub(crate) fn contract_04_finished_and_unknown_tickets_give_nothing(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let ticket = post(&link, frame(1, request("echo", b"x"), 1));
    assert_eq!(rig.outcome(&link), echo(1, 0, b"x"));
    for ticket in [ticket, Ticket(ticket.0 + 1), Ticket(u64::MAX)] {
        assert!(link.recall(ticket).is_none());
        assert!(!link.is_running(ticket, 0));
    }
    assert!(link.recall_tail(Share::Half).is_empty());
    rig.close(&link);
    assert!(link.recall(ticket).is_none() && !link.is_running(ticket, 0));
}

pub(crate) fn contract_04_half_of_the_tail_is_recalled_oldest_first(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    post(&link, frame(0, request(&format!("stop-at 0 {}", gate.name()), &[]), 9));
    let held = gate.next();
    for owner in 1..=5 {
        post(&link, frame(owner, request("echo", b"x"), 4));
    }
    let windows = |frames: Vec<Frame>| -> Vec<(u64, std::ops::Range<u32>)> {
        frames.into_iter().map(|frame| (number(&frame.owner), frame.window)).collect()
    };
    assert_eq!(windows(link.recall_tail(Share::Half)), [(3, 0..4), (4, 0..4), (5, 0..4)]);
    assert_eq!(windows(link.recall_tail(Share::Half)), [(2, 0..4)]);
    assert_eq!(windows(link.recall_tail(Share::Half)), [(1, 0..4)]);
    // Only the batch that runs is left: half of what it has not begun.
    assert_eq!(link.unclaimed(), 8);
    assert_eq!(windows(link.recall_tail(Share::Half)), [(0, 5..9)]);
    assert_eq!(windows(link.recall_tail(Share::Half)), [(0, 3..5)]);
    assert_eq!(link.unclaimed(), 2);
    assert_eq!(windows(link.recall_tail(Share::All)), [(0, 1..3)]);
    assert!(link.recall_tail(Share::Half).is_empty());
    held.release();
    assert_eq!(rig.outcome(&link), echo(0, 0, &[]));
    assert_eq!(link.outstanding(), 0);
    post(&link, frame(8, request("begun", &[]), 1));
    assert_eq!(rig.outcome(&link).result, Ok(1u32.to_le_bytes().to_vec()));
    rig.close(&link);
}

/// The worker runs through batches while the parent takes their rests away.
pub(crate) fn contract_04_recall_races_with_claims_and_each_item_has_one_owner(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let link = rig.start();
    let mut begun = 0;
    for round in 0..1500u32 {
        let items = 1 + round % 40;
        let ticket = rig.post(&link, frame(1, request("echo", &[]), items));
        for _ in 0..round % 300 {
            std::hint::spin_loop();
        }
        let back = link.recall(ticket).map_or(items..items, |frame| frame.window);
        assert_eq!(back.end, items);
        for item in 0..back.start {
            assert_eq!(rig.outcome(&link), echo(1, item, &[]));
        }
        begun += back.start;
    }
    rig.post(&link, frame(2, request("begun", &[]), 1));
    assert_eq!(rig.outcome(&link).result, Ok(begun.to_le_bytes().to_vec()));
    rig.close(&link);
}

pub(crate) fn contract_04_is_running_is_true_for_the_claimed_item_alone(backend: &dyn Backend) {
    let (mut rig, gate) = (Rig::new(backend), Gate::new());
    let link = rig.start();
    let payload = request(&format!("stop {}", gate.name()), &[]);
    let batch =
        post(&link, Frame { owner: Arc::new(1u64), payload: payload.into(), window: 10..14, terms: None, rank: 3 });
    let behind = link.post(frame(2, request("echo", &[]), 1)).ok();
    let running =
        |link: &Arc<dyn Link>, ticket| (0..20).filter(|&item| link.is_running(ticket, item)).collect::<Vec<_>>();
    for item in 10..14 {
        let held = gate.next();
        assert_eq!(held.item, item);
        assert_eq!(running(&link, batch), [item]);
        assert!(behind.is_none_or(|behind| running(&link, behind).is_empty()));
        held.release();
        // Also where another thread looks while the outcome is under way: true until it is out, then never again.
        rig.hub.wait(Some(std::time::Instant::now()), &mut Vec::new());
    }
    let limit = std::time::Instant::now() + crate::rig::LIMIT;
    while link.outstanding() > 0 {
        assert!(std::time::Instant::now() < limit, "{}", rig.dump());
        rig.hub.wait(Some(limit), &mut Vec::new());
    }
    assert!(running(&link, batch).is_empty());
    rig.close(&link);
}
