//! Decisions as tables; `model` has whole lives of pools from random seeds.

mod forgetting;
mod growth;
mod model;
mod split;

use pool_ipc::ExitCause;

use super::*;
use crate::error::StartFailure;
use crate::manager::event::Due;

pub(super) const GRACE: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    max_workers: 2,
    frames_a_link: 64,
    items_ahead: 64,
    hello: Duration::from_secs(30),
    stop_grace: GRACE,
    processes: true,
    processors: usize::MAX,
    staffing: Staffing::NONE,
};

/// A state, a clock that stands still unless it is moved, and what was said to do.
pub(super) struct Desk {
    pub(super) state: State,
    pub(super) now: Instant,
    /// Whether what waits are frames that came back.
    pub(super) overdue: bool,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(Staffing::NONE)
    }

    fn with(staffing: Staffing) -> Self {
        Self { state: State::new(Limits { staffing, ..LIMITS }), now: Instant::now(), overdue: false }
    }

    pub(super) fn step(&mut self, event: Event, waiting: usize, outstanding: usize) -> Vec<Action> {
        self.step_with_room(event, waiting, outstanding, usize::MAX)
    }

    fn step_with_room(&mut self, event: Event, waiting: usize, outstanding: usize, room: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        self.state.step(
            event,
            View {
                now: self.now,
                waiting,
                overdue: self.overdue,
                outstanding,
                unclaimed: outstanding.saturating_sub(1),
                room,
                pace: None,
                delayed: 0,
            },
            &mut actions,
        );
        actions
    }

    /// Lets time pass until there is something to do.
    pub(super) fn pass_to_some(&mut self) -> Vec<Action> {
        loop {
            self.now = self.state.deadline().expect("some time is waited for");
            let actions = self.step(Event::Tick, 0, 0);
            if !actions.is_empty() {
                return actions;
            }
        }
    }

    /// A pool with one worker that has said hello and is offered to callers.
    pub(super) fn with_idle_worker() -> Self {
        let mut desk = Self::new();
        assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(LINK)]);
        assert_eq!(desk.step(Event::Started(LINK), 1, 0), [Action::Feed { link: LINK, items: 1 }]);
        assert_eq!(desk.step(Event::Fed(LINK), 0, 1), []);
        assert_eq!(desk.step(Event::Ready(LINK), 0, 1), []);
        assert_eq!(desk.step(Event::Progress { link: LINK, count: 1 }, 0, 0), [Action::Offer(LINK)]);
        desk
    }
}

pub(super) const LINK: LinkId = LinkId(0);
pub(super) const OTHER: LinkId = LinkId(1);

pub(super) fn ended(link: LinkId) -> Event {
    Event::Ended { link, pid: 7, cause: ExitCause::Signal(9), stderr: None, blamed: None }
}

fn exited(link: LinkId) -> Event {
    Event::Ended { link, pid: 7, cause: ExitCause::Code(1), stderr: None, blamed: None }
}

pub(super) fn panicked() -> Broken {
    Broken::Internal { thread: "x".into(), message: "y".into() }
}

#[test]
fn workers_start_one_for_each_waiting_frame_up_to_the_maximum() {
    let mut desk = Desk::new();
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(LINK)]);
    assert_eq!(desk.step(Event::Submitted, 1, 0), []);
    assert_eq!(desk.step(Event::Submitted, 9, 0), [Action::Start(OTHER)]);
    assert_eq!(desk.step(Event::Submitted, 99, 0), []);
}

#[test]
fn worker_that_comes_up_without_a_frame_is_waited_for() {
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(OTHER)]);
    assert_eq!(desk.step(Event::Started(OTHER), 0, 0), [], "the first worker was faster");
    assert_eq!(desk.step(Event::Submitted, 1, 0), []);
    assert_eq!(desk.step(Event::Ready(OTHER), 1, 0), [Action::Feed { link: OTHER, items: 1 }]);
}

#[test]
fn idle_worker_that_dies_is_replaced_before_anybody_submits() {
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Start(OTHER)]);
}

/// A worker that runs a task with a time limit, seen as due now.
fn with_late_worker() -> Desk {
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(Event::Limited(LINK), 0, 1), [Action::Look(LINK)]);
    let due = desk.now + GRACE;
    assert_eq!(desk.step(Event::Clocked { link: LINK, due: Due::At(due), rests: false }, 0, 1), []);
    assert_eq!(desk.state.deadline(), Some(due));
    desk.now = due;
    assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Look(LINK)]);
    assert_eq!(desk.step(Event::Clocked { link: LINK, due: Due::Now, rests: false }, 0, 1), [Action::Corner(LINK)]);
    desk
}

