//! Workers that cannot be started, do not come up or are lost, and when the pool breaks with them.
//!
//! Keeps true: who was told to end is no loss, and neither is who ended by a task's doing. When there are too many is said
//! by the [`breaker`](super::breaker).

use std::sync::Arc;

use pool_ipc::{ExitCause, LinkId};

use super::worker::Stage;
use super::{Phase, RETRY, State, Timer};
use crate::error::{Broken, Loss, LossTime, StartFailure};
use crate::manager::event::{Action, View};

impl State {
    /// The system did not start a worker.
    pub(super) fn start_failed(&mut self, link: LinkId, failure: StartFailure, view: View, actions: &mut Vec<Action>) {
        self.starting.remove(&link);
        if self.is_deserted() {
            return self.break_down(Broken::Start(Arc::new(failure)), actions);
        }
        pool_ipc::tell!(Warn, "a worker could not be started: {failure}");
        self.is_not_up(link);
        self.retry_later(link, view);
    }

    /// A worker that is a thread did not say hello in time, and cannot be ended: it is lost but for the thread.
    pub(super) fn give_up_late_comer(&mut self, link: LinkId, pid: u32, view: View, actions: &mut Vec<Action>) {
        let late = self.workers.get_mut(&link).filter(|worker| worker.too_late && worker.stage == Stage::Starting);
        let Some(worker) = late else { return };
        worker.stage = Stage::Closing;
        worker.given_up = true;
        actions.push(Action::Recall(link));
        let loss = Loss { pid, cause: ExitCause::Unknown, time: LossTime::TooLate, stderr: None };
        self.note_loss(link, loss, view, actions);
        self.is_not_up(link);
        self.settle(view, actions);
        self.start_on_demand(view, actions);
    }

    /// A worker is gone.
    pub(super) fn ended(
        &mut self,
        link: LinkId,
        mut loss: Loss,
        blamed: Option<&str>,
        view: View,
        actions: &mut Vec<Action>,
    ) {
        let Some(worker) = self.workers.remove(&link) else { return };
        self.loaded -= usize::from(worker.is_loaded());
        self.aside -= usize::from(worker.stands_aside);
        loss.time = worker.loss_time();
        if self.breaks_with(&worker, blamed) {
            return self.break_for(loss, blamed, actions);
        }
        // Who was told to end is no loss, and neither is who ended by a task's doing.
        if worker.stage != Stage::Closing && blamed.is_none() {
            self.note_loss(link, loss, view, actions);
        }
        match worker.stage {
            Stage::Starting => self.is_not_up(link),
            Stage::Ready | Stage::Closing => self.staff.strike(link),
        }
        self.settle(view, actions);
        self.start_on_demand(view, actions);
    }

    fn note_loss(&mut self, link: LinkId, loss: Loss, view: View, actions: &mut Vec<Action>) {
        pool_ipc::tell!(Warn, "{loss}");
        self.breaker.note(link, self.next_link, loss.clone(), view.now);
        let nobody_works = !self.workers.values().any(|worker| worker.stage == Stage::Ready);
        let Some(end) = self.breaker.closed_until().filter(|_| !self.breaker.is_open(view.now)) else {
            if self.breaker.is_hopeless() && loss.time != LossTime::Idle {
                match nobody_works {
                    true => self.break_down(Broken::Start(Arc::new(self.failure_of(loss))), actions),
                    false => self.retry_later(link, view),
                }
            }
            return;
        };
        if nobody_works {
            let (losses, within) = (self.breaker.causes().into(), self.limits.staffing.restarts.within);
            return self.break_down(Broken::Restarts { losses, within }, actions);
        }
        self.timers.insert((end + RETRY, link, Timer::Retry));
    }

    /// Why the pool breaks with a worker that did not come up.
    pub(super) fn failure_of(&self, loss: Loss) -> StartFailure {
        loss.into_failure(self.limits.hello, self.limits.staffing.memory_limit)
    }

    /// Nothing runs any more, for this reason.
    pub(super) fn break_down(&mut self, broken: Broken, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Broken | Phase::Finished) {
            return;
        }
        pool_ipc::tell!(Error, "{broken}");
        self.phase = Phase::Broken;
        self.broken = Some(Arc::new(broken));
        actions.push(Action::Break);
        let links: Vec<LinkId> = self.workers.keys().copied().collect();
        links.into_iter().for_each(|link| self.close(link, actions));
    }
}
