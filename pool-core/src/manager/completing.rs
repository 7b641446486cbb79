//! Bringing the outcomes of a turn to their futures and batches.
//!
//! Keeps true: what is still to be brought stays on the list until it is, so that a panic loses none of it. Values that
//! came together are brought together: to a batch in one step, unread; what may have to run again is looked at one by one.
//! Who waits for the last one is woken by whoever took the turn, once he is through: so it finds the turns free to take.

use std::time::Instant;

use pool_ipc::{LinkId, Outcomes, Owner};

use crate::error::TaskError;
use crate::future::{Encoded, Pack, Sleepers};
use crate::manager::Manager;
use crate::manager::batch::Batch;
use crate::manager::replies::Replies;
use crate::manager::work::Work;

/// What is to be brought.
pub(super) enum Completion {
    One(Owner, u32, Result<Encoded, TaskError>),
    /// To a pack, or to a batch whose items run once.
    Together(Owner, Box<Replies>),
}

/// An outcome that its future has, of which those have not heard who wait for it. They do when this is dropped.
#[must_use]
pub(crate) struct Unannounced(Owner);

impl Unannounced {
    pub(super) fn new(owner: Owner) -> Self {
        Self(owner)
    }
}

impl Drop for Unannounced {
    fn drop(&mut self) {
        Work::of(&self.0).wake_waiters();
    }
}

impl Manager {
    /// Hears of values that came together.
    pub(super) fn receive_together(&mut self, link: LinkId, outcomes: Outcomes) {
        let pid = self.pool.link(link).map_or(0, |link| link.pid());
        let Outcomes { owner, values } = outcomes;
        let mut replies = Replies::new(pid, values);
        match owner.downcast_ref::<Batch>() {
            Some(batch) if batch.retry().is_some() => {
                while let Some((item, outcome)) = replies.take(|_| batch.task()) {
                    self.completions.push_back(Completion::One(Owner::clone(&owner), item, outcome));
                }
            }
            _ => self.completions.push_back(Completion::Together(owner, replies)),
        }
    }

    /// Brings the outcomes of the turn, and has the last one announced by whoever took it.
    pub(super) fn complete(&mut self, now: Instant) -> Option<Unannounced> {
        let were_some = !self.completions.is_empty();
        let (mut sleepers, mut last) = (Sleepers::default(), None);
        while let Some(completion) = self.completions.pop_front() {
            match completion {
                Completion::One(owner, item, outcome) => last = self.conclude(owner, item, outcome, now),
                Completion::Together(owner, replies) => self.bring_together(&owner, replies, &mut sleepers),
            }
        }
        drop(sleepers);
        if were_some {
            self.end_if_due(now);
        }
        last
    }

    fn bring_together(&mut self, owner: &Owner, replies: Box<Replies>, sleepers: &mut Sleepers) {
        match owner.downcast_ref::<Pack>() {
            Some(pack) => {
                // Back on the list, where each is taken by itself.
                self.completions.push_front(Completion::Together(Owner::clone(owner), replies));
                self.bring_to_members(pack, sleepers);
            }
            None => {
                let batch = owner.downcast_ref::<Batch>().expect("only packs and batches have several items");
                self.count_together(batch, replies.window());
                batch.complete_together(replies);
            }
        }
    }

    /// Brings each future of a pack its own, of what is the first on the list.
    fn bring_to_members(&mut self, pack: &Pack, sleepers: &mut Sleepers) {
        while let Some(Completion::Together(_, replies)) = self.completions.front_mut() {
            let mut member = None;
            let task = |item| member.insert(pack.take(item)).as_ref().map_or("", |shared| shared.task());
            let Some((item, outcome)) = replies.take(task) else { break };
            let Some(shared) = member.flatten() else { continue };
            self.count(&Work::Single(&shared), item, &outcome);
            self.callbacks.extend(shared.complete_with(outcome, sleepers));
        }
        self.completions.pop_front();
    }
}