#[test]
fn limit_of_a_worker_that_comes_up_is_not_looked_at_before_its_hello() {
    let mut desk = Desk::new();
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(LINK)]);
    assert_eq!(desk.step(Event::Started(LINK), 1, 0), [Action::Feed { link: LINK, items: 1 }]);
    let hello = desk.state.deadline();
    assert_eq!(desk.step(Event::Fed(LINK), 0, 1), []);
    assert_eq!(desk.step(Event::Limited(LINK), 0, 1), []);
    assert_eq!(desk.state.deadline(), hello, "no other time is waited for");
    assert_eq!(desk.step(Event::Ready(LINK), 0, 1), [Action::Look(LINK)]);
    assert_eq!(desk.step(Event::Limited(LINK), 0, 1), [Action::Look(LINK)]);
}

#[test]
fn task_past_its_limit_is_asked_to_end_and_killed_after_the_grace() {
    let mut desk = with_late_worker();
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: true }, 0, 1), [Action::Soften(LINK)]);
    assert_eq!(desk.step(Event::Condemned(LINK), 0, 1), [], "it is being stopped");
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Kill(LINK)]);
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Start(OTHER)]);
}

#[test]
fn task_that_is_over_when_its_link_is_cornered_is_not_signalled() {
    let mut desk = with_late_worker();
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: false }, 0, 1), [Action::Look(LINK)]);
    let progress = Event::Progress { link: LINK, count: 1 };
    assert_eq!(desk.step(progress, 1, 0), [], "it is closed");
    assert_eq!(desk.step(exited(LINK), 0, 0), [Action::Start(OTHER)]);
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 0), []);
}

#[test]
fn what_begins_in_the_moment_in_which_its_link_is_cornered_has_a_limit_of_its_own() {
    let mut desk = with_late_worker();
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: false }, 0, 1), [Action::Look(LINK)]);
    assert_eq!(desk.step(Event::Clocked { link: LINK, due: Due::Now, rests: false }, 0, 1), [Action::Corner(LINK)]);
    assert_eq!(desk.step(Event::Cornered { link: LINK, holds: true }, 0, 1), [Action::Soften(LINK)]);
    desk.now += GRACE;
    assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Kill(LINK)]);
}

#[test]
fn thread_that_cannot_be_ended_gives_its_place_to_another() {
    for (processes, next) in [(true, None), (false, Some(Action::Start(OTHER)))] {
        let mut desk = Desk::with_idle_worker();
        (desk.state.limits.processes, desk.state.limits.max_workers) = (processes, 1);
        assert_eq!(desk.step(Event::Withdrawn(LINK), 1, 0), [Action::Feed { link: LINK, items: 1 }]);
        assert_eq!(desk.step(Event::Fed(LINK), 0, 1), []);
        let expected: Vec<Action> = [Action::Corner(LINK)].into_iter().chain(next).collect();
        assert_eq!(desk.step(Event::Condemned(LINK), 0, 1), expected);
    }
}

#[test]
fn pool_with_nobody_left_but_threads_that_go_on_is_not_waited_for() {
    let mut desk = Desk::with_idle_worker();
    (desk.state.limits.processes, desk.state.limits.max_workers) = (false, 1);
    desk.step(Event::Withdrawn(LINK), 1, 0);
    desk.step(Event::Fed(LINK), 0, 1);
    assert_eq!(desk.step(Event::Condemned(LINK), 0, 1), [Action::Corner(LINK), Action::Start(OTHER)]);
    assert_eq!(desk.step(Event::Survives { link: LINK, pid: 1 }, 0, 1), []);
    assert_eq!(desk.step(Event::Started(OTHER), 0, 1), []);
    assert_eq!(desk.step(Event::Ready(OTHER), 0, 0), [Action::Offer(OTHER)]);
    assert_eq!(desk.step(Event::ShutDown, 0, 0), []);
    assert_eq!(
        desk.step(Event::Withdrawn(OTHER), 0, 0),
        [Action::Close(OTHER)],
        "it does not stay for what the other holds"
    );
    assert_eq!(desk.step(ended(OTHER), 0, 0), [Action::LeaveBehind]);
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Finish]);
}

