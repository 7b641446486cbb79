//! Workers that were told to end and have nothing left to run, and yet do not end: an exit handler of a library may hang, or
//! the drop of a thread's own values. They have a while, and then are asked, and killed after the grace; those that are
//! threads are not waited for any more.

use std::time::Duration;

use pool_ipc::LinkId;

use super::worker::Worker;
use super::{State, Timer};
use crate::manager::event::{Action, View};

/// How long an orderly exit may take. Long enough for handlers that write something down.
const EXIT: Duration = Duration::from_secs(10);

impl State {
    /// The time of those begins that have nothing to run any more.
    pub(super) fn time_leavers(&mut self, view: View) {
        if self.leaving.is_empty() {
            return;
        }
        let workers = &self.workers;
        let is_done = |link: &LinkId| !workers.get(link).is_some_and(Worker::is_loaded);
        for link in self.leaving.extract_if(.., is_done) {
            if let Some(end) = view.now.checked_add(EXIT)
                && workers.contains_key(&link)
            {
                self.timers.insert((end, link, Timer::Leave));
            }
        }
    }

    /// It is still there.
    pub(super) fn leave_is_due(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        if self.limits.processes {
            actions.push(Action::Soften(link));
            self.insert_kill(link, view);
        } else {
            self.survives(link);
        }
    }
}
