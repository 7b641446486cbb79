//! How a running task is stopped: the link is cornered, the worker asked, and after a grace ended.
//!
//! ```text
//!  Limited, or Timer::Limit -> Action::Look -> Clocked { Due::At }  -> Timer::Limit
//!                                              Clocked { Due::Now } -+
//!  Condemned --------------------------------------------------------+-> Action::Corner -> Cornered
//!  Cornered { holds: true } -> Action::Soften, and Timer::Kill after the grace -> Action::Kill
//! ```

use std::time::Instant;

use pool_ipc::LinkId;

use super::worker::Stage;
use super::{State, Timer};
use crate::manager::event::{Action, Due, View};

impl State {
    /// A look at a link has told when one of its limits is due.
    pub(super) fn clocked(&mut self, link: LinkId, due: Due, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        match due {
            Due::Never => {}
            Due::Now => self.condemned(link, actions),
            Due::At(at) if worker.look_at.is_some_and(|known| known <= at) => {}
            Due::At(at) => {
                worker.look_at = Some(at);
                self.timers.insert((at, link, Timer::Limit));
            }
        }
    }

    /// The time of a look has come. One that was set for later, and overtaken, does not count.
    pub(super) fn look_is_due(&mut self, link: LinkId, at: Instant, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        if worker.look_at == Some(at) {
            worker.look_at = None;
            actions.push(Action::Look(link));
        }
    }

    /// What this worker runs is to be stopped.
    pub(super) fn condemned(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        if !worker.condemned {
            worker.condemned = true;
            worker.offered = false;
            worker.stage = Stage::Closing;
            // A thread cannot be ended: another worker takes its place, whatever it does.
            worker.given_up = !self.limits.processes;
            if worker.given_up {
                self.staff.look_again();
            }
            actions.push(Action::Corner(link));
        }
    }

    /// Nothing begins at this link any more, and what is to be stopped runs on, or has come to its end.
    pub(super) fn cornered(&mut self, link: LinkId, holds: bool, view: View, actions: &mut Vec<Action>) {
        if !holds || !self.has_grace() {
            return;
        }
        match view.now.checked_add(self.limits.stop_grace) {
            Some(end) if end > view.now => {
                self.timers.insert((end, link, Timer::Kill));
                actions.push(Action::Soften(link));
            }
            Some(_) => actions.push(Action::Kill(link)),
            // A grace without end.
            None => actions.push(Action::Soften(link)),
        }
    }
}
