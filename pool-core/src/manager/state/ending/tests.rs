//! The end of a pool as tables: with work left, and by force.

use pool_ipc::LinkId;

use crate::manager::event::{Action, Due, Event, Means};
use crate::manager::state::OnWorkerLoss;
use crate::manager::state::tests::{Desk, GRACE, LINK, OTHER, ended};

/// A pool that was shut down with a worker that is free, and one that holds two frames.
fn draining_with_a_free_worker() -> Desk {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Submitted, 2, 0);
    desk.step(Event::Started(OTHER), 2, 0);
    desk.step(Event::Ready(OTHER), 0, 0);
    assert_eq!(desk.step(Event::Fed(OTHER), 0, 2), []);
    desk.step(Event::ShutDown, 0, 0);
    assert_eq!(desk.step(Event::Withdrawn(LINK), 0, 0), [Action::Steal { thief: LINK }]);
    assert_eq!(desk.step(Event::Stolen { thief: LINK, frames: 0 }, 0, 0), [], "it stays");
    desk
}

#[test]
fn free_worker_stays_while_draining_until_nobody_holds_a_frame() {
    let mut desk = draining_with_a_free_worker();
    assert_eq!(desk.step(Event::Progress { link: OTHER, count: 1 }, 0, 1), []);
    let actions = desk.step(Event::Progress { link: OTHER, count: 1 }, 0, 0);
    assert_eq!(actions, [Action::Close(OTHER), Action::Close(LINK)]);
}

#[test]
fn frame_that_comes_back_while_draining_goes_to_the_worker_that_stayed() {
    let mut desk = draining_with_a_free_worker();
    assert_eq!(desk.step(Event::Recalled(OTHER), 1, 1), []);
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Feed { link: LINK, items: 1 }]);
    let mut desk = draining_with_a_free_worker();
    assert_eq!(desk.step(ended(OTHER), 1, 0), [Action::Feed { link: LINK, items: 1 }], "nobody is started");
}

/// A pool that was shut down with a worker that runs something, one that has not said hello, and one that is about to be
/// started.
fn draining_with_workers_of_all_kinds() -> Desk {
    let mut desk = Desk::new();
    desk.state.limits.max_workers = 3;
    desk.step(Event::Submitted, 3, 0);
    for link in [LINK, OTHER] {
        desk.step(Event::Started(link), 3, 0);
        desk.step(Event::Fed(link), 1, 1);
    }
    desk.step(Event::Ready(LINK), 0, 1);
    desk.step(Event::ShutDown, 0, 0);
    desk
}

#[test]
fn forced_end_reaches_workers_of_all_kinds_and_nobody_is_started() {
    let (soft, hard) = (Action::Soften as fn(LinkId) -> Action, Action::Kill as fn(LinkId) -> Action);
    for (means, greeted, other) in
        [(Means::Terminate, Some(soft), soft), (Means::Kill, Some(hard), hard), (Means::Ladder, None, hard)]
    {
        let mut desk = draining_with_workers_of_all_kinds();
        let mut expected = vec![Action::Corner(LINK)];
        expected.extend(greeted.map(|action| action(LINK)));
        expected.extend([Action::Corner(OTHER), other(OTHER)]);
        assert_eq!(desk.step(Event::Halt(means), 0, 0), expected, "{means:?}");
        let late = LinkId(2);
        assert_eq!(desk.step(Event::Started(late), 0, 0), [Action::Corner(late), other(late)], "{means:?}");
        let cornered = desk.step(Event::Cornered { link: LINK, holds: true }, 0, 0);
        assert_eq!(cornered, if means == Means::Ladder { vec![Action::Soften(LINK)] } else { vec![] }, "{means:?}");
        desk.now += GRACE;
        let expected = if means == Means::Ladder { vec![Action::Kill(LINK)] } else { vec![] };
        assert_eq!(desk.step(Event::Tick, 0, 0), expected, "{means:?}");
        assert_eq!(desk.step(ended(LINK), 0, 0), []);
        assert_eq!(desk.step(ended(OTHER), 0, 0), []);
        assert_eq!(desk.step(ended(late), 0, 0), [Action::Finish]);
    }
}

