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

    /// Whether a worker that keeps the protocol can have made this of a frame posted in `lap` with `end` items left to
    /// it, of which `delivered` outcomes were taken. It may sleep here only once the frame is over: having run the whole
    /// ring before the parent looked, it waits at this slot for the next lap.
    pub fn is_lawful(self, lap: u64, end: u32, delivered: u32) -> bool {
        let counts = delivered <= self.done() && self.done() <= self.next() && self.next() <= self.end();
        let one_at_a_time = self.next() - self.done().min(self.next()) <= 1;
        let bounds = self.end() == end || (self.end() < end && self.end() == self.next());
        let passed = (self.0 & SEEN == 0 || self.end() == 0) && (!self.sleeps() || self.is_over());
        self.lap() == lap && self.0 & UNUSED == 0 && counts && one_at_a_time && bounds && passed
    }

    fn with_end(self, end: u32) -> Self {
        Self(self.0 & !(COUNT << END) | u64::from(end) << END)
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

/// Parent: takes back what is unclaimed of a frame posted in `lap`, of which the ledger says `end` and `delivered`, but
/// leaves the next `keep` of those items to the worker.
pub fn recall_beyond(word: &AtomicU64, lap: u64, end: u32, delivered: u32, keep: u32) -> Recalled {
    let mut seen = Word::load(word);
    for _ in 0..TRIES {
        if !seen.is_lawful(lap, end, delivered) {
            return Recalled::Unlawful(seen);
        }
        let from = seen.next().saturating_add(keep);
        if from >= seen.end() {
            return Recalled::Nothing;
        }
        match word.compare_exchange(seen.0, seen.with_end(from).0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Recalled::From(from),
            Err(changed) => seen = Word(changed),
        }
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

/// Worker: the claimed item's outcome is written. Whether that was not the last of its frame.
#[inline]
pub fn publish(word: &AtomicU64) -> bool {
    let before = Word(word.fetch_add(1 << DONE, Ordering::AcqRel));
    before.done() + 1 < before.end()
}

/// Worker: the claimed item's outcome is written, and it takes the next item: publication and claim in one. `None`: there is
/// none left, and nothing was published. The frame is not over meanwhile, so this is no other lap's word.
#[inline]
pub fn publish_and_claim(word: &AtomicU64) -> Option<u32> {
    let mut seen = Word::load(word);
    while seen.next() < seen.end() {
        match word.compare_exchange_weak(seen.0, seen.0 + (1 << DONE) + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some(seen.next()),
            Err(changed) => seen = Word(changed),
        }
    }
    None
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frame_goes_from_ready_to_over() {
        let word = AtomicU64::new(0);
        assert!(!post(&word, Word::ready(1, 2)).sleeps());
        assert_eq!(claim(&word, 1), Some(0));
        assert!(Word::load(&word).is_lawful(1, 2, 0));
        publish(&word);
        assert_eq!(claim(&word, 1), Some(1));
        publish(&word);
        assert_eq!(claim(&word, 1), None);
        pass(&word, 1);
        assert!(Word::load(&word).is_over() && Word::load(&word).is_lawful(1, 2, 2));
    }

    #[test]
    fn an_item_is_published_with_the_claim_of_the_next_and_the_last_by_itself() {
        let word = AtomicU64::new(Word::ready(1, 3).0);
        assert_eq!(claim(&word, 1), Some(0));
        assert_eq!(publish_and_claim(&word), Some(1));
        assert!(Word::load(&word).is_lawful(1, 3, 1));
        assert_eq!(recall_beyond(&word, 1, 3, 1, 0), Recalled::From(2));
        let before = Word::load(&word);
        assert_eq!((publish_and_claim(&word), Word::load(&word)), (None, before));
        assert!(!publish(&word) && Word::load(&word).is_over());
    }

    #[test]
    fn recalled_items_are_not_claimed_and_the_worker_must_pass_before_the_slot_is_over() {
        let word = AtomicU64::new(Word::ready(1, 3).0);
        assert_eq!(recall_beyond(&word, 1, 3, 0, 0), Recalled::From(0));
        assert_eq!(claim(&word, 1), None);
        assert!(!Word::load(&word).is_over());
        pass(&word, 1);
        assert!(Word::load(&word).is_over() && Word::load(&word).is_lawful(1, 0, 0));
    }

    #[test]
    fn declined_tail_is_lawful_and_recall_of_it_finds_nothing() {
        let word = AtomicU64::new(Word::ready(1, 3).0);
        assert_eq!(claim(&word, 1), Some(0));
        publish(&word);
        decline(&word, 1);
        assert!(Word::load(&word).is_lawful(1, 3, 0) && Word::load(&word).is_over());
        assert_eq!(recall_beyond(&word, 1, 3, 0, 0), Recalled::Nothing);
    }

    #[test]
    fn worker_that_still_looks_at_a_finished_frame_leaves_the_next_laps_alone() {
        let word = AtomicU64::new(Word::ready(2, 3).0);
        assert_eq!(claim(&word, 1), None);
        decline(&word, 1);
        assert_eq!(Word::load(&word), Word::ready(2, 3));
        assert_eq!(recall_beyond(&word, 2, 3, 0, 0), Recalled::From(0));
        pass(&word, 1);
        assert!(!Word::load(&word).is_over());
    }

    #[test]
    fn worker_may_sleep_where_a_frame_is_over_and_nowhere_else() {
        let word = AtomicU64::new(Word::ready(1, 1).0);
        let unlawful = announce_sleep(&word, Word::load(&word)).expect("nobody else changes the word");
        assert!(!unlawful.is_lawful(1, 1, 0));
        assert!(rouse(&word));
        assert_eq!(claim(&word, 1), Some(0));
        publish(&word);
        let sleeping = announce_sleep(&word, Word::load(&word)).expect("nobody else changes the word");
        assert!(sleeping.is_lawful(1, 1, 0) && sleeping.is_over());
    }

    #[test]
    fn frame_that_was_declined_whole_is_over_once_it_was_passed() {
        let word = AtomicU64::new(Word::ready(1, 3).0);
        decline(&word, 1);
        assert!(Word::load(&word).is_lawful(1, 3, 0) && !Word::load(&word).is_over());
        pass(&word, 1);
        assert!(Word::load(&word).is_lawful(1, 3, 0) && Word::load(&word).is_over());
    }

    #[test]
    fn post_tells_of_a_sleeper_and_rouse_clears_it() {
        let word = AtomicU64::new(0);
        let sleeping = announce_sleep(&word, Word(0)).expect("nobody else changes the word");
        assert!(sleeping.sleeps());
        assert!(post(&word, Word::ready(1, 1)).sleeps());
        assert!(announce_sleep(&word, Word(0)).is_none());
        assert!(!rouse(&word));
    }

    proptest! {
        /// Whatever a worker writes, recall answers, and calls lawful only what keeps the counts in order.
        #[test]
        fn random_words_are_judged_without_a_panic(raw: u64, lap in 0u64..1 << LAP_BITS, end in 0u32..=MAX_ITEMS, delivered in 0u32..=MAX_ITEMS) {
            let word = Word(raw);
            if word.is_lawful(lap, end, delivered) {
                prop_assert!(word.done() >= delivered && word.next() >= word.done() && word.end() <= end);
                prop_assert!(word.next() <= word.end() && word.lap() == lap);
            }
            let _ = recall_beyond(&AtomicU64::new(raw), lap, end, delivered, 0);
        }
    }
}
