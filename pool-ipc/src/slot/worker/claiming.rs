//! From one item of a frame to the next: claims, publications, and both at once for a block of items.
//!
//! Keeps true: an item is begun only once nobody else can have it; an outcome can be found before the item after it is
//! begun. Within a block neither takes a locked operation: where the worker is stands in `progress`, and the parent has it
//! halt before it takes a part of the block away. Never: claims a block where each item's beginning is to be noted.

use std::ops::DerefMut;
use std::sync::atomic::Ordering;

use super::{Hold, SlotJob, WorkerEnd, WorkerSide};
use crate::clock;
use crate::fence;
use crate::slot::layout::{outcome, request};
use crate::slot::parent::Memory;
use crate::slot::word;

/// Tells the worker, before it is there, whether the parent sees to its fences.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) fn lend_fences(memory: &Memory) {
    memory.request.word(request::FENCE).store(u64::from(fence::can_be_lent()), Ordering::Relaxed);
}

/// As the parent said it.
pub(super) fn light_fence(memory: &Memory) -> fence::Light {
    fence::Light::of(memory.request.word(request::FENCE).load(Ordering::Relaxed) != 0)
}

/// Which items of its frame the worker has claimed and not published, as the word counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claimed {
    /// The one that runs.
    pub(super) at: u32,
    /// Where they end.
    pub(super) end: u32,
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Takes one item.
    pub(super) fn claim_one(&mut self) -> Option<u32> {
        if self.is_full() {
            word::decline(self.word(), self.lap);
            return None;
        }
        if self.timed {
            // Before the claim: who sees the item claimed does not see the beginning of the one before.
            self.field(outcome::BEGUN).store(clock::ticks(), Ordering::Relaxed);
        }
        let item = word::claim(self.word(), self.lap)?;
        self.hold = Hold::Claimed;
        self.claimed = Claimed { at: item, end: item + 1 };
        Some(self.first + item)
    }

    /// Says that the outcome of the item that runs lies in the stream, and gives back what else was claimed.
    #[inline]
    pub(super) fn publish_laid(&mut self) {
        self.tell_kept();
        self.hold = Hold::Published;
        if word::publish(self.word(), self.claimed.at + 1) {
            self.ring_for_item();
        }
    }

    /// The same, and goes on to the next item.
    #[inline]
    pub(super) fn go_on(&mut self) -> Option<u32> {
        let next = self.claimed.at + 1;
        self.field(outcome::PROGRESS).store(u64::from(next), Ordering::Release);
        if next < self.claimed.end && self.may_go_on() && !self.is_full() {
            self.claimed.at = next;
            return Some(self.first + next);
        }
        self.claim_block(next)
    }

    /// Publishes all before `next`, and takes a block from there on.
    #[inline(never)]
    pub(super) fn claim_block(&mut self, next: u32) -> Option<u32> {
        if self.is_full() {
            self.publish_laid();
            return self.claim_one();
        }
        self.tell_kept();
        let most = if self.may_go_on() { word::BLOCK } else { 1 };
        let Some(end) = word::publish_and_claim(self.word(), next, most) else {
            self.publish_laid();
            return None;
        };
        self.claimed = Claimed { at: next, end };
        self.ring_for_item();
        Some(self.first + next)
    }

    #[inline]
    fn may_go_on(&self) -> bool {
        let WorkerEnd { sequence, light, .. } = &*self.end;
        word::may_go_on(self.memory.request.word(request::HALTED), *sequence, || light.pass())
    }

    /// Tells the manager of an item that was not its frame's last, if it wants that.
    #[inline]
    fn ring_for_item(&self) {
        if word::take_armed_for_item(self.memory.outcome.word(outcome::ARMED)) {
            self.end.side.ring();
        }
    }
}
