//! What callers gave and got, and what workers did for it: the account that is looked into at the end.
//!
//! Keeps true: it is written by those who do something, at the moment when they do it, and never by the pool.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pool_ipc::{ExitCause, LinkId};

use crate::future::{Future, Shared};
use crate::manager::{Batch, TimeLimits};

/// The account of one simulation.
#[derive(Default)]
pub(super) struct Book {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) next: u64,
    /// The pid and the cause of workers that ended.
    pub(super) deaths: BTreeMap<LinkId, (u32, ExitCause)>,
    /// When that could be seen.
    pub(super) times_of_death: BTreeMap<LinkId, Duration>,
    /// Workers that broke the protocol: what they did is not believed.
    pub(super) liars: BTreeSet<LinkId>,
    pub(super) shut: bool,
    pub(super) cancelled_pending: bool,
    pub(super) given_up: bool,
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
    /// Its caller has it: before that nobody does.
    pub(super) handed_out: bool,
    pub(super) limits: TimeLimits,
    pub(super) callbacks_added: u32,
    pub(super) callbacks_run: u32,
    /// It stands still until it is let go.
    pub(super) held: bool,
}

pub(super) enum What {
    Single { shared: Arc<Shared>, handle: Option<Future<u64>> },
    Batch(Arc<Batch>),
}

/// What workers did for one item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Item {
    pub(super) begun: u32,
    /// Who began it last.
    pub(super) by: Option<LinkId>,
    pub(super) begun_at: Duration,
    pub(super) published: bool,
    /// A worker that is not believed had to do with it.
    pub(super) tainted: bool,
}

impl Book {
    pub(super) fn enter(&mut self, id: u64, what: What, items: u32, held: bool, limits: TimeLimits) {
        let items = vec![Item::default(); items as usize];
        let (cancel_asked, cancelled, kill_asked, callbacks_added, callbacks_run) = (false, false, false, 0, 0);
        let handed_out = false;
        let entry = Entry {
            handed_out,
            what,
            items,
            cancel_asked,
            cancelled,
            kill_asked,
            limits,
            callbacks_added,
            callbacks_run,
            held,
        };
        self.entries.insert(id, entry);
    }

    pub(super) fn violation(&mut self, text: String) {
        log::trace!("VIOLATION {text}");
        self.violations.push(text);
    }

    /// A worker has claimed an item.
    pub(super) fn begin(&mut self, id: u64, item: u32, link: LinkId, now: Duration) {
        let Some((cancelled, item_of)) = self.item(id, item) else {
            return self.violation(format!("{link:?} runs item {item} of task {id}, which nobody submitted"));
        };
        item_of.begun += 1;
        item_of.by = Some(link);
        item_of.begun_at = now;
        let twice = item_of.begun > 1 && !item_of.tainted;
        if twice {
            self.violation(format!("item {item} of task {id} is begun twice, now by {link:?}"));
        }
        if cancelled {
            self.violation(format!("item {item} of task {id} is begun by {link:?} after it was cancelled"));
        }
    }

    /// A worker has published an item's outcome.
    pub(super) fn publish(&mut self, id: u64, item: u32) {
        if let Some((_, item)) = self.item(id, item) {
            item.published = true;
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
        let begun = entry.items.iter().any(|item| item.begun > 0 && !item.tainted);
        if begun {
            self.violation(format!("task {id} was begun and then cancelled"));
        }
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

    fn item(&mut self, id: u64, item: u32) -> Option<(bool, &mut Item)> {
        let entry = self.entries.get_mut(&id)?;
        let cancelled = entry.cancelled;
        entry.items.get_mut(item as usize).map(|item| (cancelled, item))
    }
}
