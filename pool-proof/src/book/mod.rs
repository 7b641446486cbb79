//! The book: an account for each task of a pool, of what it did by its own word and of what its future said, and of the
//! signals that were sent.
//!
//! Keeps true: whatever can be judged by one entry is judged when it comes in; the rest is judged by `audit`, when
//! everything that can come has come. The rules:
//! 1. A future comes to one end.
//! 2. A task begins at most once; once if there is a value, never if it was cancelled or refused.
//! 3. `WorkerDied` names a worker that a signal of ours may have ended, by that signal, and there are no more such ends
//!    than signals. The task that is blamed is the last that the worker began; what was begun before it was finished,
//!    and is not lost.
//!    A task that kills its own worker in its first attempt is the one other cause of such an end.
//! 4. A task that is to be tried again is, as often as it may be and no more; one that is stopped had a limit, or was to be
//!    killed, and its worker begins nothing after it; one that had not begun at its limit does not run.
//! 5. A cancel that was granted is the task's end, and one that nobody asked for does not happen.

mod account;
mod tally;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use self::account::{Account, Came, Execution};
pub(crate) use self::account::{Cancel, Death, End, Terms};
pub(crate) use self::tally::Tally;
use crate::findings::Findings;
use crate::ledger::{Deed, Record, Worker};
use crate::watchdog::Progress;

/// The accounts of one pool's tasks.
#[derive(Debug)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    findings: Arc<Findings>,
    progress: Arc<Progress>,
}

/// What tasks may come to, by what was asked of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// All tasks run.
    Open,
    /// Tasks may come too late.
    ShuttingDown,
    /// And what has not begun is cancelled.
    Cancelling,
}

#[derive(Debug)]
struct Pages {
    phase: Phase,
    /// By the task's number.
    accounts: Vec<Account>,
    /// The task that each worker began last.
    last_begun: HashMap<Worker, u64>,
    /// How the workers of those ended that were lost.
    lost: HashMap<u64, Death>,
    /// How many signals were sent to a process, and how many ends were ascribed to them.
    shots: HashMap<(u32, i32), Shots>,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shots {
    sent: u32,
    blamed: u32,
}

impl Book {
    /// An empty one.
    pub(crate) fn new(findings: Arc<Findings>, progress: Arc<Progress>) -> Self {
        let pages = Pages {
            phase: Phase::Open,
            accounts: Vec::new(),
            last_begun: HashMap::new(),
            lost: HashMap::new(),
            shots: HashMap::new(),
            tally: Tally::default(),
        };
        Self { pages: Mutex::new(pages), findings, progress }
    }

    /// A number for a task that is about to be submitted.
    pub(crate) fn open(&self) -> u64 {
        self.open_on(Terms::default())
    }

    /// The same, for a task on these terms.
    pub(crate) fn open_on(&self, terms: Terms) -> u64 {
        let mut pages = self.pages();
        pages.accounts.push(Account { terms, ..Account::default() });
        pages.tally.may_cost(terms.costs());
        pages.accounts.len() as u64 - 1
    }

    /// Somebody is about to kill the task.
    pub(crate) fn kill(&self, task: u64) {
        self.pages().account(task).kill_asked = true;
    }

    /// The pool is about to be told to end.
    pub(crate) fn enter(&self, phase: Phase) {
        self.pages().phase = phase;
    }

    /// Somebody is about to cancel the task, or was answered.
    pub(crate) fn cancel(&self, task: u64, cancel: Cancel) {
        self.pages().account(task).cancel = cancel;
    }

    /// A signal is about to be sent.
    pub(crate) fn shoot(&self, pid: u32, signal: i32) {
        self.pages().shots.entry((pid, signal)).or_default().sent += 1;
    }

    /// A future has come to its end.
    pub(crate) fn settle(&self, task: u64, end: End) {
        self.progress.step();
        if let Err(violation) = self.pages().settle(task, end) {
            self.findings.report(&format!("task {task} {violation}"));
        }
    }

    /// A task has said something.
    pub(crate) fn enter_record(&self, record: &Record) {
        if record.deed == Deed::Began
            && let Err(violation) = self.pages().begin(record)
        {
            self.findings.report(&format!("task {} {violation}", record.task));
        }
    }

    /// Everything has been said, and all futures should have come to their ends.
    pub(crate) fn audit(&self) -> Tally {
        let pages = self.pages();
        let last: HashSet<(u32, u64)> = pages.last_begun.iter().map(|(worker, task)| (worker.pid, *task)).collect();
        for (task, account) in (0..).zip(&pages.accounts) {
            if let Err(violation) = account.audit() {
                self.findings.report(&format!("task {task} {violation}: {account:?}"));
            }
        }
        for (task, death) in &pages.lost {
            let account = &pages.accounts[position(*task)];
            // Of several attempts the last may have said nothing.
            let began = account.execution != Execution::None && account.terms.attempts == 1;
            if began && !last.contains(&(death.pid, *task)) {
                self.findings.report(&format!("task {task} was blamed, and ran elsewhere: {}", death.text));
            }
        }
        pages.tally()
    }

    /// How many tasks came to which end so far.
    pub(crate) fn tally(&self) -> Tally {
        self.pages().tally()
    }

    /// Some tasks whose futures are not done, for who wants to know what hangs.
    pub(crate) fn open_tasks(&self) -> Vec<(u64, String)> {
        let pages = self.pages();
        let open = (0..).zip(&pages.accounts).filter(|(_, account)| account.end == Came::Nothing);
        open.take(20).map(|(task, account)| (task, format!("{account:?}"))).collect()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("nobody panics with the book in hand")
    }
}

impl Pages {
    fn account(&mut self, task: u64) -> &mut Account {
        &mut self.accounts[position(task)]
    }

    fn tally(&self) -> Tally {
        self.tally.in_workers(self.last_begun.len())
    }

    fn settle(&mut self, task: u64, end: End) -> Result<(), String> {
        let phase = self.phase;
        self.account(task).settle(&end, phase)?;
        self.tally.count(&end);
        if matches!(end, End::Right) && self.account(task).terms.fails_first {
            self.tally.count_retried();
        }
        match end {
            End::Lost(death) => self.lose(task, death),
            End::Exhausted { deaths, .. } => deaths.into_iter().try_for_each(|death| self.lose(task, death)),
            End::Wrong(what) => Err(format!("came to a wrong end: {what}")),
            _ => Ok(()),
        }
    }

    fn lose(&mut self, task: u64, death: Death) -> Result<(), String> {
        let is_its_own = self.account(task).takes_for_its_own(&death);
        let explained = is_its_own
            || death.signal.is_some_and(|signal| {
                let shots = self.shots.entry((death.pid, signal)).or_default();
                shots.blamed += 1;
                shots.blamed <= shots.sent
            });
        let shots: Vec<_> = self.shots.iter().filter(|((pid, _), _)| *pid == death.pid).collect();
        let verdict = match explained {
            true => Ok(()),
            false => Err(format!("was lost by nothing that we did: {}; by pid and signal: {shots:?}", death.text)),
        };
        self.lost.insert(task, death);
        verdict
    }

    fn begin(&mut self, record: &Record) -> Result<(), String> {
        let Record { task, worker, attempt, .. } = *record;
        if let Some(before) = self.last_begun.insert(worker, task) {
            self.account(before).finished_by(before, worker)?;
        }
        self.account(task).begin(worker, attempt)
    }
}

fn position(task: u64) -> usize {
    usize::try_from(task).expect("tasks are numbered by position")
}

#[cfg(test)]
mod tests;
