//! How long the pool waits before it tries to start another worker, where others are there and this is refused.
//!
//! Keeps true: a system that is short of something, or a program that does not come up, is asked less and less often, and
//! still every few seconds; starts that were refused together count as one; a worker that says hello ends it. Never: holds
//! up a pool that has no worker.

use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use super::{State, Timer};
use crate::manager::event::View;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause, since nobody tells when there is room again.
const MOST: Duration = Duration::from_millis(3200);

/// The pauses between starts that are refused. Moved by refusals and hellos only.
#[derive(Debug)]
pub(super) struct Retrying {
    /// The next one.
    pause: Duration,
    /// The end of the present one, or of the last.
    until: Option<Instant>,
}

impl Retrying {
    pub(super) fn new() -> Self {
        Self { pause: FIRST, until: None }
    }

    /// A worker said hello: there is room.
    pub(super) fn heard_hello(&mut self) {
        *self = Self::new();
    }

    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A start was refused. Gives the end of the pause that this begins, if none is on.
    fn begin(&mut self, now: Instant) -> Option<Instant> {
        if self.is_pausing(now) {
            return None;
        }
        self.until = Some(now + self.pause);
        self.pause = MOST.min(self.pause * 2);
        self.until
    }
}

impl State {
    /// No worker is started for a while, unless there is none.
    pub(super) fn retry_later(&mut self, link: LinkId, view: View) {
        if let Some(until) = self.retrying.begin(view.now) {
            self.timers.insert((until, link, Timer::Retry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StartFailure;
    use crate::manager::event::{Action, Event};
    use crate::manager::state::tests::{Desk, LINK};

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_hello() {
        let (mut retrying, mut now) = (Retrying::new(), Instant::now());
        for pause in [100, 200, 400, 800, 1600, 3200, 3200, 3200] {
            let until = retrying.begin(now).unwrap();
            assert_eq!(until - now, Duration::from_millis(pause));
            now = until;
        }
        retrying.heard_hello();
        assert_eq!(retrying.begin(now), Some(now + FIRST));
    }

    #[test]
    fn refusals_during_a_pause_are_of_the_same_shortage() {
        let (mut retrying, now) = (Retrying::new(), Instant::now());
        let until = retrying.begin(now).unwrap();
        assert_eq!((retrying.begin(now), retrying.begin(until - FIRST / 10)), (None, None));
        assert_eq!(retrying.begin(until), Some(until + 2 * FIRST));
    }

    /// A pool with one worker, of two, and work for two.
    #[test]
    fn a_system_that_refuses_is_asked_after_longer_and_longer_pauses() {
        let mut desk = Desk::with_idle_worker();
        let (start, refused) = (LinkId(1), || StartFailure::NoHello { pid: 1, limit: FIRST, stderr: None });
        assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(start)]);
        assert_eq!(desk.step(Event::StartFailed(start, refused()), 1, 0), []);
        for (number, pause) in (2..).zip([100, 200, 400, 800, 1600, 3200, 3200]) {
            let (deadline, link) = (desk.state.deadline().unwrap(), LinkId(number));
            assert_eq!(deadline - desk.now, Duration::from_millis(pause));
            assert_eq!(desk.step(Event::Submitted, 1, 0), [], "not before");
            desk.now = deadline;
            assert_eq!(desk.step(Event::Tick, 1, 0), []);
            assert_eq!(desk.step(Event::Submitted, 1, 0), [Action::Start(link)]);
            desk.step(Event::StartFailed(link, refused()), 1, 0);
        }
        assert!(desk.state.broken().is_none() && desk.state.knows(LINK));
    }
}
