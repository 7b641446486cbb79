//! Hands out ranges of an arena. The metadata lies in its owner's private memory, never in the arena itself, so no other
//! process can confuse it. First fit, neighbours are joined again.

use std::collections::BTreeMap;
use std::ops::Range;

/// Blocks start at multiples of this, so that no two of them share a cache line.
const LINE: u64 = 64;

/// The free ranges of an arena, and how far its memory has been committed.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Offset to length of each free range; no two of them touch.
    free: BTreeMap<u64, u64>,
    /// Memory below this offset is known to be there.
    committed: u64,
}

/// A range of an arena that is in use.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Block(Range<u64>);

impl Block {
    pub(crate) fn offset(&self) -> usize {
        self.0.start as usize
    }
}

impl Arena {
    /// An arena of the range `start..end` of some memory.
    pub(crate) fn new(range: Range<u64>) -> Self {
        let start = range.start.next_multiple_of(LINE);
        let committed = start;
        Self { free: BTreeMap::from([(start, range.end.saturating_sub(start))]), committed }
    }

    /// Takes `len` bytes, or `None` when no free range is long enough or `commit` fails to provide the memory.
    pub(crate) fn take(&mut self, len: u64, commit: impl FnOnce(u64, u64) -> bool) -> Option<Block> {
        let len = len.max(1).checked_next_multiple_of(LINE)?;
        let (&start, &found) = self.free.iter().find(|&(_, &found)| found >= len)?;
        let end = start + len;
        if end > self.committed {
            if !commit(self.committed, end - self.committed) {
                return None;
            }
            self.committed = end;
        }
        self.free.remove(&start);
        if found > len {
            self.free.insert(end, found - len);
        }
        Some(Block(start..end))
    }

    /// Takes a block back.
    pub(crate) fn give(&mut self, block: Block) {
        let Range { mut start, mut end } = block.0;
        if let Some((&before, &len)) = self.free.range(..start).next_back()
            && before + len == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(len) = self.free.remove(&end) {
            end += len;
        }
        self.free.insert(start, end - start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_never_overlap_and_all_of_them_come_back(steps in proptest::collection::vec((any::<bool>(), 1u64..5000), 1..200)) {
            let mut arena = Arena::new(100..40_000);
            let mut taken: Vec<Block> = Vec::new();
            for (take, size) in steps {
                if take {
                    if let Some(block) = arena.take(size, |_, _| true) {
                        prop_assert!(block.0.start >= 100 && block.0.end <= 40_000 && block.0.end - block.0.start >= size);
                        prop_assert!(taken.iter().all(|other| other.0.end <= block.0.start || block.0.end <= other.0.start));
                        taken.push(block);
                    }
                } else if !taken.is_empty() {
                    let block = taken.swap_remove(size as usize % taken.len());
                    arena.give(block);
                }
            }
            for block in taken {
                arena.give(block);
            }
            prop_assert_eq!(arena.free.len(), 1);
        }
    }

    #[test]
    fn memory_is_committed_once_and_a_refusal_takes_nothing() {
        let mut arena = Arena::new(0..4096);
        assert_eq!(arena.take(64, |_, _| false), None);
        let block = arena.take(64, |offset, len| offset == 0 && len == 64).expect("there is room");
        arena.give(block);
        let again = arena.take(64, |_, _| false).expect("it is committed already");
        assert_eq!(again.offset(), 0);
        assert_eq!(arena.take(u64::MAX, |_, _| true), None);
    }
}
