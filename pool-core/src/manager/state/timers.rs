//! What falls due without any event: the timers of workers, by the time at which they end. A worker that is gone has none.

use super::{PATIENCE, State};
use crate::manager::event::{Action, View};

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The worker should have said hello.
    Hello,
    /// The system may have room for a worker again.
    Retry,
    /// Frames that wait behind another one may have waited long enough.
    Patience,
    /// The worker is as old as workers may be.
    Age,
    /// The worker may have been idle for as long as it may.
    Idle,
    /// A frame of several items may have been long enough with one worker.
    Split,
    /// A task may have run for as long as it may.
    Limit,
    /// A worker was asked to end and has had its time.
    Kill,
    /// A worker was told to end and has had its time.
    Leave,
    /// It may be seen again how much memory the worker has.
    Measure,
    /// The worker has stood aside for a while.
    Aside,
    /// The worker, which has nothing, may take something again.
    Room,
}

impl State {
    /// The first timers are due.
    pub(super) fn tick(&mut self, view: View, actions: &mut Vec<Action>) {
        while let Some(&(deadline, link, timer)) = self.timers.first()
            && deadline <= view.now
        {
            self.timers.pop_first();
            if timer == Timer::Retry {
                self.staff.look_again();
            }
            let Some(worker) = self.workers.get_mut(&link) else { continue };
            match timer {
                Timer::Age => self.is_to_be_replaced(link, actions),
                Timer::Idle => self.may_be_idle(link, view, actions),
                // Also one that was told to end, for whatever reason, and does not come to hear it.
                Timer::Hello if !worker.greeted => {
                    worker.too_late = true;
                    actions.push(Action::Kill(link));
                }
                Timer::Hello | Timer::Retry => {}
                Timer::Limit => self.look_is_due(link, deadline, actions),
                Timer::Measure => self.measure_is_due(link, view, actions),
                Timer::Leave => self.leave_is_due(link, view, actions),
                Timer::Kill => actions.push(Action::Kill(link)),
                Timer::Aside => self.takes_part(link, view, actions),
                Timer::Room => self.room_is_due(link, view, actions),
                Timer::Split => self.split_is_due(link, actions),
                Timer::Patience if worker.outstanding <= 1 => worker.timed = false,
                // What is on its way was submitted later, and would come to stand before what is taken back now.
                Timer::Patience if worker.coming > 0 => {
                    self.timers.insert((view.now + PATIENCE, link, Timer::Patience));
                }
                Timer::Patience => {
                    let patience_ends = *worker.since.get_or_insert(view.now) + PATIENCE;
                    if patience_ends <= view.now {
                        worker.timed = false;
                        worker.pace = Some(PATIENCE);
                        actions.push(Action::Recall(link));
                    } else {
                        self.timers.insert((patience_ends, link, Timer::Patience));
                    }
                }
            }
        }
    }
}
