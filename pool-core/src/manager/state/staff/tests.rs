//! The staff as tables: who comes, who goes, and in which order.

use std::time::{Duration, Instant};

use pool_ipc::{ExitCause, LinkId};

use super::super::{Limits, State};
use super::{Staffing, allowance, lifetime};
use crate::manager::event::{Action, Event, View};

/// A state, a clock, and what each worker may still be given.
struct Desk {
    state: State,
    now: Instant,
    waiting: usize,
    room: usize,
}

impl Desk {
    fn new(max_workers: usize, staffing: Staffing) -> Self {
        let (hello, stop_grace) = (Duration::from_secs(30), Duration::from_secs(1));
        let limits = Limits {
            max_workers,
            frames_a_link: 64,
            items_ahead: 64,
            hello,
            stop_grace,
            processes: true,
            processors: usize::MAX,
            staffing,
        };
        Self { state: State::new(limits), now: Instant::now(), waiting: 0, room: usize::MAX }
    }

    fn step(&mut self, event: Event, outstanding: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        let view = View {
            now: self.now,
            waiting: self.waiting,
            overdue: false,
            outstanding,
            unclaimed: outstanding.saturating_sub(1),
            room: self.room,
            pace: None,
            delayed: 0,
        };
        self.state.step(event, view, &mut actions);
        actions
    }

    /// Worker `link` has come up, and has nothing to do.
    fn up(&mut self, link: u64) -> Vec<Action> {
        let mut actions = self.step(Event::Started(LinkId(link)), 0);
        actions.extend(self.step(Event::Ready(LinkId(link)), 0));
        actions
    }

    /// A caller posts a frame to an offered worker, which then runs it.
    fn runs(&mut self, link: u64) -> Vec<Action> {
        self.step(Event::Progress { link: LinkId(link), count: 1 }, 0)
    }

    /// The next deadline passes.
    fn pass(&mut self) -> Vec<Action> {
        self.now = self.state.deadline().expect("a timer is set");
        self.step(Event::Tick, 0)
    }

    /// Passes deadlines that nothing comes of, up to one that does.
    fn pass_to_some(&mut self) -> Vec<Action> {
        loop {
            let actions = self.pass();
            if !actions.is_empty() {
                return actions;
            }
        }
    }

    fn ended(&mut self, link: u64) -> Vec<Action> {
        self.step(
            Event::Ended { link: LinkId(link), pid: 7, cause: ExitCause::Signal(9), stderr: None, blamed: None },
            0,
        )
    }

    /// A pool with a worker that is offered.
    fn with_idle_worker(max_workers: usize, staffing: Staffing) -> Self {
        let mut desk = Self::new(max_workers, staffing);
        desk.waiting = 1;
        let mut starts = vec![start(0)];
        starts.extend((1..=staffing.spares as u64).map(start));
        assert_eq!(desk.step(Event::Submitted, 0), starts);
        desk.waiting = 0;
        assert_eq!(desk.up(0), [offer(0)]);
        desk
    }
}

fn start(link: u64) -> Action {
    Action::Start(LinkId(link))
}

fn offer(link: u64) -> Action {
    Action::Offer(LinkId(link))
}

fn close(link: u64) -> Action {
    Action::Close(LinkId(link))
}

fn withdraw(link: u64) -> Action {
    Action::Withdraw(LinkId(link))
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn allowances_of_workers_lie_within_an_eighth_and_apart() {
    assert!((0..100).all(|link| allowance(3, LinkId(link)) == 3), "few tasks are not spread");
    let mut all: Vec<u32> = (0..8).map(|link| allowance(1000, LinkId(link))).collect();
    assert_eq!(all[0], 1000);
    all.sort_unstable();
    assert!(all[0] >= 875 && all.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{all:?}");
    assert_eq!(allowance(u32::MAX, LinkId(0)), u32::MAX);
    let mut ages: Vec<Duration> = (0..8).map(|link| lifetime(HOUR, LinkId(link))).collect();
    ages.sort_unstable();
    assert!(ages[7] == HOUR && ages[0] >= HOUR / 8 * 7, "{ages:?}");
    assert!(ages.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_secs(10)), "{ages:?}");
}

#[test]
fn spent_worker_goes_when_its_successor_is_up() {
    let mut desk = Desk::with_idle_worker(1, Staffing::NONE);
    desk.room = 0;
    assert_eq!(desk.runs(0), [start(1)]);
    desk.room = usize::MAX;
    assert_eq!(desk.step(Event::Started(LinkId(1)), 0), []);
    assert_eq!(desk.step(Event::Ready(LinkId(1)), 0), [close(0), offer(1)]);
    assert_eq!(desk.ended(0), []);
}

#[test]
fn successor_of_a_spent_worker_that_runs_its_last_task_waits_for_its_place() {
    let mut desk = Desk::with_idle_worker(1, Staffing::NONE);
    desk.waiting = 9;
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [Action::Feed { link: LinkId(0), items: 1 }]);
    desk.room = 0;
    assert_eq!(desk.step(Event::Fed(LinkId(0)), 1), [start(1)]);
    assert_eq!(desk.step(Event::Started(LinkId(1)), 0), [], "two tasks would run at once");
    desk.room = usize::MAX;
    assert_eq!(desk.step(Event::Ready(LinkId(1)), 0), [Action::Recall(LinkId(0)), close(0)]);
    assert_eq!(desk.step(Event::Submitted, 0), []);
    let next = Action::Feed { link: LinkId(1), items: 1 };
    assert_eq!(desk.step(Event::Progress { link: LinkId(0), count: 1 }, 0), [next], "the place is free");
}

