//! Many calls of one function that travel together, each with an outcome of its own.
//!
//! Keeps true: each item is resolved once; who waits for an item is woken when that item is resolved; cancelling takes
//! back what nobody has begun and nothing else. Never decodes, and never knows which items come next.

mod kept;

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Instant;

use pool_ipc::{Link, Refused, Ticket};

pub(crate) use self::kept::Run;
use self::kept::{Found, Kept};
use crate::error::TaskError;
use crate::future::{Desk, Encoded, Posting, Recall, Retry};
use crate::manager::replies::Replies;
use crate::sync::plain::{Condvar, Mutex};

/// Where a frame was posted, so that it can be taken back.
pub(crate) type Posted = (Arc<dyn Link>, Ticket);

/// Items that are, or were, at a link.
struct Away {
    link: Arc<dyn Link>,
    ticket: Ticket,
    window: Range<u32>,
}

/// The outcome of one item.
pub(crate) type ItemOutcome = Result<Encoded, TaskError>;

/// A batch, shared by the pool and the one who reads its outcomes.
pub(crate) struct Batch {
    task: &'static str,
    desk: Weak<dyn Desk>,
    retry: Option<Box<Retry>>,
    state: Mutex<State>,
    /// Notified whenever an item is resolved.
    resolved: Condvar,
}

struct State {
    outcomes: Kept,
    /// Where its frames are or were. Windows do not overlap.
    away: Vec<Away>,
    /// So many of them are kept before those are let go that are over, lest links that ended live on here.
    most_away: usize,
    /// What becomes of all that nobody has begun, once that was said.
    ended: Option<TaskError>,
}

/// Why an item has no outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotYet {
    TooLate,
    WouldDeadlock,
    /// It comes to the process that this one was forked from.
    Forked,
}

/// How many frames a batch may know that are over.
const FEW: usize = 16;

impl State {
    fn note(&mut self, away: Away) {
        if self.away.len() >= self.most_away {
            let Self { outcomes, away, .. } = self;
            away.retain(|away| outcomes.pending_of(away.window.clone()) > 0);
            self.most_away = 2 * self.away.len() + FEW;
        }
        self.away.push(away);
    }
}

impl Batch {
    pub(crate) fn new(task: &'static str, desk: Weak<dyn Desk>, retry: Option<Box<Retry>>, items: u32) -> Arc<Self> {
        let state = State { outcomes: Kept::new(items), away: Vec::new(), most_away: FEW, ended: None };
        Arc::new(Self { task, desk, retry, state: Mutex::new(state), resolved: Condvar::new() })
    }

    pub(crate) fn task(&self) -> &'static str {
        self.task
    }

    /// What is to become of failures.
    pub(crate) fn retry(&self) -> Option<&Retry> {
        self.retry.as_deref()
    }

    /// The error of an item that does not begin any more, and may have failed before.
    fn last_error(&self, item: u32, error: &TaskError) -> TaskError {
        match &self.retry {
            None => error.clone(),
            Some(retry) => retry.last_error(self.task, item, error.clone()),
        }
    }

    /// Posts a frame unless the batch is cancelled; then its items are resolved as such.
    pub(crate) fn post_with(
        &self,
        window: Range<u32>,
        post: impl FnOnce() -> Result<Posted, Refused>,
    ) -> Posting<Refused> {
        let mut state = self.state.lock();
        if let Some(error) = state.ended.clone() {
            drop(state);
            window.for_each(|item| self.complete(item, Err(self.last_error(item, &error))));
            return Posting::Cancelled;
        }
        match post() {
            Ok((link, ticket)) => {
                state.note(Away { link, ticket, window });
                Posting::Posted
            }
            Err(refused) => Posting::Refused(refused),
        }
    }

    /// Brings the outcome of an item. A second one is dropped.
    pub(crate) fn complete(&self, item: u32, outcome: ItemOutcome) {
        if !self.state.lock().outcomes.add(item, outcome) {
            pool_ipc::tell!(Debug, "item {item} of a batch of task {} was resolved again", self.task);
        }
        self.resolved.notify_all();
    }

    /// Brings the outcomes of items that came together. Those that are second ones are dropped.
    pub(crate) fn complete_together(&self, replies: Box<Replies>) {
        // Not in the condition: the lock would be held for as long as that is looked at.
        let added = self.state.lock().outcomes.add_together(replies);
        if let Err(mut replies) = added {
            while let Some((item, outcome)) = replies.take(|_| self.task) {
                self.complete(item, outcome);
            }
        }
        self.resolved.notify_all();
    }

    /// Takes the outcome of an item, once it is there, and along with it those behind it that came together with it.
    pub(crate) fn take(&self, item: u32, deadline: Option<Instant>) -> Result<Run, NotYet> {
        let mut state = self.state.lock();
        loop {
            match state.outcomes.take(item, self.task) {
                Found::Run(run) => return Ok(run),
                Found::Taken => return Ok(Run::One(Err(TaskError::Taken))),
                Found::Pending => {}
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                if let Some(desk) = self.desk.upgrade() {
                    desk.attend();
                }
                return Err(NotYet::TooLate);
            }
            if let Some(desk) = self.desk.upgrade() {
                if desk.is_current_thread() {
                    return Err(NotYet::WouldDeadlock);
                }
                if desk.is_foreign() {
                    return Err(NotYet::Forked);
                }
                desk.attend();
            }
            match deadline {
                None => self.resolved.wait(&mut state),
                // Whether it is too late is asked above.
                Some(deadline) => drop(self.resolved.wait_until(&mut state, deadline)),
            }
        }
    }

    /// Takes the outcome of an item alone, once it is there.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn take_one(&self, item: u32, deadline: Option<Instant>) -> Result<ItemOutcome, NotYet> {
        match self.take(item, deadline)? {
            Run::One(outcome) => Ok(outcome),
            Run::Together(mut replies) => {
                let first = replies.take(|_| self.task).map_or(Err(TaskError::Taken), |(_, outcome)| outcome);
                self.state.lock().outcomes.put_back(replies);
                Ok(first)
            }
        }
    }

    /// The pool has these items, which were posted.
    pub(crate) fn unpost(&self, window: &Range<u32>) {
        subtract(&mut self.state.lock().away, window);
    }

    /// Whether every item has an outcome.
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().outcomes.pending() == 0
    }

    /// How many of these items have no outcome.
    pub(crate) fn pending_of(&self, window: Range<u32>) -> u32 {
        self.state.lock().outcomes.pending_of(window)
    }

    /// Takes back what nobody has begun.
    pub(crate) fn cancel(&self) {
        let desk = self.desk.upgrade();
        if desk.as_ref().is_some_and(|desk| desk.is_foreign()) {
            return;
        }
        let mut take_back = || self.withdraw(&TaskError::Cancelled);
        match &desk {
            Some(desk) => desk.recall(&mut take_back),
            None => drop(take_back()),
        }
        if let (Some(_), Some(desk)) = (&self.retry, &desk) {
            desk.withdrawn();
        }
    }

    /// Whether nothing of it is to begin any more.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.state.lock().ended.is_some()
    }

    /// Whether an item has an outcome.
    pub(crate) fn has(&self, item: u32) -> bool {
        self.state.lock().outcomes.has(item)
    }

    /// Ends all that nobody has begun with this error, and gives the links that have room now. What is in the pool's hands
    /// is dropped when it comes to be posted.
    #[must_use]
    pub(crate) fn withdraw(&self, error: &TaskError) -> Vec<Recall> {
        let mut state = self.state.lock();
        state.ended = Some(error.clone());
        let recall = |away: &Away| away.link.recall(away.ticket).map(|frame| (away.link.id(), frame.window));
        let recalled: Vec<_> = state.away.iter().filter_map(recall).collect();
        recalled.iter().for_each(|(_, window)| subtract(&mut state.away, window));
        let State { outcomes, away, .. } = &mut *state;
        let mut next = 0;
        while let Some(item) = outcomes.next_pending(next) {
            next = item + 1;
            let begun = away.iter().any(|away| away.window.contains(&item));
            if !begun {
                let is_new = outcomes.add(item, Err(self.last_error(item, error)));
                debug_assert!(is_new, "it had none");
            }
        }
        drop(state);
        self.resolved.notify_all();
        recalled.into_iter().map(|(link, _)| Recall { link, rest: None }).collect()
    }
}

