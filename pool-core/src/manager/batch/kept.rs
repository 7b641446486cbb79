//! The outcomes of a batch that nobody has taken yet, and which of its items have had one.
//!
//! Keeps true: an item has one outcome, the first that comes; an outcome is given out once. Never: reads a reply before
//! somebody wants it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::manager::batch::ItemOutcome;
use crate::manager::replies::Replies;

/// Outcomes, in the pieces in which they came.
pub(super) struct Kept {
    items: u32,
    /// A bit for each item: whether it has had an outcome.
    resolved: Vec<u64>,
    /// How many have not.
    pending: u32,
    /// By the first item of each.
    pieces: BTreeMap<u32, Run>,
}

/// Outcomes of some items in a row.
pub(crate) enum Run {
    One(ItemOutcome),
    Together(Box<Replies>),
}

/// What there is for an item.
pub(super) enum Found {
    /// Its outcome, and those of some of the items after it.
    Run(Run),
    Pending,
    /// It was taken before.
    Taken,
}

impl Kept {
    pub(super) fn new(items: u32) -> Self {
        let resolved = vec![0; items.div_ceil(u64::BITS) as usize];
        Self { items, resolved, pending: items, pieces: BTreeMap::new() }
    }

    /// How many items have no outcome.
    pub(super) fn pending(&self) -> u32 {
        self.pending
    }

    /// Whether an item has, or had, an outcome. One that is none of the batch's needs none.
    pub(super) fn has(&self, item: u32) -> bool {
        item >= self.items || self.resolved[(item / u64::BITS) as usize] >> (item % u64::BITS) & 1 == 1
    }

    /// How many of these have none.
    pub(super) fn pending_of(&self, window: Range<u32>) -> u32 {
        let window = window.start..window.end.min(self.items);
        masks(&window).map(|(word, mask)| (!self.resolved[word] & mask).count_ones()).sum()
    }

    /// The first from this one on that has none.
    pub(super) fn next_pending(&self, from: u32) -> Option<u32> {
        (from..self.items).find(|&item| !self.has(item))
    }

    /// Takes an outcome in. False if there is one already.
    #[must_use]
    pub(super) fn add(&mut self, item: u32, outcome: ItemOutcome) -> bool {
        if self.has(item) {
            return false;
        }
        self.resolve(&(item..item + 1));
        self.pieces.insert(item, Run::One(outcome));
        true
    }

    /// Takes outcomes in, all of them.
    ///
    /// # Errors
    /// One of them has an outcome already.
    pub(super) fn add_together(&mut self, replies: Box<Replies>) -> Result<(), Box<Replies>> {
        let window = replies.window();
        if self.pending_of(window.clone()) < window.end - window.start {
            return Err(replies);
        }
        self.resolve(&window);
        self.pieces.insert(window.start, Run::Together(replies));
        Ok(())
    }

    /// Gives out the outcome of an item, and with it those that came together with it and are behind it.
    pub(super) fn take(&mut self, item: u32, task: &'static str) -> Found {
        if let Some(run) = self.pieces.remove(&item) {
            return Found::Run(run);
        }
        if !self.has(item) {
            return Found::Pending;
        }
        // Somebody takes them in an order of his own.
        if let Some((first, mut replies)) = self.pop_together_before(item) {
            while let Some((other, outcome)) = replies.take(|_| task) {
                self.pieces.insert(other, Run::One(outcome));
            }
            debug_assert!(first < item);
        }
        self.pieces.remove(&item).map_or(Found::Taken, Found::Run)
    }

    /// Puts back what is left of a run.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn put_back(&mut self, replies: Box<Replies>) {
        if !replies.window().is_empty() {
            self.pieces.insert(replies.window().start, Run::Together(replies));
        }
    }

    fn pop_together_before(&mut self, item: u32) -> Option<(u32, Box<Replies>)> {
        let (&first, run) = self.pieces.range(..item).next_back()?;
        match run {
            Run::Together(replies) if replies.window().contains(&item) => {}
            _ => return None,
        }
        match self.pieces.remove(&first) {
            Some(Run::Together(replies)) => Some((first, replies)),
            _ => None,
        }
    }

    fn resolve(&mut self, window: &Range<u32>) {
        for (word, mask) in masks(window) {
            self.resolved[word] |= mask;
        }
        self.pending -= window.end - window.start;
    }
}

