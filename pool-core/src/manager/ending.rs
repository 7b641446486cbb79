//! The end of a pool by force, and what became of its tasks since it was shut down.
//!
//! Keeps true: what waits is failed at once, with the reason; who runs a task is cornered before it is signalled, as for a
//! time limit, so that each task is either stopped, with that reason, or not begun, or has its result. Decides nothing
//! about workers: that is [`state`](crate::manager::state).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use pool_ipc::{Corrupt, ExitCause, Link, LinkId, Owner, Postmortem};

use crate::error::{Broken, ForcedBy, ForcedShutdown, StoppedWorker, TaskError, WorkerDied};
use crate::future::Encoded;
use crate::manager::Manager;
use crate::manager::batch::Batch;
use crate::manager::event::{Event, Means};
use crate::manager::sentence::{Sentence, Why};
use crate::manager::state::State;
use crate::manager::stopping::running_at;
use crate::manager::work::Work;

/// How a pool is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Force {
    pub(crate) by: ForcedBy,
    pub(crate) means: Means,
    /// Not before this.
    pub(crate) at: Option<Instant>,
}

impl Force {
    /// What becomes of a task that had not begun.
    fn doom(self) -> Doom {
        match self.by {
            ForcedBy::Deadline(_) | ForcedBy::Kill => Doom::Cancelled,
            by => Doom::Forced(by),
        }
    }
}

/// What becomes of all that nobody has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    Cancelled,
    Forced(ForcedBy),
}

impl Doom {
    pub(super) fn error(self, task: &str) -> TaskError {
        match self {
            Self::Cancelled => TaskError::Cancelled,
            Self::Forced(by) => TaskError::ForcedShutdown(Arc::new(ForcedShutdown::new(task, by, None))),
        }
    }
}

/// What the manager knows of its pool's end.
#[derive(Default)]
pub(super) struct Ending {
    /// The pool takes no more tasks, and what becomes of those that it has is counted.
    pub(super) is_counted: bool,
    /// What is to happen later.
    due: Option<Force>,
    /// What happened.
    halted: Option<Why>,
    /// The links that were ended.
    told: HashSet<LinkId>,
}

impl Ending {
    /// The pool is broken, and if that ends its workers, this is why.
    pub(super) fn note_break(&mut self, state: &State, broken: &Arc<Broken>) {
        if state.is_halted() {
            self.halted.get_or_insert_with(|| Why::Broken(Arc::clone(broken)));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.and_then(|force| force.at)
    }
}

impl Manager {
    /// Ends the pool by force, now or later. Of several deadlines the first counts.
    pub(super) fn force(&mut self, force: Force, now: Instant) {
        match force.at.filter(|at| *at > now) {
            None => self.halt(force, now),
            Some(at) if self.ending.next().is_none_or(|due| at < due) => self.ending.due = Some(force),
            Some(_) => {}
        }
    }

    /// Does what is due.
    pub(super) fn force_if_due(&mut self, now: Instant) {
        if self.ending.next().is_some_and(|at| at <= now)
            && let Some(force) = self.ending.due.take()
        {
            self.halt(force, now);
        }
    }

    fn halt(&mut self, force: Force, now: Instant) {
        self.ending.halted.get_or_insert(Why::Forced(force.by));
        self.doom.get_or_insert(force.doom());
        self.fail_doomed(now);
        self.decide(Event::Halt(force.means), now);
        // What was taken back from the links.
        self.fail_doomed(now);
    }

    /// Notes what runs at a link that was cornered, if the pool is being ended. Whether there is anything.
    pub(super) fn sentence_by_force(&mut self, link: &dyn Link) -> Option<bool> {
        let why = self.ending.halted.clone()?;
        self.ending.told.insert(link.id());
        if let Some(running) = running_at(link) {
            link.cancel(running.ticket);
            let known = self.sentences.get(&link.id()).is_some_and(|sentence| sentence.is_about(&running));
            if !known {
                self.sentences.insert(link.id(), Sentence::on(running, why));
            }
        }
        // Also where nothing is seen to run: a backend may tell late of a beginning.
        Some(link.outstanding() > 0)
    }

