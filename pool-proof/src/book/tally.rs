//! How many tasks came to which end.

use super::End;

/// The numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    values: u64,
    /// Of those, how many are of a task that fails first.
    retried: u64,
    panics: u64,
    lost: u64,
    exhausted: u64,
    timed_out: u64,
    killed: u64,
    cancelled: u64,
    refused: u64,
    unseen: u64,
    wrong: u64,
    /// How many workers ran tasks.
    workers: u64,
    /// How many workers tasks may have cost by what they are.
    costs: u64,
}

impl Tally {
    /// One more.
    pub(super) fn count(&mut self, end: &End) {
        *match end {
            End::Right => &mut self.values,
            End::Panicked => &mut self.panics,
            End::Lost(_) => &mut self.lost,
            End::Exhausted { .. } => &mut self.exhausted,
            End::TimedOut | End::Late => &mut self.timed_out,
            End::Killed => &mut self.killed,
            End::Cancelled => &mut self.cancelled,
            End::ShutDown => &mut self.refused,
            End::Unseen => &mut self.unseen,
            End::Wrong(_) => &mut self.wrong,
        } += 1;
    }

    /// The same, of tasks that ran in so many workers.
    pub(super) fn in_workers(self, workers: usize) -> Self {
        Self { workers: workers as u64, ..self }
    }

    /// How many workers ran tasks.
    pub(crate) fn workers(&self) -> u64 {
        self.workers
    }

    /// A task that fails first has its value.
    pub(super) fn count_retried(&mut self) {
        self.retried += 1;
    }

    /// A task is submitted that may cost so many workers.
    pub(super) fn may_cost(&mut self, workers: u64) {
        self.costs += workers;
    }

    /// How many workers may have ended by what tasks are.
    pub(crate) fn costs(&self) -> u64 {
        self.costs
    }

    /// Of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            retried: self.retried + other.retried,
            panics: self.panics + other.panics,
            lost: self.lost + other.lost,
            exhausted: self.exhausted + other.exhausted,
            timed_out: self.timed_out + other.timed_out,
            killed: self.killed + other.killed,
            cancelled: self.cancelled + other.cancelled,
            refused: self.refused + other.refused,
            unseen: self.unseen + other.unseen,
            wrong: self.wrong + other.wrong,
            workers: self.workers + other.workers,
            costs: self.costs + other.costs,
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let Self {
            values,
            retried,
            panics,
            lost,
            exhausted,
            timed_out,
            killed,
            cancelled,
            refused,
            unseen,
            wrong,
            workers,
            ..
        } = self;
        let failed = lost + exhausted + timed_out + killed;
        let tasks = values + panics + failed + cancelled + refused + unseen + wrong;
        format!(
            "{tasks} tasks ({values} values, {retried} of them of a second attempt or later, {panics} panics, {lost} lost, \
             {exhausted} lost in every attempt, \
             {timed_out} timed out, {killed} killed, {cancelled} cancelled, {refused} refused at \
             the end, {unseen} not looked at, {wrong} wrong) in {workers} workers"
        )
    }
}
