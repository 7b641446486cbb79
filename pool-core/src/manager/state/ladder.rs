//! How a running task is stopped: the link is cornered, the worker asked, and after a grace ended.
//!
//! ```text
//!  Limited (and Ready), or
//!              Timer::Limit -> Action::Look -> Clocked { Due::At }  -> Timer::Limit
//!                                              Clocked { Due::Now } -+
//!  Condemned --------------------------------------------------------+-> Action::Corner -> Cornered
//!  Clocked { rests: true } for too long, as Clocked { Due::Now }
//!  Cornered { holds: true }  -> Action::Soften, and Timer::Kill after the grace -> Action::Kill
//!  Cornered { holds: false } -> Action::Look, for what runs there now; Timer::Kill, if all are being ended
//! ```

use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use super::worker::Stage;
use super::{State, Timer};
use crate::manager::event::{Action, Due, Means, View};

/// For so long a worker that is looked at may hold frames and run none of them. Then it has stopped or half of it is dead,
/// and what it has finished may never be announced.
const REST: Duration = Duration::from_secs(1);

impl State {
    /// A worker was given a frame with a time limit. Before its hello it runs nothing: there is nothing to see, however
    /// often one looks.
    pub(super) fn limited(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.limited = !worker.greeted;
        if worker.greeted {
            actions.push(Action::Look(link));
        }
    }

    /// It has said hello, and may run what it was given before.
    pub(super) fn look_as_it_was_limited(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        if self.workers.get_mut(&link).is_some_and(|worker| std::mem::take(&mut worker.limited)) {
            actions.push(Action::Look(link));
        }
    }

    /// A look at a link has told when one of its limits is due.
    pub(super) fn clocked(&mut self, link: LinkId, due: Due, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        match due {
            Due::Never => {}
            Due::Now => self.condemned(link, view, actions),
            Due::At(at) if worker.look_at.is_some_and(|known| known <= at) => {}
            Due::At(at) => {
                worker.look_at = Some(at);
                self.timers.insert((at, link, Timer::Limit));
            }
        }
    }

    /// Sees whether a worker does nothing about what it holds, for too long. When it is to be looked at again, else.
    pub(super) fn watch_rest(&mut self, link: LinkId, due: Due, rests: bool, view: View) -> Due {
        let Some(worker) = self.workers.get_mut(&link) else { return due };
        if !rests || !worker.greeted {
            worker.rests_since = None;
            return due;
        }
        let ends = *worker.rests_since.get_or_insert(view.now) + REST;
        match due {
            _ if ends <= view.now => {
                worker.rests_since = None;
                Due::Now
            }
            Due::At(at) => Due::At(at.min(ends)),
            Due::Never => Due::At(ends),
            Due::Now => Due::Now,
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
    pub(super) fn condemned(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        if !worker.condemned || std::mem::take(&mut worker.acquitted) {
            worker.condemned = true;
            worker.offered = false;
            worker.stage = Stage::Closing;
            // A thread cannot be ended: another worker takes its place, whatever it does.
            worker.given_up = !self.limits.processes;
            if worker.given_up {
                self.staff.look_again();
            }
            actions.push(Action::Corner(link));
        } else if self.halted == Some(Means::Terminate) && !worker.outstays {
            // The pool's end asked it, and would leave it at that.
            worker.outstays = true;
            self.insert_kill(link, view);
        }
    }

    /// What was to be stopped is over, and something else may have begun in the same moment, with limits of its own. The
    /// worker ends after that, and holds its place until then.
    fn acquitted(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        if let Some(worker) = self.workers.get_mut(&link) {
            worker.acquitted = true;
            self.leaving.insert(link);
            actions.push(Action::Look(link));
        }
    }

    pub(super) fn insert_kill(&mut self, link: LinkId, view: View) {
        if let Some(end) = view.now.checked_add(self.limits.stop_grace) {
            self.timers.insert((end, link, Timer::Kill));
        }
    }

    /// Nothing begins at this link any more, and what is to be stopped runs on, or has come to its end.
    pub(super) fn cornered(&mut self, link: LinkId, holds: bool, view: View, actions: &mut Vec<Action>) {
        match holds {
            false if self.halted.is_none() => return self.acquitted(link, actions),
            // It has been told to end, and may not come to hear it.
            false if self.has_grace() => return self.insert_kill(link, view),
            true if self.has_grace() => {}
            _ => return,
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