    /// Why an item has no outcome, of a worker that has ended.
    pub(super) fn blame(&mut self, link: LinkId, pid: u32, cause: ExitCause, corrupt: Option<Corrupt>) -> Blame {
        let told = self.ending.told.remove(&link);
        if told && matches!(cause, ExitCause::Signal(_)) {
            self.pool.account.stopped_workers.fetch_add(1, Ordering::Relaxed);
        }
        let forced = self.ending.halted.clone().filter(|_| told);
        let postmortem = Postmortem::default();
        Blame { sentence: self.sentences.remove(&link), forced, pid, cause, corrupt, postmortem, stderr: None }
    }

    /// Counts an outcome that is about to be brought.
    pub(super) fn count(&self, work: &Work<'_>, item: u32, outcome: &Result<Encoded, TaskError>) {
        // What was killed on a thread may end after that.
        if self.ending.is_counted && !work.has(item) {
            self.pool.account.count(outcome.as_ref().err());
        }
    }

    /// The same for outcomes that came together: all of them were run to an end.
    pub(super) fn count_together(&self, batch: &Batch, window: Range<u32>) {
        if self.ending.is_counted {
            let fresh = batch.pending_of(window) as usize;
            self.pool.account.finished.fetch_add(fresh, Ordering::Relaxed);
        }
    }
}

/// What there is to say about items that died with their worker.
pub(super) struct Blame {
    sentence: Option<Sentence>,
    forced: Option<Why>,
    pid: u32,
    cause: ExitCause,
    corrupt: Option<Corrupt>,
    postmortem: Postmortem,
    stderr: Option<String>,
}

impl Blame {
    /// The same, with what is known beyond the cause.
    pub(super) fn with_postmortem(self, postmortem: Postmortem) -> Self {
        Self { postmortem, ..self }
    }

    /// The same, with what the worker said last.
    pub(super) fn with_stderr(self, stderr: Option<String>) -> Self {
        Self { stderr, ..self }
    }

    /// The error of this item.
    pub(super) fn error(&self, owner: &Owner, item: u32) -> TaskError {
        let Self { sentence, forced, pid, cause, corrupt, postmortem, stderr } = self;
        let task = Work::of(owner).task();
        let sentenced = sentence.as_ref().filter(|sentence| sentence.names(owner, item)).map(|sentence| &sentence.why);
        match sentenced.or(forced.as_ref()) {
            Some(why) => {
                let worker = StoppedWorker { pid: *pid, cause: Some(*cause), stderr: stderr.clone() };
                why.error(task, Some(worker))
            }
            None => {
                let died = WorkerDied::new(task, *pid, *cause, corrupt.clone());
                let died = died.with_postmortem(*postmortem).with_stderr(stderr.clone());
                TaskError::WorkerDied(Arc::new(died))
            }
        }
    }
}

/// What became of tasks, and of workers, since the pool was shut down.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) finished: AtomicUsize,
    pub(crate) cancelled: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    pub(crate) lost: AtomicUsize,
    pub(crate) stopped_workers: AtomicUsize,
}

impl Account {
    fn count(&self, error: Option<&TaskError>) {
        let counter = match error {
            // What ended it between two attempts does not count: it has begun.
            Some(TaskError::Exhausted(attempts)) => return self.count(attempts.last_run()),
            Some(TaskError::WorkerDied(_)) => &self.lost,
            Some(TaskError::Killed(_)) => &self.stopped,
            Some(TaskError::TimedOut(late)) if late.pid.is_some() => &self.stopped,
            Some(TaskError::ForcedShutdown(forced)) if forced.pid.is_some() => &self.stopped,
            Some(
                TaskError::Cancelled
                | TaskError::ShutDown
                | TaskError::Broken(_)
                | TaskError::TimedOut(_)
                | TaskError::ForcedShutdown(_),
            ) => &self.cancelled,
            _ => &self.finished,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Tells of a worker's end: a loss to whoever listens for news, the others to whoever looks closely.
pub(super) fn log_end(pid: u32, cause: ExitCause, postmortem: Postmortem, blamed: Option<&str>) {
    let hint = postmortem.hint(cause);
    match blamed {
        Some(task) => pool_ipc::tell!(Info, "worker {pid} ended while it ran task {task}: {cause}{hint}"),
        None => pool_ipc::tell!(Debug, "worker {pid} ended: {cause}{hint}"),
    }
}
