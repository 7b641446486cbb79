//! The word of a slot: how it is packed, and each transition as one function. See README.md beside this file.
//!
//! Nothing here touches memory other than the word, so that the model checker can run exactly this code.

use super::atomic::{AtomicU64, Ordering};
use crate::frame::MAX_ITEMS;

const COUNT: u64 = MAX_ITEMS as u64;
const END: u32 = 15;
const SEEN: u64 = 1 << 30;
const DONE: u32 = 32;
const SLEEP: u64 = 1 << 47;
const LAP: u32 = 48;
const UNUSED: u64 = 1 << 63 | 1 << 31;

/// Laps are counted in this many bits and then start over.
pub const LAP_BITS: u32 = 15;

/// How often the parent tries an exchange with a worker that keeps changing the word.
const TRIES: usize = 3;

/// The most items that a worker claims at a time.
pub const BLOCK: u32 = 256;

/// A word, read once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word(pub u64);

impl Word {
    pub fn ready(lap: u64, items: u32) -> Self {
        debug_assert!(items <= MAX_ITEMS && lap < 1 << LAP_BITS);
        Self(lap << LAP | u64::from(items) << END)
    }

    #[inline]
    pub fn load(word: &AtomicU64) -> Self {
        Self(word.load(Ordering::Acquire))
    }

    #[inline]
    pub fn next(self) -> u32 {
        (self.0 & COUNT) as u32
    }

    #[inline]
    pub fn end(self) -> u32 {
        (self.0 >> END & COUNT) as u32
    }

    pub fn done(self) -> u32 {
        (self.0 >> DONE & COUNT) as u32
    }

    #[inline]
    pub fn lap(self) -> u64 {
        self.0 >> LAP & ((1 << LAP_BITS) - 1)
    }

    pub fn sleeps(self) -> bool {
        self.0 & SLEEP != 0
    }

    /// Whether the worker will do nothing more here.
    pub fn is_over(self) -> bool {
        self.done() == self.end() && (self.end() > 0 || self.0 & SEEN != 0)
    }

    /// Whether the worker has claimed a block: several items at a time, of which it runs one after the other and says in
    /// another word, `progress`, with which one it is.
    pub fn has_block(self) -> bool {
        self.next().saturating_sub(self.done()) > 1
    }

    /// Whether a worker that claims each item by itself and keeps the protocol can have made this of a frame posted in
    /// `lap` with `end` items left to it, of which `delivered` outcomes were taken. It may sleep here only once the frame is
    /// over: having run the whole ring before the parent looked, it waits at this slot for the next lap.
    pub fn is_lawful(self, lap: u64, end: u32, delivered: u32) -> bool {
        let counts = delivered <= self.done() && self.done() <= self.next() && self.next() <= self.end();
        let one_at_a_time = self.next() - self.done().min(self.next()) <= 1;
        let bounds = self.end() == end || (self.end() < end && self.end() == self.next());
        let passed = (self.0 & SEEN == 0 || self.end() == 0) && (!self.sleeps() || self.is_over());
        self.lap() == lap && self.0 & UNUSED == 0 && counts && one_at_a_time && bounds && passed
    }

    fn with_next(self, next: u32) -> Self {
        Self(self.0 & !COUNT | u64::from(next))
    }

    fn with_end(self, end: u32) -> Self {
        Self(self.0 & !(COUNT << END) | u64::from(end) << END)
    }

    fn with_done(self, done: u32) -> Self {
        Self(self.0 & !(COUNT << DONE) | u64::from(done) << DONE)
    }