#[test]
fn worker_that_rests_on_what_it_holds_is_ended_after_a_while_and_one_that_moves_is_not() {
    for moves in [false, true] {
        let mut desk = Desk::with_idle_worker();
        let at_rest = Event::Clocked { link: LINK, due: Due::Never, rests: true };
        assert_eq!(desk.step(at_rest, 0, 1), []);
        let next = desk.state.deadline().unwrap();
        if moves {
            desk.step(Event::Progress { link: LINK, count: 0 }, 0, 1);
        }
        desk.now = next;
        assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Look(LINK)]);
        let at_rest = Event::Clocked { link: LINK, due: Due::Never, rests: true };
        let expected = if moves { vec![] } else { vec![Action::Corner(LINK)] };
        assert_eq!(desk.step(at_rest, 0, 1), expected);
    }
}

#[test]
fn look_that_was_overtaken_by_an_earlier_one_is_not_made() {
    let mut desk = Desk::with_idle_worker();
    let (soon, later) = (desk.now + GRACE, desk.now + 2 * GRACE);
    for at in [later, soon, later] {
        assert_eq!(desk.step(Event::Clocked { link: LINK, due: Due::At(at), rests: false }, 0, 1), []);
    }
    desk.now = soon;
    assert_eq!(desk.step(Event::Tick, 0, 1), [Action::Look(LINK)]);
    desk.now = later;
    assert_eq!(desk.step(Event::Tick, 0, 1), []);
}

#[test]
fn worker_that_dies_while_draining_is_replaced_only_if_something_waits() {
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(Event::ShutDown, 0, 0), []);
    assert_eq!(desk.step(ended(LINK), 1, 0), [Action::Start(OTHER)]);
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::ShutDown, 0, 0);
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Finish]);
}

#[test]
fn idle_worker_is_closed_at_shutdown_and_the_pool_finishes_when_it_is_gone() {
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(Event::ShutDown, 0, 0), []);
    assert_eq!(desk.step(Event::Withdrawn(LINK), 0, 0), [Action::Close(LINK)]);
    assert_eq!(desk.step(ended(LINK), 0, 0), [Action::Finish]);
    assert!(desk.state.is_finished());
}

#[test]
fn pool_without_workers_finishes_at_shutdown() {
    assert_eq!(Desk::new().step(Event::ShutDown, 0, 0), [Action::Finish]);
}

#[test]
fn start_that_fails_breaks_the_pool_only_when_no_worker_is_left() {
    let error = || StartFailure::NoHello { pid: 1, limit: Duration::ZERO, stderr: None };
    let mut desk = Desk::new();
    desk.step(Event::Submitted, 1, 0);
    assert_eq!(desk.step(Event::StartFailed(LINK, error()), 1, 0), [Action::Break, Action::Finish]);
    let mut desk = Desk::with_idle_worker();
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(OTHER)]);
    assert_eq!(desk.step(Event::StartFailed(OTHER, error()), 1, 0), []);
    assert!(desk.state.broken().is_none());
}

#[test]
fn three_workers_that_end_before_their_hello_break_the_pool() {
    let mut desk = Desk::new();
    desk.step(Event::Submitted, 1, 0);
    for link in 0..2 {
        desk.step(Event::Started(LinkId(link)), 0, 0);
        assert_eq!(desk.step(exited(LinkId(link)), 1, 0), [Action::Start(LinkId(link + 1))]);
    }
    desk.step(Event::Started(LinkId(2)), 0, 0);
    assert_eq!(desk.step(exited(LinkId(2)), 1, 0), [Action::Break, Action::Finish]);
}

#[test]
fn workers_that_somebody_kills_side_by_side_before_their_hello_count_as_one() {
    let mut desk = Desk::new();
    for round in 0..20 {
        assert_eq!(desk.step(Event::Submitted, 2, 0), [0, 1].map(|of| Action::Start(LinkId(2 * round + of))));
        for link in [2 * round, 2 * round + 1].map(LinkId) {
            desk.step(Event::Started(link), 0, 0);
        }
        for link in [2 * round, 2 * round + 1].map(LinkId) {
            assert_eq!(desk.step(ended(link), 0, 0), []);
        }
    }
    assert!(desk.state.broken().is_none());
}

