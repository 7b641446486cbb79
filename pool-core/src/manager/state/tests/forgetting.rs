//! No worker is forgotten, and none that may be is given up for good: both were found by simulation.

use super::*;

const LONGEST_PAUSE: Duration = Duration::from_millis(3200);

#[test]
fn worker_that_gives_back_all_that_a_caller_posted_is_employed_again() {
    let mut desk = Desk::with_idle_worker();
    let fed = [Action::Feed { link: LINK, items: 1 }];
    assert_eq!(desk.step(Event::Progress { link: LINK, count: 0 }, 1, 0), fed);
}

#[test]
fn pool_that_has_workers_tries_for_another_now_and_then_until_one_comes_up() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 9, 0);
    desk.step(Event::Fed(LINK), 8, 1);
    let mut actions = desk.step(Event::Submitted, 8, 0);
    for link in 1..9 {
        assert_eq!(actions, [Action::Start(LinkId(link))]);
        desk.step(Event::Started(LinkId(link)), 8, 0);
        desk.step(Event::Fed(LinkId(link)), 7, 1);
        actions = desk.step(exited(LinkId(link)), 8, 0);
        if link >= 3 {
            assert_eq!(actions, [], "not at once");
            assert_eq!(desk.step(Event::Submitted, 8, 0), []);
            desk.now += LONGEST_PAUSE;
            actions = desk.step(Event::Submitted, 8, 0);
        }
    }
    assert!(desk.state.broken().is_none());
}
