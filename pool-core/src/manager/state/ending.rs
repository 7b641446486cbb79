//! A pool that is ended by force: every worker is, also one that comes up later.
//!
//! ```text
//!  Halt(Terminate) -> Action::Corner, Soften
//!  Halt(Ladder)    -> Action::Corner -> Cornered { holds: true } -> Action::Soften, and Timer::Kill after the grace
//!  Halt(Kill)      -> Action::Corner, Kill
//! ```

use pool_ipc::LinkId;

use super::State;
use super::worker::Stage;
use crate::manager::event::{Action, Means};

impl State {
    /// Ends all workers. A second time is no weaker than the first.
    pub(super) fn halt(&mut self, means: Means, actions: &mut Vec<Action>) {
        let means = match means {
            // A thread hears no signal. Its task is told, as by the ladder, and given up after the grace.
            Means::Terminate if !self.limits.processes => Means::Ladder,
            means => means,
        };
        self.halted = self.halted.max(Some(means));
        let links: Vec<LinkId> = self.workers.keys().copied().collect();
        links.into_iter().for_each(|link| self.end(link, means, actions));
    }

    /// Ends a worker that came up after the others were ended. Whether they were.
    pub(super) fn end_late_comer(&mut self, link: LinkId, actions: &mut Vec<Action>) -> bool {
        self.halted.map(|means| self.end(link, means, actions)).is_some()
    }

    /// Whether what runs has its grace before it is killed, now that nothing further begins there.
    pub(super) fn has_grace(&self) -> bool {
        matches!(self.halted, None | Some(Means::Ladder))
    }

    fn end(&mut self, link: LinkId, means: Means, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.condemned = true;
        worker.offered = false;
        worker.stage = Stage::Closing;
        let greeted = worker.greeted;
        actions.push(Action::Corner(link));
        match means {
            Means::Terminate => actions.push(Action::Soften(link)),
            // What it runs, if it runs anything, has its grace.
            Means::Ladder if greeted => {}
            Means::Ladder | Means::Kill => actions.push(Action::Kill(link)),
        }
    }
}

#[cfg(test)]
mod tests;