#[test]
fn worker_without_a_hello_is_killed_at_its_deadline_and_breaks_a_pool_that_has_no_other() {
    let mut desk = Desk::new();
    desk.step(Event::Submitted, 1, 0);
    desk.step(Event::Started(LINK), 0, 0);
    desk.now = desk.state.deadline().expect("a hello is waited for");
    assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Kill(LINK)]);
    assert_eq!(desk.step(ended(LINK), 1, 0), [Action::Break, Action::Finish]);
    assert!(
        matches!(desk.state.broken().map(|broken| &**broken), Some(Broken::Start(failure)) if failure.to_string().contains("30s"))
    );
}

#[test]
fn unfit_worker_breaks_the_pool_and_the_others_are_closed() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Submitted, 1, 0);
    desk.step(Event::Started(OTHER), 0, 0);
    assert_eq!(desk.step(Event::Unfit(OTHER, panicked()), 1, 0), [Action::Break, Action::Close(LINK)]);
    assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Break]);
}

#[test]
fn short_tasks_are_posted_ahead_and_long_ones_are_not() {
    for (micros, depth) in [(10, 50), (100_000, 1)] {
        let mut desk = Desk::with_idle_worker();
        assert_eq!(desk.step(Event::Withdrawn(LINK), 100, 0), [Action::Feed { link: LINK, items: 1 }]);
        desk.step(Event::Fed(LINK), 99, 1);
        desk.now += Duration::from_micros(micros);
        let actions = desk.step(Event::Progress { link: LINK, count: 1 }, 99, 0);
        let [Action::Feed { items: frames, .. }] = actions[..] else { panic!("{actions:?}") };
        assert_eq!(frames, depth, "frames ahead at {micros} us");
    }
}

#[test]
fn frames_that_wait_behind_a_long_task_are_taken_back() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 9, 0);
    assert_eq!(desk.step(Event::Fed(LINK), 0, 2), []);
    desk.now = desk.state.deadline().expect("frames wait behind another");
    assert_eq!(desk.step(Event::Tick, 0, 2), [Action::Recall(LINK)]);
    assert_eq!(desk.step(Event::Recalled(LINK), 1, 1), []);
}

#[test]
fn frames_that_came_back_are_for_workers_that_have_nothing() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 9, 0);
    desk.step(Event::Fed(LINK), 0, 9);
    desk.now += Duration::from_micros(10);
    desk.overdue = true;
    assert_eq!(desk.step(Event::Progress { link: LINK, count: 8 }, 5, 1), []);
    let feed = desk.step(Event::Progress { link: LINK, count: 1 }, 5, 0);
    assert!(matches!(feed[..], [Action::Feed { link: LINK, .. }]), "{feed:?}");
}

#[test]
fn frames_are_not_taken_back_while_later_ones_are_on_their_way_to_the_same_worker() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Withdrawn(LINK), 9, 0);
    desk.step(Event::Fed(LINK), 0, 9);
    // In time for one more frame, whose feeding takes its time.
    desk.now += Duration::from_micros(10);
    let feed = desk.step(Event::Progress { link: LINK, count: 8 }, 1, 2);
    assert_eq!(feed, [Action::Feed { link: LINK, items: 1 }]);
    for _ in 0..9 {
        desk.now = desk.state.deadline().expect("frames wait behind another");
        assert_eq!(desk.step(Event::Tick, 0, 2), [], "the later frame is not there yet");
    }
    assert_eq!(desk.step(Event::Fed(LINK), 0, 3), []);
    desk.now = desk.state.deadline().expect("they still wait");
    assert_eq!(desk.step(Event::Tick, 0, 3), [Action::Recall(LINK)], "all of them together");
}

#[test]
fn idle_pool_has_no_timer() {
    assert_eq!(Desk::with_idle_worker().state.deadline(), None);
}

#[test]
fn worker_that_runs_dry_steals_while_others_hold_frames() {
    let mut desk = Desk::with_idle_worker();
    desk.step(Event::Submitted, 1, 0);
    desk.step(Event::Started(OTHER), 5, 0);
    desk.step(Event::Fed(OTHER), 0, 1);
    assert_eq!(desk.step(Event::Progress { link: LINK, count: 1 }, 0, 0), [Action::Steal { thief: LINK }]);
    assert_eq!(desk.step(Event::Stolen { thief: LINK, frames: 0 }, 0, 0), [Action::Offer(LINK)]);
}
