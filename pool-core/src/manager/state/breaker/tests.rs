//! The breaker as tables.

use super::*;
use crate::error::Broken;
use crate::manager::event::{Action, Event, View};
use crate::manager::state::{Limits, Staffing, State};

const LIMIT: RestartLimit = RestartLimit { losses: 3, within: Duration::from_secs(10) };

struct Desk {
    state: State,
    now: Instant,
    next: u64,
}

impl Desk {
    /// A pool that always has so many workers.
    fn new(workers: usize) -> Self {
        let staffing = Staffing { min_workers: workers, restarts: LIMIT, ..Staffing::NONE };
        let (hello, stop_grace) = (Duration::from_secs(30), Duration::from_secs(1));
        let limits = Limits {
            max_workers: workers,
            frames_a_link: 64,
            items_ahead: 64,
            hello,
            stop_grace,
            processes: true,
            processors: usize::MAX,
            staffing,
        };
        let mut desk = Self { state: State::new(limits), now: Instant::now(), next: 0 };
        let starts = desk.step(Event::Resized(workers));
        assert_eq!(starts.len(), workers);
        desk
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        let view = View {
            now: self.now,
            waiting: 0,
            overdue: false,
            outstanding: 0,
            unclaimed: 0,
            room: usize::MAX,
            pace: None,
            delayed: 0,
        };
        self.state.step(event, view, &mut actions);
        actions
    }

    /// The next worker comes up.
    fn up(&mut self) -> LinkId {
        let link = LinkId(self.next);
        self.next += 1;
        self.step(Event::Started(link));
        self.step(Event::Ready(link));
        link
    }

    fn end(&mut self, link: LinkId, blamed: bool) -> Vec<Action> {
        self.step(Event::Ended {
            link,
            pid: 7,
            cause: ExitCause::Signal(11),
            stderr: None,
            blamed: blamed.then_some("work"),
        })
    }
}

#[test]
fn workers_that_end_idle_again_and_again_break_the_pool_with_all_causes() {
    let mut desk = Desk::new(1);
    for _ in 0..3 {
        let link = desk.up();
        assert!(matches!(desk.end(link, false)[..], [Action::Start(_)]));
        desk.now += Duration::from_secs(1);
    }
    let link = desk.up();
    assert_eq!(desk.end(link, false), [Action::Break, Action::Finish]);
    let Some(Broken::Restarts { losses, within }) = desk.state.broken().map(|broken| &**broken) else {
        panic!("{:?}", desk.state.broken())
    };
    assert_eq!((losses.len(), *within), (4, LIMIT.within));
    assert!(losses.iter().all(|loss| loss.time == LossTime::Idle && loss.cause == ExitCause::Signal(11)));
}

#[test]
fn losses_that_a_task_is_blamed_for_never_break_the_pool() {
    let mut desk = Desk::new(1);
    for _ in 0..100 {
        let link = desk.up();
        assert!(matches!(desk.end(link, true)[..], [Action::Start(_)]));
    }
}

#[test]
fn finished_task_makes_all_losses_before_it_forgotten() {
    let mut desk = Desk::new(1);
    for _ in 0..100 {
        let link = desk.up();
        desk.step(Event::Progress { link, count: 1 });
        assert!(matches!(desk.end(link, false)[..], [Action::Start(_)]));
    }
}

#[test]
fn losses_far_apart_do_not_break_the_pool() {
    let mut desk = Desk::new(1);
    for _ in 0..100 {
        let link = desk.up();
        assert!(matches!(desk.end(link, false)[..], [Action::Start(_)]));
        desk.now += Duration::from_secs(4);
    }
}

#[test]
fn workers_that_end_side_by_side_count_as_one() {
    let mut desk = Desk::new(8);
    let links: Vec<LinkId> = (0..8).map(|_| desk.up()).collect();
    for link in links {
        assert!(matches!(desk.end(link, false)[..], [Action::Start(_)]));
    }
}

#[test]
fn pool_with_another_worker_starts_none_for_a_while_instead_of_breaking() {
    let mut desk = Desk::new(2);
    desk.up();
    for _ in 0..3 {
        let link = desk.up();
        assert!(matches!(desk.end(link, false)[..], [Action::Start(_)]));
    }
    let link = desk.up();
    assert_eq!(desk.end(link, false), [], "no further one");
    assert!(desk.state.broken().is_none());
    loop {
        desk.now = desk.state.deadline().expect("it will try again");
        match &desk.step(Event::Tick)[..] {
            [] => {}
            [Action::Start(_)] => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(desk.state.broken().is_none());
}
