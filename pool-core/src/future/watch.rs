//! One thread's wait for many futures: each of them reports here, once.
//!
//! Keeps true: whoever watches is woken by the report that its wait is for and not by those before, so that waiting for
//! all of many futures wakes it once. Holds numbers, never futures: what was reported is not kept alive by it.

use std::mem;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, Wakeup, wait};

/// Where the watched futures report. The lock is a leaf: nothing is called and no other lock taken while it is held.
pub(super) struct Watch {
    reports: Mutex<Reports>,
    /// Notified when a report is enough for the one who waits.
    enough: Condvar,
}

#[derive(Default)]
struct Reports {
    /// The numbers of the futures that are done, in the order of their ends.
    done: Vec<usize>,
    /// Whether one of them failed (to be cancelled is not to fail).
    failed: bool,
    /// What the one who waits has asked for.
    until: Option<Until>,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// This many reports.
    Count(usize),
    /// This many reports, or one of a failure.
    FailureOrCount(usize),
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { reports: Mutex::new(Reports::default()), enough: Condvar::new() }
    }

    /// A future's report that it is done.
    pub(super) fn report(&self, number: usize, failed: bool) {
        let mut reports = self.reports.lock();
        reports.done.push(number);
        reports.failed |= failed;
        let enough = reports.until.is_some_and(|until| reports.suffice(until));
        drop(reports);
        if enough {
            self.enough.notify_one();
        }
    }

    /// Waits for enough reports or the deadline, and takes what has been reported. One thread at a time.
    pub(super) fn wait(&self, until: Until, deadline: Option<Instant>) -> Vec<usize> {
        let mut reports = self.reports.lock();
        reports.until = Some(until);
        while !reports.suffice(until) {
            if wait(&self.enough, &mut reports, deadline) == Wakeup::TooLate {
                break;
            }
        }
        reports.until = None;
        mem::take(&mut reports.done)
    }

    /// Takes what has been reported so far.
    pub(super) fn take(&self) -> Vec<usize> {
        mem::take(&mut self.reports.lock().done)
    }
}

impl Reports {
    fn suffice(&self, until: Until) -> bool {
        match until {
            Until::Count(count) => self.done.len() >= count,
            Until::FailureOrCount(count) => self.failed || self.done.len() >= count,
        }
    }
}
