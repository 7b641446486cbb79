//! A pool that was shut down and has tasks left: who stays for them, and who goes.
//!
//! Keeps true: a worker that is free stays while others hold frames, since those may come back (recalled from behind a long
//! task, declined, left by a worker that is lost, or to be tried again) and would else need a new worker each time. Once nobody holds any,
//! nothing can come back, and all are told to end.

use pool_ipc::LinkId;

use super::worker::{Stage, Worker};
use super::{Phase, State};
use crate::manager::event::{Action, View};

impl State {
    /// Whether the pool may have waited for nothing but outcomes that were to be brought.
    pub(crate) fn awaits_its_end(&self) -> bool {
        match self.phase {
            Phase::Draining => true,
            Phase::Broken => self.is_deserted(),
            Phase::Open | Phase::Finished => false,
        }
    }

    /// Whether frames may come to a worker that has none now.
    pub(super) fn may_come_back(&self, view: View) -> bool {
        self.phase == Phase::Draining && (self.loaded > 0 || self.feeds > 0 || view.delayed > 0)
    }

    /// Gives what waits to those who stayed for it. What is left then is for others.
    #[must_use]
    pub(super) fn employ_stayers(&mut self, mut view: View, actions: &mut Vec<Action>) -> View {
        if self.phase != Phase::Draining {
            return view;
        }
        for link in self.stayers() {
            if view.waiting == 0 {
                break;
            }
            self.employ(link, View { outstanding: 0, unclaimed: 0, room: usize::MAX, ..view }, actions);
            let coming = self.workers.get(&link).map_or(0, |worker| worker.coming);
            view.waiting = view.waiting.saturating_sub(coming);
        }
        view
    }

    /// Tells those to end who stayed for nothing.
    pub(super) fn dismiss_stayers(&mut self, actions: &mut Vec<Action>) {
        self.stayers().into_iter().for_each(|link| self.close(link, actions));
    }

    fn stayers(&self) -> Vec<LinkId> {
        let stays = |worker: &Worker| worker.stage == Stage::Ready && !worker.offered && !worker.is_loaded();
        self.workers.iter().filter(|(_, worker)| stays(worker)).map(|(link, _)| *link).collect()
    }
}
