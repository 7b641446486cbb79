//! How many tasks came to which end.

use super::End;

/// The numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    values: u64,
    panics: u64,
    lost: u64,
    cancelled: u64,
    refused: u64,
    unseen: u64,
    wrong: u64,
    /// How many workers ran tasks.
    workers: u64,
}

impl Tally {
    /// One more.
    pub(super) fn count(&mut self, end: &End) {
        *match end {
            End::Right => &mut self.values,
            End::Panicked => &mut self.panics,
            End::Lost(_) => &mut self.lost,
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

    /// Of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            values: self.values + other.values,
            panics: self.panics + other.panics,
            lost: self.lost + other.lost,
            cancelled: self.cancelled + other.cancelled,
            refused: self.refused + other.refused,
            unseen: self.unseen + other.unseen,
            wrong: self.wrong + other.wrong,
            workers: self.workers + other.workers,
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let Self { values, panics, lost, cancelled, refused, unseen, wrong, workers } = self;
        let tasks = values + panics + lost + cancelled + refused + unseen + wrong;
        format!(
            "{tasks} tasks ({values} values, {panics} panics, {lost} lost, {cancelled} cancelled, {refused} refused at \
             the end, {unseen} not looked at, {wrong} wrong) in {workers} workers"
        )
    }
}