#[test]
fn spent_worker_whose_successor_cannot_be_started_ends_and_the_pool_tries_again() {
    let failure = || crate::error::StartFailure::NoHello { pid: 1, limit: Duration::ZERO, stderr: None };
    let mut desk = Desk::with_idle_worker(1, Staffing::NONE);
    desk.room = 0;
    assert_eq!(desk.runs(0), [start(1)]);
    desk.waiting = 1;
    assert_eq!(desk.step(Event::StartFailed(LinkId(1), failure()), 0), [close(0)]);
    desk.room = usize::MAX;
    assert_eq!(desk.ended(0), [start(2)], "nobody is left, so it is now or never");
    assert_eq!(desk.step(Event::StartFailed(LinkId(2), failure()), 0), [Action::Break, Action::Finish]);
}

#[test]
fn old_worker_works_on_until_its_successor_is_up() {
    let mut desk = Desk::with_idle_worker(1, Staffing { max_age: Some(HOUR), ..Staffing::NONE });
    assert_eq!(desk.pass_to_some(), [start(1)]);
    assert_eq!(desk.runs(0), [offer(0)], "a caller posted to it meanwhile");
    assert_eq!(desk.up(1), [withdraw(0)]);
    assert_eq!(desk.step(Event::Taken(LinkId(0)), 0), [], "a caller was faster again");
    assert_eq!(desk.runs(0), [close(0), offer(1)]);
}

#[test]
fn recycling_workers_before_a_hello_never_breaks_the_pool() {
    let mut desk = Desk::with_idle_worker(1, Staffing { max_age: Some(HOUR), ..Staffing::NONE });
    for link in 1..50 {
        assert_eq!(desk.pass_to_some(), [start(link)]);
        assert_eq!(desk.up(link), [withdraw(link - 1)]);
        assert_eq!(desk.step(Event::Withdrawn(LinkId(link - 1)), 0), [close(link - 1), offer(link)]);
        assert_eq!(desk.ended(link - 1), []);
    }
}

#[test]
fn spent_worker_ends_without_a_successor_once_the_pool_is_shut_down() {
    let mut desk = Desk::with_idle_worker(1, Staffing::NONE);
    desk.room = 0;
    assert_eq!(desk.runs(0), [start(1)]);
    assert_eq!(desk.step(Event::ShutDown, 0), [close(0)]);
    desk.room = usize::MAX;
    assert_eq!(desk.step(Event::Started(LinkId(1)), 0), [close(1)]);
    assert_eq!(desk.ended(0), []);
    assert_eq!(desk.ended(1), [Action::Finish]);
}

#[test]
fn so_many_workers_as_there_are_to_be_at_least_start_at_once_and_are_replaced() {
    let mut desk = Desk::new(4, Staffing { min_workers: 2, ..Staffing::NONE });
    assert_eq!(desk.step(Event::Resized(4), 0), [start(0), start(1)]);
    assert_eq!(desk.up(0), [offer(0)]);
    assert_eq!(desk.up(1), [offer(1)]);
    assert_eq!(desk.ended(0), [start(2)], "it said hello, and did nothing else");
    assert_eq!(desk.step(Event::Started(LinkId(2)), 0), []);
    assert_eq!(desk.ended(2), [start(3)], "also before its hello");
}

#[test]
fn idle_workers_end_but_for_the_fewest() {
    let limit = Duration::from_secs(60);
    let mut desk = Desk::new(3, Staffing { min_workers: 1, idle_timeout: Some(limit), ..Staffing::NONE });
    desk.waiting = 2;
    assert_eq!(desk.step(Event::Resized(3), 0), [start(0)]);
    assert_eq!(desk.step(Event::Submitted, 0), [start(1)]);
    desk.waiting = 0;
    assert_eq!(desk.up(0), [offer(0)]);
    assert_eq!(desk.up(1), [offer(1)]);
    desk.now += limit / 2;
    assert_eq!(desk.runs(0), [offer(0)], "a caller needed it");
    let first = desk.now + limit / 2;
    assert_eq!(desk.pass_to_some(), [withdraw(1)]);
    assert_eq!(desk.now, first);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(1)), 0), [close(1)]);
    assert_eq!(desk.ended(1), []);
    while desk.state.deadline().is_some() {
        assert_eq!(desk.pass(), [], "the last one stays");
    }
}