/// The words that have bits of these items, and which bits those are.
fn masks(window: &Range<u32>) -> impl Iterator<Item = (usize, u64)> {
    let Range { start, end } = *window;
    let words = if start < end { start / u64::BITS..end.div_ceil(u64::BITS) } else { 0..0 };
    words.map(move |word| {
        let from = start.saturating_sub(word * u64::BITS);
        let to = (end - word * u64::BITS).min(u64::BITS);
        (word as usize, (u64::MAX >> (u64::BITS - to)) & (u64::MAX << from))
    })
}

#[cfg(test)]
mod tests {
    use pool_ipc::Values;

    use super::*;
    use crate::error::TaskError;

    #[test]
    fn bits_are_those_of_the_window_wherever_it_begins_and_ends() {
        for start in 0..140 {
            for end in start..140 {
                let mut set = Vec::new();
                for (word, mask) in masks(&(start..end)) {
                    set.extend((0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| word as u32 * 64 + bit));
                }
                assert_eq!(set, (start..end).collect::<Vec<_>>(), "{start}..{end}");
            }
        }
    }

    #[test]
    fn an_item_has_one_outcome_which_is_given_out_once() {
        let mut kept = Kept::new(70);
        assert!(kept.add(69, Err(TaskError::Cancelled)));
        assert!(!kept.add(69, Err(TaskError::ShutDown)) && !kept.add(70, Err(TaskError::ShutDown)));
        assert_eq!((kept.pending(), kept.pending_of(60..90), kept.next_pending(69)), (69, 9, None));
        assert!(matches!(kept.take(68, "work"), Found::Pending));
        assert!(matches!(kept.take(69, "work"), Found::Run(Run::One(Err(TaskError::Cancelled)))));
        assert!(matches!(kept.take(69, "work"), Found::Taken) && kept.has(69));
    }

    fn replies(first: u32, numbers: &[u8]) -> Box<Replies> {
        let replies: Vec<[u8; 2]> = numbers.iter().map(|number| [0, *number]).collect();
        Replies::new(7, Values::of(first, replies.iter().map(<[u8; 2]>::as_slice)))
    }

    fn number(found: Found) -> u8 {
        match found {
            Found::Run(Run::One(outcome)) => outcome.unwrap().decode("work").unwrap(),
            Found::Run(Run::Together(mut replies)) => replies.decode("work").unwrap().unwrap(),
            Found::Pending | Found::Taken => panic!("there is an outcome"),
        }
    }

    #[test]
    fn what_came_together_is_given_out_together_and_in_any_order() {
        let mut kept = Kept::new(9);
        assert!(kept.add_together(replies(2, &[2, 3, 4, 5])).is_ok());
        assert_eq!((kept.pending(), kept.pending_of(0..9), kept.next_pending(2)), (5, 5, Some(6)));
        assert!(matches!(kept.take(1, "work"), Found::Pending));
        assert_eq!([4, 2, 5].map(|item| number(kept.take(item, "work"))), [4, 2, 5]);
        assert!(matches!(kept.take(4, "work"), Found::Taken));
        assert!(kept.add_together(replies(0, &[0, 1])).is_ok());
        let Found::Run(Run::Together(mut run)) = kept.take(0, "work") else { panic!("they came together") };
        assert_eq!([(); 2].map(|()| run.decode::<u8>("work").unwrap().unwrap()), [0, 1]);
        assert_eq!(number(kept.take(3, "work")), 3);
    }

    #[test]
    fn what_has_an_outcome_is_not_taken_in_together_with_others() {
        let mut kept = Kept::new(4);
        assert!(kept.add(1, Err(TaskError::Cancelled)));
        for (first, numbers) in [(0, &[0, 1][..]), (1, &[1, 2]), (3, &[3, 4])] {
            assert!(kept.add_together(replies(first, numbers)).is_err(), "from {first} on");
        }
        assert!(kept.add_together(replies(2, &[2, 3])).is_ok());
        assert_eq!(kept.pending(), 1);
    }
}
