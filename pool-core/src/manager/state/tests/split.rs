//! A batch at one worker while others rest.

use super::*;

/// Two workers that rest.
fn two_at_rest() -> Desk {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Submitted, 1, 0);
    desk.step(Event::Started(OTHER), 0, 0);
    assert_eq!(desk.step(Event::Ready(OTHER), 0, 0), [Action::Offer(OTHER)]);
    desk
}

#[test]
fn batch_that_stays_with_one_worker_is_halved_until_nothing_is_left_to_give() {
    let mut desk = two_at_rest();
    assert_eq!(desk.step(Event::Burdened(LINK), 0, 1), []);
    assert_eq!(desk.step(Event::Burdened(LINK), 0, 1), [], "it is watched");
    for _ in 0..3 {
        desk.now += PATIENCE;
        assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Halve(LINK)]);
        assert_eq!(desk.step(Event::Halved { link: LINK, frames: 1 }, 1, 1), []);
    }
    desk.now += PATIENCE;
    assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Halve(LINK)]);
    assert_eq!(desk.step(Event::Halved { link: LINK, frames: 0 }, 0, 1), []);
    desk.now += PATIENCE;
    assert_eq!(desk.step(Event::Tick, 0, 1), []);
}

#[test]
fn batch_is_left_alone_while_nobody_rests() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 1, 0);
    desk.step(Event::Fed(LINK), 0, 1);
    assert_eq!(desk.step(Event::Burdened(LINK), 0, 1), []);
    desk.now += PATIENCE;
    assert_eq!(desk.step(Event::Tick, 0, 1), []);
}
