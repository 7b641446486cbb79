//! Who stands aside while the tasks are so short that more workers than processors would only be in each other's way.
//!
//! A task of a few microseconds cannot have waited for anything: such tasks keep a processor busy, and as many workers as there
//! are processors get through them as fast as any number. Each further one costs a wake-up for every few tasks. Keeps true: who
//! stands aside looks again after [`PATIENCE`], and takes part unless as many others as there are processors have got on
//! meanwhile; so tasks that come to wait for each other, or for anything, get all workers that there are.

use std::time::Duration;

use pool_ipc::LinkId;

use super::worker::{Stage, Worker};
use super::{PATIENCE, Phase, State, Timer};
use crate::manager::event::{Action, View};

/// Tasks up to this long are short.
const SHORT: Duration = Duration::from_micros(10);

impl State {
    /// Has a worker that is free stand aside, if it would only be in the way. Whether it does.
    pub(super) fn stands_aside(&mut self, link: LinkId, view: View) -> bool {
        let is_short = |worker: &Worker| worker.pace.is_some_and(|pace| pace <= SHORT);
        let gets_on = |worker: &&Worker| {
            let moved = worker.moved_at.is_some_and(|at| view.now.saturating_duration_since(at) < PATIENCE);
            (worker.is_loaded() || worker.offered) && moved && is_short(worker)
        };
        let processors = self.limits.processors;
        if self.phase != Phase::Open || self.workers.len() <= processors {
            return false;
        }
        let Some(worker) = self.workers.get(&link).filter(|worker| worker.stage == Stage::Ready) else { return false };
        // Its own pace may be that of one who had to share a processor.
        let is_long = worker.pace.is_none_or(|pace| pace >= PATIENCE);
        if is_long || self.workers.values().filter(gets_on).take(processors).count() < processors {
            return false;
        }
        if let Some(worker) = self.workers.get_mut(&link)
            && !worker.stands_aside
        {
            worker.stands_aside = true;
            self.aside += 1;
            self.timers.insert((view.now + PATIENCE, link, Timer::Aside));
        }
        true
    }

    /// It has stood aside for long enough to look again.
    pub(super) fn takes_part(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let is_free = |worker: &Worker| !worker.is_loaded() && !worker.offered;
        if self.comes_forward(link) && self.workers.get(&link).is_some_and(is_free) {
            self.employ(link, View { outstanding: 0, unclaimed: 0, room: usize::MAX, ..view }, actions);
        }
    }

    /// It is free for anything again, or is gone. Whether it had stood aside.
    pub(super) fn comes_forward(&mut self, link: LinkId) -> bool {
        let stood = self.workers.get_mut(&link).is_some_and(|worker| std::mem::take(&mut worker.stands_aside));
        self.aside -= usize::from(stood);
        stood
    }
}

#[cfg(test)]
mod tests;
