//! What only a simulated worker does: stop halfway, and break the protocol.

use std::ops::DerefMut;

use super::{SlotJob, WorkerEnd, WorkerSide};
use crate::slot::atomic::Ordering;
use crate::slot::word;

impl<S: WorkerSide> WorkerEnd<S> {
    /// One whose time is not the real one.
    pub(crate) fn without_pace(self) -> Self {
        Self { tells_pace: false, ..self }
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Gives back what is not claimed, as for want of room.
    pub(crate) fn decline(&mut self) {
        word::decline(self.word(), self.lap);
    }

    /// Writes an outcome and does not say so.
    pub(crate) fn write_only(&mut self, bytes: &[u8]) {
        self.write_record(bytes);
        self.lay_record();
    }

    /// Writes a word that no honest worker can write.
    pub(crate) fn garble(&mut self) {
        self.word().fetch_or(1 << 63, Ordering::AcqRel);
    }
}
