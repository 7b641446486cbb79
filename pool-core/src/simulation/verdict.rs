//! The checks of a simulation that has come to its end: every promise, held against the account.

use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use crate::error::{TaskError, TimeLimit, TimedOut};
use crate::manager::NotYet;
use crate::simulation::book::{Book, Entry, Item, What};
use crate::simulation::plan::Plan;
use crate::simulation::request::value_of;

/// What became of one item, as its caller sees it.
type Seen = Option<Result<u64, TaskError>>;

/// Whether anything is still pending, which it must not be while nothing happens.
pub(super) fn pending(book: &Book, when: &str) -> Vec<String> {
    let open = |entry: &Entry| match &entry.what {
        What::Single { shared, .. } => !shared.is_done(),
        // Batches are read at the end, since that takes their outcomes away.
        What::Batch(_) => false,
    };
    let pending = book.entries.iter().filter(|(_, entry)| open(entry) && !entry.held);
    pending.map(|(id, _)| format!("task {id} is pending {when}")).collect()
}

/// Everything that is wrong once the pool has ended.
pub(super) fn violations(book: &Book, plan: &Plan, is_broken: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if is_broken && !book.panicked && !plan.trouble.may_break() {
        wrong.push("the pool broke, and nothing happened that may break it".to_owned());
    }
    for (&id, entry) in &book.entries {
        for (number, item) in entry.items.iter().enumerate() {
            let seen = see(entry, number as u32);
            let facts = Facts { book, plan, id, number: number as u32, entry, item, is_broken };
            wrong.extend(facts.judge(&seen).map(|why| {
                format!("item {number} of task {id}: {why}; its caller sees {seen:?}, its workers did {item:?}")
            }));
        }
        if entry.callbacks_run != entry.callbacks_added {
            let (run, added) = (entry.callbacks_run, entry.callbacks_added);
            wrong.push(format!("of {added} callbacks of task {id} {run} ran"));
        }
    }
    wrong
}

fn see(entry: &Entry, item: u32) -> Seen {
    match &entry.what {
        What::Single { shared, .. } => {
            let future = crate::future::Future::<u64>::of(std::sync::Arc::clone(shared));
            shared.is_done().then(|| future.result_timeout(Duration::ZERO))
        }
        What::Batch(batch) => match batch.take(item, Some(Instant::now())) {
            Ok(outcome) => Some(outcome.and_then(|encoded| encoded.decode(batch.task()))),
            Err(NotYet::TooLate | NotYet::WouldDeadlock | NotYet::Forked) => None,
        },
    }
}

/// All that there is to know about an item.
struct Facts<'a> {
    book: &'a Book,
    plan: &'a Plan,
    id: u64,
    number: u32,
    entry: &'a Entry,
    item: &'a Item,
    is_broken: bool,
}

impl Facts<'_> {
    /// What is wrong with what the caller sees.
    fn judge(&self, seen: &Seen) -> Option<String> {
        let Some(seen) = seen else { return Some("nothing came of it".to_owned()) };
        match seen {
            Ok(value) if *value != value_of(self.id, self.number) => Some("the value is another's".to_owned()),
            Ok(_) if !self.item.published => Some("nobody published that".to_owned()),
            Ok(_) => None,
            Err(TaskError::WorkerDied(died)) => self.judge_death(died.pid, died.cause, died.corrupt.is_some()),
            Err(TaskError::Broken(_)) if self.book.panicked && !self.item.published => None,
            Err(TaskError::TimedOut(late)) => self.judge_limit(late),
            Err(TaskError::Killed(_)) if !self.entry.kill_asked => Some("nobody asked for that".to_owned()),
            Err(TaskError::Killed(killed)) => self.judge_stop(killed.pid, killed.cause),
            Err(TaskError::ForcedShutdown(_)) if !self.book.given_up => Some("nobody asked for that".to_owned()),
            Err(TaskError::ForcedShutdown(forced)) => match forced.pid {
                Some(pid) => self.judge_stop(pid, forced.cause),
                None if self.item.begun > 0 && !self.item.tainted => Some("it was begun".to_owned()),
                None => None,
            },
            Err(_) if self.item.begun > 0 && !self.item.tainted => Some("it was begun".to_owned()),
            Err(TaskError::Cancelled)
                if self.entry.cancel_asked || self.entry.kill_asked || self.book.cancelled_pending =>
            {
                None
            }
            Err(TaskError::Broken(_)) if self.is_broken => None,
            Err(TaskError::Broken(_)) if self.plan.trouble.post_panics > 0 => None,
            Err(TaskError::NoMemory(_)) if self.plan.trouble.no_memory > 0 => None,
            Err(error) => Some(format!("there is no reason for that: {error}")),
        }
    }

    fn judge_limit(&self, late: &TimedOut) -> Option<String> {
        let limit = match late.kind {
            TimeLimit::Timeout => self.entry.limits.timeout,
            TimeLimit::Deadline => self.entry.limits.deadline,
        };
        if limit != Some(late.limit) {
            return Some("it has another limit".to_owned());
        }
        let Some(pid) = late.pid else {
            let begun = self.item.begun > 0 && !self.item.tainted;
            let early = late.kind == TimeLimit::Timeout;
            return (begun || early).then(|| "its time did not pass while it waited".to_owned());
        };
        let died = self.item.by.and_then(|link| self.book.times_of_death.get(&link).copied());
        let ran = died.map(|died| died.saturating_sub(self.item.begun_at));
        if late.kind == TimeLimit::Timeout && ran.is_none_or(|ran| ran < late.limit) && !self.item.tainted {
            return Some(format!("it ran for {ran:?}"));
        }
        self.judge_stop(pid, late.cause)
    }

    /// The worker was ended for it.
    fn judge_stop(&self, pid: u32, cause: Option<pool_ipc::ExitCause>) -> Option<String> {
        match cause {
            _ if self.item.tainted => None,
            Some(cause) => self.judge_death(pid, cause, false),
            None => Some("its worker is not said to have ended".to_owned()),
        }
    }

    fn judge_death(&self, pid: u32, cause: pool_ipc::ExitCause, corrupt: bool) -> Option<String> {
        let told = (pid, cause);
        if corrupt {
            // Of a liar's items one gets the blame, whichever it is.
            let lied = self.book.liars.iter().any(|liar| self.death(*liar) == Some(told));
            return (!lied).then(|| "nobody of that pid broke the protocol".to_owned());
        }
        match self.item.by {
            None => Some("nobody had begun it".to_owned()),
            Some(_) if self.item.published && !self.item.tainted => Some("it was published".to_owned()),
            Some(link) if self.death(link) != Some(told) => {
                Some(format!("{link:?} had it, and ended as {:?}", self.death(link)))
            }
            Some(_) => None,
        }
    }

    fn death(&self, link: LinkId) -> Option<(u32, pool_ipc::ExitCause)> {
        self.book.deaths.get(&link).copied()
    }
}
