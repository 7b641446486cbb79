//! Who stands aside, and who never does, for two processors and three workers.

use std::time::{Duration, Instant};

use super::super::tests::GRACE;
use super::*;
use crate::manager::event::Event;
use crate::manager::state::{Limits, Staffing};

const A: LinkId = LinkId(0);
const B: LinkId = LinkId(1);
const C: LinkId = LinkId(2);
const BRIEF: Duration = Duration::from_micros(1);

struct Desk {
    state: State,
    now: Instant,
}

impl Desk {
    /// A pool of three workers that have said hello and have nothing to do.
    fn new() -> Self {
        let limits = Limits {
            max_workers: 3,
            frames_a_link: 64,
            items_ahead: 4096,
            hello: Duration::from_secs(30),
            staffing: Staffing::NONE,
            stop_grace: GRACE,
            processes: true,
            processors: 2,
        };
        let mut desk = Self { state: State::new(limits), now: Instant::now() };
        assert_eq!(desk.step(Event::Submitted, 3, 0, None), [A, B, C].map(Action::Start));
        for link in [A, B, C] {
            desk.step(Event::Started(link), 0, 0, None);
            assert_eq!(desk.step(Event::Ready(link), 0, 0, None), [Action::Offer(link)]);
        }
        desk
    }

    fn step(&mut self, event: Event, waiting: usize, outstanding: usize, pace: Option<Duration>) -> Vec<Action> {
        let mut actions = Vec::new();
        let (now, room, unclaimed) = (self.now, usize::MAX, outstanding.saturating_sub(1));
        let view = View { now, waiting, overdue: false, outstanding, unclaimed, room, pace, delayed: 0 };
        self.state.step(event, view, &mut actions);
        actions
    }

    /// The worker got on with tasks that take so long, has nothing left, and so many wait.
    fn finishes(&mut self, link: LinkId, waiting: usize, pace: Duration) -> Vec<Action> {
        self.step(Event::Progress { link, count: 1 }, waiting, 0, Some(pace))
    }
}

fn is_fed(actions: &[Action]) -> bool {
    matches!(actions, [Action::Feed { .. }])
}

/// All three have run such tasks, two of them are fed again.
fn busy_with(pace: Duration) -> Desk {
    let mut desk = Desk::new();
    for link in [A, B] {
        assert!(is_fed(&desk.finishes(link, 1_000, pace)));
    }
    desk
}

#[test]
fn of_more_workers_than_processors_one_stands_aside_while_the_others_get_on_with_short_tasks() {
    let mut desk = busy_with(BRIEF);
    assert_eq!(desk.finishes(C, 1_000, BRIEF), []);
    assert!(desk.state.is_sated(), "whoever submits need not be heard");
    for _ in 0..3 {
        // The others get on, and it looks again and again.
        desk.now += PATIENCE / 2;
        for link in [A, B] {
            desk.step(Event::Fed(link), 1_000, 9, None);
            desk.step(Event::Progress { link, count: 9 }, 1_000, 9, Some(BRIEF));
        }
        desk.now += PATIENCE / 2;
        assert_eq!(desk.step(Event::Tick, 1_000, 0, None), []);
    }
}

#[test]
fn one_that_stands_aside_takes_part_once_the_others_get_on_no_more() {
    let mut desk = busy_with(BRIEF);
    assert_eq!(desk.finishes(C, 1_000, BRIEF), []);
    // Their tasks wait for something, perhaps for one that has not begun.
    desk.now += PATIENCE;
    assert!(matches!(&desk.step(Event::Tick, 1_000, 0, None)[..], [.., Action::Feed { link: C, .. }]));
}

#[test]
fn nobody_stands_aside_from_tasks_that_take_longer_or_of_which_nothing_is_known() {
    assert!(is_fed(&busy_with(SHORT * 2).finishes(C, 1_000, BRIEF)));
    assert!(is_fed(&busy_with(BRIEF).finishes(C, 1_000, PATIENCE)));
    let mut desk = busy_with(BRIEF);
    assert!(is_fed(&desk.step(Event::Withdrawn(C), 1_000, 0, None)), "it has run nothing");
}

#[test]
fn one_that_stands_aside_ends_with_the_pool() {
    let mut desk = busy_with(BRIEF);
    assert_eq!(desk.finishes(C, 1_000, BRIEF), []);
    desk.step(Event::ShutDown, 0, 0, None);
    for link in [A, B] {
        desk.step(Event::Fed(link), 0, 0, None);
        desk.finishes(link, 0, BRIEF);
    }
    assert!(desk.state.workers.values().all(|worker| worker.stage == Stage::Closing));
    assert_eq!(desk.state.aside, 0);
}
