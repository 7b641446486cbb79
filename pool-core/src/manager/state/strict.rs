//! What the loss of a worker does to its pool: nothing, or all, as in Python.

use std::sync::Arc;

use super::State;
use super::worker::{Stage, Worker};
use crate::error::{Broken, Loss, LossTime};
use crate::manager::event::{Action, Means};

/// What the loss of a worker does to its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnWorkerLoss {
    /// The task that it ran fails, and a new worker takes its place.
    #[default]
    Replace,
    /// The pool breaks, as CPython's does with `BrokenProcessPool`: the task that the worker ran fails with
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), the other workers are killed, and all other tasks fail with
    /// [`TaskError::Broken`](crate::TaskError::Broken), which names that death. Nothing can be submitted any more.
    Break,
}

impl State {
    /// Whether the end of this worker breaks the pool: one that nobody had asked to end, or that died with a task.
    pub(super) fn breaks_with(&self, worker: &Worker, blamed: Option<&str>) -> bool {
        let unasked = worker.stage != Stage::Closing || blamed.is_some();
        self.limits.staffing.on_worker_loss == OnWorkerLoss::Break
            && self.halted.is_none()
            && (!worker.condemned || worker.acquitted)
            && unasked
    }

    /// Breaks the pool for the loss of a worker, and ends the others.
    pub(super) fn break_for(&mut self, loss: Loss, blamed: Option<&str>, actions: &mut Vec<Action>) {
        let broken = match loss.time {
            LossTime::Starting | LossTime::TooLate => Broken::Start(Arc::new(self.failure_of(loss))),
            LossTime::Idle => {
                let Loss { pid, cause, stderr, .. } = loss;
                Broken::WorkerLost { pid, cause, task: blamed.map(str::to_owned), stderr }
            }
        };
        self.break_down(broken, actions);
        self.halt(Means::Kill, actions);
    }

    /// Whether all workers are being ended.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.is_some()
    }
}