#[test]
fn stronger_end_follows_a_weaker_one() {
    let mut desk = draining_with_workers_of_all_kinds();
    desk.step(Event::Halt(Means::Terminate), 0, 0);
    desk.step(Event::Halt(Means::Ladder), 0, 0);
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: true }, 0, 0), [Action::Soften(LINK)]);
    assert!(desk.step(Event::Halt(Means::Kill), 0, 0).contains(&Action::Kill(LINK)));
}

#[test]
fn what_does_not_mind_a_terminate_is_still_killed_at_its_limit() {
    let mut desk = draining_with_workers_of_all_kinds();
    desk.step(Event::Halt(Means::Terminate), 0, 0);
    assert_eq!(desk.step(Event::Condemned(LINK), 0, 0), []);
    assert_eq!(desk.step(Event::Condemned(LINK), 0, 0), []);
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Kill(LINK)]);
    let mut desk = draining_with_workers_of_all_kinds();
    desk.step(Event::Halt(Means::Terminate), 0, 0);
    assert_eq!(desk.step(Event::Clocked { link: LINK, due: Due::Now, rests: false }, 0, 0), []);
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Kill(LINK)]);
}

#[test]
fn strict_pool_breaks_with_a_worker_that_nobody_asked_to_end() {
    for (policy, is_strict) in [(OnWorkerLoss::Replace, false), (OnWorkerLoss::Break, true)] {
        let mut desk = draining_with_workers_of_all_kinds();
        desk.state.limits.staffing.on_worker_loss = policy;
        let actions = desk.step(ended(LINK), 0, 0);
        let expected = [Action::Break, Action::Close(OTHER), Action::Corner(OTHER), Action::Kill(OTHER)];
        assert_eq!(actions, if is_strict { expected.to_vec() } else { vec![] });
        let mut desk = draining_with_workers_of_all_kinds();
        desk.state.limits.staffing.on_worker_loss = policy;
        desk.step(Event::Condemned(LINK), 0, 1);
        assert_eq!(desk.step(ended(LINK), 0, 0), [], "it was stopped");
    }
}

#[test]
fn idle_worker_that_does_not_come_to_hear_of_a_forced_end_is_killed_after_the_grace() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::ShutDown, 0, 0);
    assert_eq!(desk.step(Event::Halt(Means::Ladder), 0, 0), [Action::Corner(LINK)]);
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: false }, 0, 0), [], "it may be about to end");
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Kill(LINK)]);
}

#[test]
fn worker_that_was_told_to_end_and_does_not_is_asked_and_then_killed() {
    let mut desk = draining_with_a_free_worker();
    let told = desk.step(Event::Progress { link: OTHER, count: 1 }, 0, 0);
    assert_eq!(told, [Action::Close(OTHER), Action::Close(LINK)]);
    assert_eq!(desk.step(ended(OTHER), 0, 0), []);
    let asked = desk.pass_to_some();
    assert_eq!(asked, [Action::Soften(LINK)]);
    assert_eq!(desk.pass_to_some(), [Action::Kill(LINK)]);
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Finish]);
}

#[test]
fn worker_that_was_told_to_end_has_all_the_time_that_its_task_takes() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 1, 0);
    desk.step(Event::Fed(LINK), 0, 1);
    let broken = Event::Unfit(OTHER, super::super::tests::panicked());
    assert_eq!(desk.step(broken, 0, 0), [Action::Break, Action::Close(LINK)]);
    desk.now += 1000 * GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 1), []);
    assert_eq!(desk.step(Event::Progress { link: LINK, count: 1 }, 0, 0), []);
    assert_eq!(desk.pass_to_some(), [Action::Soften(LINK)]);
}
