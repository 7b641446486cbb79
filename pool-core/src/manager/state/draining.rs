//! A pool that was shut down and has tasks left: who stays for them, and who goes.
//!
//! Keeps true: a worker that is free stays while others hold frames, since those may come back (recalled from behind a long
//! task, declined, left by a worker that is lost, or to be tried again) and would else need a new worker each time. Once nobody holds any,
//! nothing can come back, and all are told to end. What a worker holds that was to be ended and cannot be, a thread, does not
//! count: nobody stays for it, and nobody waits for its end for long.

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

    /// A worker was to be ended, and goes on: whatever it holds, nobody waits for it.
    pub(super) fn survives(&mut self, link: LinkId) {
        let outstanding = self.workers.get(&link).map_or(0, |worker| worker.outstanding);
        self.load(link, outstanding, |worker| worker.survives = true);
    }

    /// Whether nobody is there, or about to be, but workers that cannot be ended.
    pub(super) fn is_left_to_survivors(&self) -> bool {
        self.starting.is_empty() && self.feeds == 0 && self.workers.values().all(|worker| worker.survives)
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