#[test]
fn worker_that_a_caller_took_at_the_last_moment_is_not_idle() {
    let mut desk = Desk::with_idle_worker(1, Staffing { idle_timeout: Some(HOUR), ..Staffing::NONE });
    assert_eq!(desk.pass_to_some(), [withdraw(0)]);
    assert_eq!(desk.step(Event::Taken(LinkId(0)), 0), []);
    assert_eq!(desk.runs(0), [offer(0)]);
    assert_eq!(desk.pass_to_some(), [withdraw(0)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [close(0)]);
    assert_eq!(desk.ended(0), []);
    desk.waiting = 1;
    assert_eq!(desk.step(Event::Submitted, 0), [start(1)], "it was enough that it was idle");
}

#[test]
fn idle_worker_goes_also_while_another_is_on_its_way_out() {
    let mut desk = Desk::new(2, Staffing { idle_timeout: Some(HOUR), ..Staffing::NONE });
    desk.waiting = 2;
    assert_eq!(desk.step(Event::Submitted, 0), [start(0), start(1)]);
    desk.waiting = 0;
    assert_eq!(desk.up(0), [offer(0)]);
    desk.now += HOUR / 2;
    assert_eq!(desk.up(1), [offer(1)]);
    assert_eq!(desk.pass_to_some(), [withdraw(0)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [close(0)]);
    assert_eq!(desk.pass_to_some(), [Action::Soften(LinkId(0))], "the first has not ended yet");
    assert_eq!(desk.pass_to_some(), [Action::Kill(LinkId(0))]);
    assert_eq!(desk.pass_to_some(), [withdraw(1)]);
}

#[test]
fn shrinking_sends_idle_workers_home_first_and_interrupts_none() {
    let mut desk = Desk::new(3, Staffing { min_workers: 3, ..Staffing::NONE });
    assert_eq!(desk.step(Event::Resized(3), 0), [start(0), start(1), start(2)]);
    assert_eq!((desk.up(0), desk.up(1), desk.up(2)), (vec![offer(0)], vec![offer(1)], vec![offer(2)]));
    desk.waiting = 2;
    desk.step(Event::Withdrawn(LinkId(2)), 0);
    desk.step(Event::Fed(LinkId(2)), 2);
    desk.waiting = 0;
    assert_eq!(desk.step(Event::Resized(1), 0), [withdraw(1), withdraw(0)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(1)), 0), [close(1)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [close(0)]);
    assert_eq!(desk.step(Event::Resized(2), 0), [start(3)], "the fewest are two again");
    assert_eq!(desk.up(3), [Action::Steal { thief: LinkId(3) }]);
    assert_eq!(desk.step(Event::Stolen { thief: LinkId(3), frames: 0 }, 0), [offer(3)]);
    desk.waiting = 1;
    desk.step(Event::Withdrawn(LinkId(3)), 0);
    desk.step(Event::Fed(LinkId(3)), 1);
    assert_eq!(desk.step(Event::Resized(1), 0), [Action::Recall(LinkId(3)), close(3)], "the younger one");
}

#[test]
fn spare_takes_the_place_of_a_lost_worker_at_once_and_another_is_started() {
    let mut desk = Desk::with_idle_worker(1, Staffing { spares: 1, ..Staffing::NONE });
    assert_eq!(desk.up(1), [], "it stands by");
    desk.waiting = 1;
    assert_eq!(desk.step(Event::Submitted, 0), [], "one task at a time");
    assert_eq!(desk.ended(0), [Action::Feed { link: LinkId(1), items: 1 }, start(2)]);
    assert_eq!(desk.step(Event::Started(LinkId(2)), 0), []);
}

#[test]
fn spare_is_the_successor_of_a_spent_worker() {
    let mut desk = Desk::with_idle_worker(1, Staffing { spares: 1, ..Staffing::NONE });
    assert_eq!(desk.up(1), []);
    desk.room = 0;
    assert_eq!(desk.runs(0), [close(0), offer(1), start(2)]);
}

#[test]
fn lost_spare_is_replaced_and_spares_end_with_the_pool() {
    let mut desk = Desk::with_idle_worker(1, Staffing { spares: 1, ..Staffing::NONE });
    assert_eq!(desk.up(1), []);
    assert_eq!(desk.ended(1), [start(2)]);
    assert_eq!(desk.up(2), []);
    assert_eq!(desk.step(Event::ShutDown, 0), [close(2)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [close(0)]);
    assert_eq!(desk.ended(0), []);
    assert_eq!(desk.ended(2), [Action::Finish]);
}

#[test]
fn spares_end_when_the_last_idle_worker_does() {
    let mut desk = Desk::with_idle_worker(1, Staffing { spares: 1, idle_timeout: Some(HOUR), ..Staffing::NONE });
    assert_eq!(desk.up(1), []);
    assert_eq!(desk.pass_to_some(), [withdraw(0)]);
    assert_eq!(desk.step(Event::Withdrawn(LinkId(0)), 0), [close(0), close(1)]);
}
