//! Workers that have more memory than they may.

use super::*;
use crate::manager::state::growth::LOOKS_APART;

const LIMIT: u64 = 100;

fn measured(resident: Option<u64>) -> Event {
    Event::Measured { link: LINK, resident }
}

/// A pool whose one worker has run its first task, and was looked at.
fn with_measured_worker(soft_memory: Option<u64>) -> Desk {
    let mut desk = Desk::with(Staffing { soft_memory, ..Staffing::NONE });
    desk.step(Event::Submitted, 1, 0);
    desk.step(Event::Started(LINK), 1, 0);
    desk.step(Event::Fed(LINK), 0, 1);
    desk.step(Event::Ready(LINK), 0, 1);
    let looks = soft_memory.map(|_| Action::Measure(LINK));
    let expected: Vec<Action> = looks.into_iter().chain([Action::Offer(LINK)]).collect();
    assert_eq!(desk.step(ran(), 0, 0), expected);
    desk
}

fn ran() -> Event {
    Event::Progress { link: LINK, count: 1 }
}

#[test]
fn worker_is_looked_at_at_once_and_then_not_more_often_than_it_may() {
    let mut desk = with_measured_worker(Some(LIMIT));
    assert_eq!(desk.step(ran(), 0, 0), [Action::Offer(LINK)]);
    assert_eq!(desk.step(ran(), 0, 0), [Action::Offer(LINK)]);
    desk.now += LOOKS_APART;
    assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Measure(LINK)], "what it has after its last task is seen");
    assert_eq!(desk.state.deadline().filter(|deadline| *deadline <= desk.now + LOOKS_APART), None, "and that is all");
    desk.now += LOOKS_APART;
    assert_eq!(desk.step(ran(), 0, 0), [Action::Measure(LINK), Action::Offer(LINK)]);
}

#[test]
fn nobody_is_looked_at_without_a_limit() {
    let mut desk = with_measured_worker(None);
    assert_eq!(desk.step(ran(), 0, 0), [Action::Offer(LINK)]);
}

#[test]
fn worker_that_has_grown_goes_when_its_successor_is_up() {
    let mut desk = with_measured_worker(Some(LIMIT));
    assert_eq!(desk.step(measured(Some(LIMIT)), 0, 0), []);
    assert_eq!(desk.step(measured(None), 0, 0), []);
    assert_eq!(desk.step(measured(Some(LIMIT + 1)), 0, 0), [Action::Start(OTHER)]);
    assert_eq!(desk.step(ran(), 0, 0), [Action::Offer(LINK)], "it works on, and is not looked at any more");
    assert_eq!(desk.step(Event::Started(OTHER), 0, 0), []);
    assert_eq!(desk.step(Event::Ready(OTHER), 0, 0), [Action::Withdraw(LINK)]);
    assert_eq!(desk.step(Event::Withdrawn(LINK), 0, 0), [Action::Close(LINK), Action::Offer(OTHER)]);
    assert_eq!(desk.step(exited(LINK), 0, 0), [], "its end is no loss");
}

#[test]
fn worker_that_has_grown_gives_back_what_it_has_not_begun() {
    let mut desk = with_measured_worker(Some(LIMIT));
    assert_eq!(desk.step(measured(Some(LIMIT + 1)), 0, 0), [Action::Start(OTHER)]);
    assert_eq!(desk.step(Event::Withdrawn(LINK), 1, 0), [Action::Feed { link: LINK, items: 1 }]);
    assert_eq!(desk.step(Event::Fed(LINK), 0, 1), []);
    desk.step(Event::Started(OTHER), 0, 0);
    let relief = desk.step(Event::Ready(OTHER), 0, 0);
    assert_eq!(relief[..2], [Action::Recall(LINK), Action::Close(LINK)]);
}

#[test]
fn pool_that_was_shut_down_replaces_nobody() {
    let mut desk = with_measured_worker(Some(LIMIT));
    desk.now += LOOKS_APART;
    desk.step(Event::ShutDown, 0, 0);
    assert_eq!(desk.step(ran(), 0, 0), [Action::Close(LINK)]);
}
