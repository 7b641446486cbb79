//! What callers gave and got, and what workers did for it: the account that is looked into at the end.
//!
//! Keeps true: it is written by those who do something, at the moment when they do it, and never by the pool.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::{ExitCause, LinkId};

use crate::future::{Future, Shared};
use crate::manager::{Batch, TimeLimits};
use crate::simulation::attempts;
use crate::simulation::ends::Forced;
use crate::simulation::policy::{Fate, Policy};

/// The account of one simulation.
#[derive(Default)]
pub(super) struct Book {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) next: u64,
    /// The pid and the cause of workers that ended.
    pub(super) deaths: BTreeMap<LinkId, (u32, ExitCause)>,
    /// How many of them were told to.
    pub(super) dismissed: usize,
    /// When that could be seen.
    pub(super) times_of_death: BTreeMap<LinkId, Duration>,
    /// Workers that broke the protocol: what they did is not believed.
    pub(super) liars: BTreeSet<LinkId>,
    /// How many items each worker has begun.
    pub(super) begun: BTreeMap<LinkId, u32>,
    pub(super) shut: bool,
    pub(super) cancelled_pending: bool,
    /// What was to end the pool by force.
    pub(super) forced: Vec<Forced>,
    /// Whether links give back what was posted.
    pub(super) recall: bool,
    /// When everybody had last done all that there was to do.
    pub(super) rested_at: Duration,
    /// When there was nothing more to decide.
    pub(super) finished_at: Option<Duration>,
    /// How many turns callers took.
    pub(super) turns_of_callers: u64,
    /// Manager or feeder panicked, and what was under way was given up.
    pub(super) panicked: bool,
    /// What was seen to be wrong, first things first.
    pub(super) violations: Vec<String>,
}

/// A task, or a batch of them.
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) items: Vec<Item>,
    /// Somebody asked for it to be cancelled.
    pub(super) cancel_asked: bool,
    pub(super) cancelled: bool,
    /// Somebody asked for it to be killed.
    pub(super) kill_asked: bool,
    /// When somebody was told that it is going to be.
    pub(super) killed_at: Option<Duration>,
    /// Its caller has it: before that nobody does.
    pub(super) handed_out: bool,
    /// The pool ended before it was handed in, though it was open when that was asked.
    pub(super) came_late: bool,
    pub(super) limits: TimeLimits,
    pub(super) policy: Option<Policy>,
    pub(super) submitted_at: Duration,
    pub(super) callbacks_added: u32,
    pub(super) callbacks_run: u32,
    /// It stands still until it is let go.
    pub(super) held: bool,
}

pub(super) enum What {
    Single { shared: Arc<Shared>, handle: Option<Future<u64>> },
    Batch(Arc<Batch>),
}

impl Entry {
    /// When it is not to begin any more, if ever.
    pub(super) fn closes_at(&self) -> Option<Duration> {
        let deadline = self.limits.deadline.map(|limit| self.submitted_at + limit);
        deadline.into_iter().chain(self.killed_at).min()
    }

    /// Whether everything of it has come to its end.
    pub(super) fn is_done(&self) -> bool {
        match &self.what {
            What::Single { shared, .. } => shared.is_done(),
            What::Batch(batch) => batch.is_done(),
        }
    }
}

/// What a caller asks for when it submits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// The task is to stand still until it is let go.
    pub(super) held: bool,
    pub(super) limits: TimeLimits,
    pub(super) policy: Option<Policy>,
}

/// What workers did for one item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Item {
    /// How many attempts there were.
    pub(super) begun: u32,
    /// Who began it last.
    pub(super) by: Option<LinkId>,
    pub(super) begun_at: Duration,
    /// What came of the last attempt, if its worker could say so.
    pub(super) published: Option<Fate>,
    pub(super) published_at: Duration,
    /// How many attempts panicked, and how many had a value that is not wanted.
    pub(super) panics: u32,
    pub(super) unwanted: u32,
    /// A worker that is not believed had to do with it.
    pub(super) tainted: bool,
}

impl Book {
    pub(super) fn enter(&mut self, id: u64, what: What, items: u32, wish: Wish, now: Duration) {
        let entry = Entry {
            what,
            items: vec![Item::default(); items as usize],
            cancel_asked: false,
            cancelled: false,
            kill_asked: false,
            killed_at: None,
            handed_out: false,
            came_late: false,
            limits: wish.limits,
            policy: wish.policy,
            submitted_at: now,
            callbacks_added: 0,
            callbacks_run: 0,
            held: wish.held,
        };
        self.entries.insert(id, entry);
    }

    pub(super) fn violation(&mut self, text: String) {
        log::trace!("VIOLATION {text}");
        self.violations.push(text);
    }

    /// A worker has claimed an item, and was told which attempt it is.
    pub(super) fn begin(&mut self, (id, item): (u64, u32), link: LinkId, told: u32, now: Duration) {
        let Some(entry) = self.entries.get(&id).filter(|entry| (item as usize) < entry.items.len()) else {
            return self.violation(format!("{link:?} runs item {item} of task {id}, which nobody submitted"));
        };
        if let Err(why) = attempts::may_begin(self, entry, &entry.items[item as usize], told, now) {
            self.violation(format!("item {item} of task {id} is begun by {link:?}, {why}"));
        }
        if let Some(item) = self.item(id, item) {
            item.begun += 1;
            item.by = Some(link);
            item.begun_at = now;
            item.published = None;
        }
        *self.begun.entry(link).or_default() += 1;
    }

    /// A worker has published an item's outcome.
    pub(super) fn publish(&mut self, id: u64, item: u32, fate: Fate, now: Duration) {
        if let Some(item) = self.item(id, item) {
            item.published = Some(fate);
            item.published_at = now;
            item.panics += u32::from(fate == Fate::Panic);
            item.unwanted += u32::from(fate == Fate::Unwanted);
        }
    }

    /// A worker breaks the protocol: what it had to do with may run again.
    pub(super) fn distrust(&mut self, link: LinkId) {
        self.liars.insert(link);
        let items = self.entries.values_mut().flat_map(|entry| entry.items.iter_mut());
        items.filter(|item| item.by == Some(link)).for_each(|item| item.tainted = true);
    }

    /// A future says that it is cancelled.
    pub(super) fn cancelled(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.cancelled = true;
        let entry = &self.entries[&id];
        let runs = entry.items.iter().any(|item| !item.tainted && !attempts::waits(self, entry, item));
        if runs {
            self.violation(format!("task {id} was begun and then cancelled"));
        }
    }

    /// Whether nothing is to be tried again, and nothing to be begun, for a reason that a caller knows of.
    pub(super) fn is_ending(&self) -> bool {
        self.cancelled_pending || !self.forced.is_empty() || self.panicked
    }

    /// A callback runs, the so-manieth that was added.
    pub(super) fn call_back(&mut self, id: u64, number: u32, done: bool) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let expected = entry.callbacks_run;
        entry.callbacks_run += 1;
        if number != expected {
            self.violation(format!("callback {number} of task {id} runs where {expected} is due"));
        }
        if !done {
            self.violation(format!("callback {number} of task {id} runs before the task is done"));
        }
    }

    fn item(&mut self, id: u64, item: u32) -> Option<&mut Item> {
        self.entries.get_mut(&id)?.items.get_mut(item as usize)
    }
}