    /// The upper half, for the futex.
    pub fn upper(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Parent: hands the frame over. Returns the word that was there, which tells whether the worker sleeps on it.
#[must_use]
pub fn post(word: &AtomicU64, ready: Word) -> Word {
    Word(word.swap(ready.0, Ordering::AcqRel))
}

/// What a try to recall came to.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Recalled {
    /// Items from here to the former end are the parent's again.
    From(u32),
    /// All items have been claimed, or the worker kept changing the word.
    Nothing,
    /// The word is not what the protocol allows.
    Unlawful(Word),
}

/// What the parent sees of a slot at a time.
#[derive(Clone, Copy, Debug)]
pub struct Glance {
    pub word: Word,
    /// How many items are over, if the worker has a block and that could be seen together with the word.
    progress: Option<u64>,
}

impl Glance {
    /// Both belong together if the word is the same before and after: else `progress` may tell of a later block, and of more than
    /// the word does when it is looked at next.
    #[inline]
    pub fn of(word: &AtomicU64, progress: &AtomicU64) -> Self {
        let mut seen = Word::load(word);
        for _ in 0..TRIES {
            if !seen.has_block() {
                break;
            }
            let told = progress.load(Ordering::Acquire);
            let again = Word::load(word);
            if again == seen {
                return Self { word: seen, progress: Some(told) };
            }
            seen = again;
        }
        Self { word: seen, progress: None }
    }