/// Takes a window out of those that are away, of which it may be the end or the middle of one.
fn subtract(all: &mut Vec<Away>, window: &Range<u32>) {
    let Some(index) = all.iter().position(|away| away.window.contains(&window.start)) else { return };
    let away = &mut all[index];
    let rest = window.end..away.window.end;
    away.window.end = window.start;
    let (link, ticket, is_empty) = (Arc::clone(&away.link), away.ticket, away.window.is_empty());
    if is_empty {
        all.swap_remove(index);
    }
    if !rest.is_empty() {
        all.push(Away { link, ticket, window: rest });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pool_ipc::{Body, Values};

    use super::*;
    use crate::error::{Panic, TimeLimit, TimedOut};
    use crate::future::RetryPolicy;
    use crate::manager::Pool;

    #[test]
    fn outcomes_that_come_together_with_a_second_one_are_taken_in_one_by_one() {
        let batch = Batch::new("work", Weak::<Pool>::new(), None, 3);
        batch.complete(1, Err(TaskError::Cancelled));
        let replies: [&[u8]; 3] = [&[0, 10], &[0, 11], &[0, 12]];
        let theirs = Arc::clone(&batch);
        let (done, finished) = std::sync::mpsc::channel();
        crate::thread::spawn(move || {
            theirs.complete_together(Replies::new(7, Values::of(0, replies)));
            done.send(()).unwrap();
        });
        finished.recv_timeout(Duration::from_secs(30)).expect("it does not wait for itself");
        let number = |item| batch.take_one(item, None).unwrap().and_then(|encoded| encoded.decode::<u8>("work"));
        assert!(matches!((number(0), number(1), number(2)), (Ok(10), Err(TaskError::Cancelled), Ok(12))));
    }

    #[test]
    fn an_item_that_is_withdrawn_between_two_attempts_has_the_cause_of_the_first() {
        let retry = Retry::new(RetryPolicy::new(3).on_panic(true), Body::shared(vec![1]), None);
        let batch = Batch::new("work", Weak::<Pool>::new(), Some(retry), 2);
        let panicked = TaskError::Panicked(Arc::new(Panic::new("work", "no")));
        let _again = batch.retry().map(|retry| retry.judge("work", 1, Err(panicked)));
        let late = TimedOut::new("work", TimeLimit::Deadline, Duration::from_secs(1), None);
        assert!(batch.withdraw(&TaskError::TimedOut(Arc::new(late))).is_empty());
        assert!(matches!(batch.take_one(0, None), Ok(Err(TaskError::TimedOut(_)))));
        assert!(matches!(batch.take_one(1, None), Ok(Err(TaskError::Exhausted(_)))));
    }
}
