//! What is to become of a batch that one worker has while others rest: half of what is left of it goes to one of them, again
//! and again. A worker that runs dry steals by itself; this is for those that rested before the batch came.

use pool_ipc::LinkId;

use super::{PATIENCE, State, Timer};
use crate::manager::event::{Action, View};

impl State {
    /// A frame of several items is at this worker now.
    pub(super) fn burdened(&mut self, link: LinkId, view: View) {
        if view.outstanding > 0 {
            // A caller may have posted it: then the worker does not rest, and others have somebody to steal from.
            self.load(link, view.outstanding, |worker| worker.offered = false);
        }
        self.watch_burden(link, view);
    }

    fn watch_burden(&mut self, link: LinkId, view: View) {
        if let Some(worker) = self.workers.get_mut(&link)
            && !worker.burdened
        {
            worker.burdened = true;
            self.timers.insert((view.now + PATIENCE, link, Timer::Split));
        }
    }

    pub(super) fn split_is_due(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        let somebody_rests = self.workers.values().any(|worker| worker.offered);
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.burdened = somebody_rests;
        if somebody_rests {
            actions.push(Action::Halve(link));
        }
    }

    /// There may be more to halve, unless there was nothing.
    pub(super) fn halved(&mut self, link: LinkId, frames: usize, view: View) {
        if let Some(worker) = self.workers.get_mut(&link) {
            worker.burdened = false;
        }
        if frames > 0 {
            self.watch_burden(link, view);
        }
    }
}