    /// The word as it would be if the worker claimed each item by itself, or `None` if a worker that keeps the protocol cannot
    /// have made it of this frame. A block may be no longer than [`BLOCK`], and the worker does not sleep in one.
    #[must_use]
    pub fn item_by_item(self, frame: Posted) -> Option<Word> {
        let Self { word, progress } = self;
        let Posted { lap, end, delivered } = frame;
        let seen = if word.has_block() {
            if word.next() - word.done() > BLOCK || word.sleeps() {
                return None;
            }
            let told = progress.map_or(delivered, |progress| u32::try_from(progress).unwrap_or(u32::MAX));
            let done = told.clamp(word.done(), word.next());
            word.with_done(done).with_next(word.next().min(done + 1))
        } else {
            word
        };
        seen.is_lawful(lap, end, delivered).then_some(seen)
    }
}

/// A frame in the parent's eyes.
#[derive(Clone, Copy, Debug)]
pub struct Posted {
    /// In which lap it was posted.
    pub lap: u64,
    /// How many items are left to the worker.
    pub end: u32,
    /// How many outcomes were taken.
    pub delivered: u32,
}

/// Parent: takes back what nobody has begun of a frame, but leaves the next `keep` of those items to the worker. Where the
/// worker has a block, that is cut: `halt` is asked first, after which the worker begins no item without having looked
/// whether it is to halt, and only then `progress` is believed. Where it says no, nothing is taken.
pub fn recall_beyond(
    word: &AtomicU64,
    progress: &AtomicU64,
    frame: Posted,
    keep: u32,
    mut halt: impl FnMut() -> bool,
) -> Recalled {
    let (mut seen, mut halted) = (Glance::of(word, progress), false);
    for _ in 0..TRIES {
        if seen.word.has_block() && !halted {
            halted = halt();
            if !halted {
                return Recalled::Nothing;
            }
            seen = Glance::of(word, progress);
        }
        let Some(now) = seen.item_by_item(frame) else { return Recalled::Unlawful(seen.word) };
        let from = now.next().saturating_add(keep);
        if from >= seen.word.end() {
            return Recalled::Nothing;
        }
        let is_known = !seen.word.has_block() || seen.progress.is_some();
        let cut = seen.word.with_next(now.next()).with_end(from);
        if is_known && word.compare_exchange(seen.word.0, cut.0, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return Recalled::From(from);
        }
        seen = Glance::of(word, progress);
    }
    Recalled::Nothing
}

/// Worker: takes the next item of the frame posted in `lap`, or `None` when there is none left. A frame that is over may
/// have made room for the next lap's before the worker looks again, whose items are not to be taken for its own.
#[inline]
pub fn claim(word: &AtomicU64, lap: u64) -> Option<u32> {
    let mut seen = Word::load(word);
    while seen.lap() == lap && seen.next() < seen.end() {
        match word.compare_exchange_weak(seen.0, seen.0 + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(seen.next()),
            Err(changed) => seen = Word(changed),
        }
    }
    None
}

/// Worker: the outcomes of the items before `boundary` are written. What it has claimed beyond that it gives back. Whether there
/// are further items in its frame.
#[inline]
pub fn publish(word: &AtomicU64, boundary: u32) -> bool {
    let mut seen = Word::load(word);
    loop {
        let published = seen.with_done(boundary).with_next(boundary);
        match word.compare_exchange_weak(seen.0, published.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return boundary < seen.end(),
            Err(changed) => seen = Word(changed),
        }
    }
}

/// Worker: the outcomes of the items before `boundary` are written, and it takes the next ones, at most so many: publication
/// and claim in one. Gives where those end. What it had claimed beyond the boundary is as if it had not. `None`: there is
/// none left, and nothing was published. The frame is not over meanwhile, so this is no other lap's word.
#[inline]
pub fn publish_and_claim(word: &AtomicU64, boundary: u32, most: u32) -> Option<u32> {
    let mut seen = Word::load(word);
    while boundary < seen.end() {
        let claimed = seen.end().min(boundary + most);
        let changed = seen.with_done(boundary).with_next(claimed);
        match word.compare_exchange_weak(seen.0, changed.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(claimed),
            Err(changed) => seen = Word(changed),
        }
    }
    None
}

/// Worker, in a block: whether the next item may be begun, of which `progress` says already that it is. Without a look at the
/// slot's word: the parent writes `halted` before it reads `progress`, and `fence` is between the two here, and a stronger one there.
#[inline]
pub fn may_go_on(halted: &AtomicU64, sequence: u64, fence: impl FnOnce()) -> bool {
    fence();
    halted.load(Ordering::Relaxed) <= sequence
}

/// Worker: gives back what it has not claimed of the frame posted in `lap`.
pub fn decline(word: &AtomicU64, lap: u64) {
    let mut seen = Word::load(word);
    while seen.lap() == lap && seen.next() < seen.end() {
        let shorter = seen.with_end(seen.next());
        match word.compare_exchange_weak(seen.0, shorter.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return,
            Err(changed) => seen = Word(changed),
        }
    }
}

/// Worker: passes the frame of `lap` if it was recalled or declined before its first claim. For any other this changes
/// nothing. Between the two steps the word stays as it is: without SEEN the frame is not over.
pub fn pass(word: &AtomicU64, lap: u64) {
    let seen = Word::load(word);
    if seen.lap() == lap && seen.end() == 0 {
        word.fetch_or(SEEN, Ordering::AcqRel);
    }
}

/// Worker: announces that it will sleep until `seen` is replaced. `None`: it has been replaced already.
pub fn announce_sleep(word: &AtomicU64, seen: Word) -> Option<Word> {
    let sleeping = Word(seen.0 | SLEEP);
    word.compare_exchange(seen.0, sleeping.0, Ordering::AcqRel, Ordering::Acquire).is_ok().then_some(sleeping)
}

/// Watcher: makes a sleeper look again. Returns whether there was one, who is then to be woken.
#[must_use]
pub fn rouse(word: &AtomicU64) -> bool {
    Word(word.fetch_and(!SLEEP, Ordering::AcqRel)).sleeps()
}

/// When the manager wants to be rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// When a frame is left.
    AtLeave = 1,
    /// When the next item is published, or a frame is left.
    AtItem = 2,
}

/// Worker, leaving a frame: whether the manager wants to be rung.
#[must_use]
pub fn take_armed(armed: &AtomicU64) -> bool {
    armed.swap(0, Ordering::AcqRel) != 0
}

/// Worker, having published an item that is not its frame's last: whether the manager wants to be rung for that.
#[must_use]
#[inline]
pub fn take_armed_for_item(armed: &AtomicU64) -> bool {
    armed.fetch_and(!(Ring::AtItem as u64), Ordering::AcqRel) & Ring::AtItem as u64 != 0
}

/// Manager: wants to be rung from now on; collect once more afterwards.
pub fn arm(armed: &AtomicU64, ring: Ring) {
    armed.swap(ring as u64, Ordering::AcqRel);
}

#[cfg(test)]
mod tests;
