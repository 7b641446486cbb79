//! Workers that hold nothing and are refused a frame nevertheless: there is no way for it just now.
//!
//! The kernel bounds the descriptors that are under way, for all programs of a user together, and tells nobody when there is
//! room again; or what was taken back from a worker that comes up still has its slots. No outcome may be due there, by which
//! the pool would hear that something has changed. Keeps true: such a worker is fed again after a pause, and a longer one each
//! time; a frame that it takes ends that. Never: asks again at once, over and over, nor leaves a frame to nobody.

use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use super::worker::Worker;
use super::{Phase, State, Timer};
use crate::manager::event::{Action, View};

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(1);

/// The longest pause.
const MOST: Duration = Duration::from_millis(64);

/// Whether a worker takes frames, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Taking {
    #[default]
    Yes,
    /// The feeder has met with a refusal, so many times in a row, and has not reported the end of its feed.
    Refused { times: u32 },
    /// The same, and nothing is tried before that moment.
    Pausing { times: u32, until: Instant },
}

impl Taking {
    fn refused(self) -> Self {
        match self {
            Self::Yes => Self::Refused { times: 1 },
            Self::Refused { times } | Self::Pausing { times, .. } => Self::Refused { times: times.saturating_add(1) },
        }
    }
}

fn pause(times: u32) -> Duration {
    MOST.min(FIRST * 2_u32.saturating_pow(times.saturating_sub(1)))
}

impl State {
    /// The feeder could not post all that it was told to.
    pub(super) fn refused(&mut self, link: LinkId) {
        if let Some(worker) = self.workers.get_mut(&link) {
            worker.taking = worker.taking.refused();
        }
    }

    /// The feeder is done. A worker that holds something is heard of again in any case.
    pub(super) fn note_refusal(&mut self, link: LinkId, view: View) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.taking = match worker.taking {
            Taking::Refused { times } if worker.outstanding == 0 => {
                let until = view.now + pause(times);
                self.timers.insert((until, link, Timer::Room));
                Taking::Pausing { times, until }
            }
            _ => Taking::Yes,
        };
    }

    /// Whether a worker that has nothing is given nothing for a while, since it took nothing.
    pub(super) fn is_left_alone(&self, link: LinkId, view: View) -> bool {
        let is_pausing = |worker: &Worker| match worker.taking {
            Taking::Pausing { until, .. } => worker.outstanding == 0 && view.now < until,
            Taking::Yes | Taking::Refused { .. } => false,
        };
        self.phase != Phase::Broken && self.workers.get(&link).is_some_and(is_pausing)
    }

    /// There may be room now.
    pub(super) fn room_is_due(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        if self.workers.get(&link).is_some_and(|worker| !worker.is_loaded() && !worker.offered) {
            self.employ(link, View { outstanding: 0, unclaimed: 0, room: usize::MAX, ..view }, actions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::event::Event;
    use crate::manager::state::tests::{Desk, LINK};

    const FEED: Action = Action::Feed { link: LINK, items: 1 };

    /// A pool of one worker, whose only frame was refused so many times, with the pauses between.
    fn refused(times: usize) -> (Desk, Vec<Duration>) {
        let (mut desk, mut pauses) = (Desk::with_idle_worker(), Vec::new());
        desk.state.limits.max_workers = 1;
        assert_eq!(desk.step(Event::Withdrawn(LINK), 1, 0), [FEED]);
        for time in 1..=times {
            assert_eq!(desk.step(Event::Refused(LINK), 1, 0), []);
            assert_eq!(desk.step(Event::Fed(LINK), 1, 0), [], "not at once");
            assert_eq!(desk.step(Event::Submitted, 1, 0), [], "nor for another reason");
            let deadline = desk.state.deadline().expect("nobody else would say when");
            pauses.push(deadline - desk.now);
            if time < times {
                desk.now = deadline;
                assert_eq!(desk.step(Event::Tick, 1, 0), [FEED]);
            }
        }
        (desk, pauses)
    }

    #[test]
    fn worker_that_has_nothing_and_takes_nothing_is_fed_after_longer_and_longer_pauses() {
        let millis: Vec<u128> = refused(9).1.iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn frame_that_is_taken_or_has_run_ends_the_pauses() {
        let (mut desk, _) = refused(3);
        desk.now = desk.state.deadline().unwrap();
        assert_eq!(desk.step(Event::Tick, 1, 0), [FEED]);
        assert_eq!(desk.step(Event::Fed(LINK), 0, 1), []);
        assert_eq!(desk.step(Event::Progress { link: LINK, count: 1 }, 0, 0), [Action::Offer(LINK)]);
        assert_eq!(desk.state.deadline(), None);
        let (mut desk, _) = refused(3);
        assert_eq!(desk.step(Event::Progress { link: LINK, count: 1 }, 1, 0), [FEED], "something has changed");
    }

    #[test]
    fn worker_that_holds_something_is_not_waited_for_by_the_clock() {
        let mut desk = Desk::with_idle_worker();
        assert_eq!(desk.step(Event::Withdrawn(LINK), 2, 0), [FEED]);
        desk.step(Event::Refused(LINK), 1, 1);
        desk.overdue = true;
        assert_eq!(desk.step(Event::Fed(LINK), 1, 1), []);
        assert_eq!(desk.state.deadline(), None);
        assert!(matches!(desk.step(Event::Progress { link: LINK, count: 1 }, 1, 0)[..], [Action::Feed { .. }]));
    }

    #[test]
    fn worker_that_is_left_alone_is_offered_once_nothing_waits_and_ends_with_its_pool() {
        let (mut desk, _) = refused(2);
        desk.now = desk.state.deadline().unwrap();
        assert_eq!(desk.step(Event::Tick, 0, 0), [Action::Offer(LINK)]);
        let (mut desk, _) = refused(2);
        assert_eq!(desk.step(Event::ShutDown, 1, 0), [], "what waits is run before that");
        desk.now = desk.state.deadline().unwrap();
        assert_eq!(desk.step(Event::Tick, 1, 0), [FEED]);
        let (mut desk, _) = refused(2);
        assert_eq!(desk.step(Event::ShutDown, 0, 0), [Action::Close(LINK)]);
    }
}
