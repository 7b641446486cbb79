//! The checks of a simulation that has come to its end: every promise, held against the account.

use std::time::{Duration, Instant};

use pool_ipc::LinkId;

use crate::error::{Broken, ForcedShutdown, TaskError, TimeLimit, TimedOut, WorkerDied};
use crate::manager::NotYet;
use crate::simulation::book::{Book, Entry, Item, What};
use crate::simulation::plan::Plan;
use crate::simulation::policy::Fate;
use crate::simulation::request::{UNWANTED, value_of};
use crate::simulation::{attempts, ends};

/// What became of one item, as its caller sees it.
type Seen = Option<Result<u64, TaskError>>;

/// Whether anything is still pending, which it must not be while nothing happens.
pub(super) fn pending(book: &Book, when: &str) -> Vec<String> {
    let pending = book.entries.iter().filter(|(_, entry)| !entry.is_done() && !entry.held);
    pending.map(|(id, _)| format!("task {id} is pending {when}")).collect()
}

/// Everything that is wrong once the pool has ended. `verdict` is the pool's, on what comes too late.
pub(super) fn violations(book: &Book, plan: &Plan, verdict: &TaskError) -> Vec<String> {
    let mut wrong: Vec<String> =
        [judge_break(book, plan, verdict), judge_quota(book, plan), ends::judge(book)].into_iter().flatten().collect();
    let is_broken = matches!(verdict, TaskError::Broken(_));
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

/// Who ran more tasks than a worker may.
fn judge_quota(book: &Book, plan: &Plan) -> Option<String> {
    let limit = plan.max_tasks?;
    let (link, begun) = book.begun.iter().find(|(_, begun)| **begun > limit)?;
    Some(format!("{link:?} began {begun} items, where {limit} are the most"))
}

/// Whether the pool is broken for a reason, or for want of one is not.
fn judge_break(book: &Book, plan: &Plan, verdict: &TaskError) -> Option<String> {
    let TaskError::Broken(broken) = verdict else { return None };
    let ended = |pid: u32, cause| book.deaths.values().any(|death| *death == (pid, cause));
    let is_due = match &**broken {
        _ if book.panicked => true,
        Broken::Restarts { losses, .. } => {
            let known = losses.iter().all(|loss| ended(loss.pid, loss.cause));
            known && losses.len() > plan.staffing.restarts.losses
        }
        Broken::WorkerLost { pid, cause, .. } => plan.is_strict() && ended(*pid, *cause),
        _ => plan.trouble.keeps_workers_from_starting() || plan.trouble.is_killed > 0,
    };
    (!is_due).then(|| format!("nothing happened that may break it so: {broken}"))
}

fn see(entry: &Entry, item: u32) -> Seen {
    match &entry.what {
        What::Single { shared, .. } => {
            let future = crate::future::Future::<u64>::of(std::sync::Arc::clone(shared));
            shared.is_done().then(|| future.result_timeout(Duration::ZERO))
        }
        What::Batch(batch) => match batch.take_one(item, Some(Instant::now())) {
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
        let left = attempts::is_left(self.entry, self.item, seen.as_ref().map(|_| ()));
        if left && !self.item.tainted && !self.is_broken && !self.book.is_ending() {
            return Some("it was not tried again".to_owned());
        }
        match seen {
            Ok(value) => self.judge_value(*value),
            Err(error) => self.judge_error(error),
        }
    }

    fn judge_value(&self, value: u64) -> Option<String> {
        let expected = match self.item.published {
            Some(Fate::Value) => value_of(self.id, self.number),
            Some(Fate::Unwanted) => UNWANTED,
            _ => return Some("nobody published that".to_owned()),
        };
        if value != expected {
            return Some("the value is another's".to_owned());
        }
        let limits = &self.entry.limits;
        let patience = self.plan.grace + ends::LATE;
        let by_timeout = limits.timeout.map(|limit| self.item.begun_at + limit);
        let by_deadline = limits.deadline.map(|limit| self.entry.submitted_at + limit);
        let late =
            by_timeout.into_iter().chain(by_deadline).min().filter(|end| *end + patience < self.item.published_at);
        late.filter(|_| !self.item.tainted).map(|end| format!("it was to be over by {end:?}"))
    }

    fn judge_error(&self, error: &TaskError) -> Option<String> {
        let is_earlier_untold = self.item.begun > 1 && attempts::is_end_of_one(error) && !self.book.is_ending();
        if is_earlier_untold && !self.item.tainted && !self.is_broken {
            return Some("it does not tell of the earlier attempts".to_owned());
        }
        self.judge_last(error)
    }

    fn judge_last(&self, error: &TaskError) -> Option<String> {
        match error {
            TaskError::Exhausted(exhausted) => attempts::judge_causes(self.book, self.entry, self.item, exhausted)
                .or_else(|| self.judge_last(exhausted.last())),
            TaskError::WorkerDied(died) => self.judge_loss(died),
            TaskError::Panicked(_) if self.item.published == Some(Fate::Panic) => None,
            TaskError::Panicked(_) => Some("nobody panicked".to_owned()),
            TaskError::Broken(_) if self.book.panicked && self.item.published.is_none() => None,
            TaskError::Broken(_) if self.is_broken && self.plan.is_strict() && self.was_running() => None,
            TaskError::TimedOut(late) => self.judge_limit(late),
            TaskError::Killed(_) if !self.entry.kill_asked => Some("nobody asked for that".to_owned()),
            TaskError::Killed(killed) => self.judge_stop(killed.pid, killed.cause),
            TaskError::ForcedShutdown(forced) => self.judge_force(forced),
            _ if !self.waits() => Some("it was begun".to_owned()),
            TaskError::Cancelled if self.entry.cancel_asked || self.entry.kill_asked || self.book.cancelled_pending => {
                None
            }
            TaskError::ShutDown if self.entry.came_late => None,
            TaskError::Broken(_) if self.is_broken => None,
            TaskError::Broken(_) if self.plan.trouble.post_panics > 0 => None,
            TaskError::NoMemory(_) if self.plan.trouble.no_memory > 0 => None,
            error => Some(format!("there is no reason for that: {error}")),
        }
    }

    /// Whether nobody ran it at the end.
    fn waits(&self) -> bool {
        self.item.tainted || attempts::waits(self.book, self.entry, self.item)
    }

    /// Whether its worker ended and said nothing of it.
    fn was_running(&self) -> bool {
        let died = self.item.by.is_some_and(|link| self.death(link).is_some());
        self.item.tainted || died && self.item.published.is_none()
    }

    fn judge_loss(&self, died: &WorkerDied) -> Option<String> {
        let forgiven = self.plan.is_strict() && !self.is_broken && self.book.forced.is_empty() && !self.item.tainted;
        if forgiven && died.corrupt.is_none() {
            return Some("the pool did not break with that".to_owned());
        }
        self.judge_death(died.pid, died.cause, died.corrupt.is_some())
    }

    fn judge_force(&self, forced: &ForcedShutdown) -> Option<String> {
        let Some(asked) = self.book.forced.iter().find(|asked| asked.by == forced.by) else {
            return Some("nobody asked for that".to_owned());
        };
        let Some(pid) = forced.pid else { return (!self.waits()).then(|| "it was begun".to_owned()) };
        let died = self.item.by.and_then(|link| self.book.times_of_death.get(&link));
        if died.is_some_and(|died| *died < asked.at) && !self.item.tainted {
            return Some(format!("its worker was dead before {:?}", asked.at));
        }
        self.judge_stop(pid, forced.cause)
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
            let early = late.kind == TimeLimit::Timeout;
            return (!self.waits() || early).then(|| "its time did not pass while it waited".to_owned());
        };
        let died = self.item.by.and_then(|link| self.book.times_of_death.get(&link).copied());
        let since = match late.kind {
            TimeLimit::Timeout => self.item.begun_at,
            TimeLimit::Deadline => self.entry.submitted_at,
        };
        let took = died.map(|died| died.saturating_sub(since));
        if took.is_none_or(|took| took < late.limit) && !self.item.tainted {
            return Some(format!("it took {took:?}"));
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
            Some(_) if self.item.published.is_some() && !self.item.tainted => Some("it was published".to_owned()),
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
