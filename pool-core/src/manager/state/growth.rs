//! Workers that have grown: after a task it is looked how much memory a worker has, and who has more than is allowed makes
//! room for another one, as for its age.
//!
//! Keeps true: what a worker has after its last task is seen, however short that was; a worker that does nothing is not
//! looked at again. Never: fails a task for what its worker has.

use std::time::Duration;

use pool_ipc::LinkId;

use super::worker::{Leaving, Stage};
use super::{Phase, State, Timer};
use crate::manager::event::{Action, View};

/// At least this long lies between two looks at a worker, each of which takes some microseconds.
pub(super) const LOOKS_APART: Duration = Duration::from_millis(100);

impl State {
    /// A worker has run something: it is looked at, now or when the last look is long enough ago.
    pub(super) fn may_have_grown(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        if self.limits.staffing.soft_memory.is_none() || self.phase != Phase::Open {
            return;
        }
        let Some(worker) = self.workers.get_mut(&link).filter(|worker| worker.stage == Stage::Ready) else { return };
        if matches!(worker.leaving, Some(Leaving::Replaced | Leaving::Relieved)) {
            return;
        }
        let due = worker.measured_at.map_or(view.now, |at| at + LOOKS_APART);
        if due <= view.now {
            worker.measured_at = Some(view.now);
            actions.push(Action::Measure(link));
        } else if !std::mem::replace(&mut worker.measure_timed, true) {
            self.timers.insert((due, link, Timer::Measure));
        }
    }

    /// The time of a look has come.
    pub(super) fn measure_is_due(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.measure_timed = false;
        self.may_have_grown(link, view, actions);
    }

    /// So much memory a worker has, where that can be known.
    pub(super) fn measured(&mut self, link: LinkId, resident: Option<u64>, actions: &mut Vec<Action>) {
        if let (Some(limit), Some(resident)) = (self.limits.staffing.soft_memory, resident)
            && resident > limit
        {
            pool_ipc::tell!(
                Debug,
                "a worker has {resident} bytes of memory, and may have {limit}: another one takes its place"
            );
            self.is_to_be_replaced(link, actions);
        }
    }
}
