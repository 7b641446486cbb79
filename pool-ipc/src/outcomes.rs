//! What a frame's items came to, several in a row and in one piece of memory.
//!
//! Keeps true: the bytes are this process's own, and were read once from end to end before they came here; what is kept is
//! in proportion to them. Never looks into what an item published.

use std::fmt;
use std::ops::Range;

use crate::frame::{Body, Outcome, Owner};
use crate::slot::record::Record;

/// What the far end published for some items in a row, and for whom.
pub struct Outcomes {
    /// The owner of the items' frame.
    pub owner: Owner,
    /// What was published. Without the owner, who may keep it.
    pub values: Values,
}

/// Values of some items in a row: to be taken one by one, in order.
pub struct Values {
    /// Those that were not taken yet.
    window: Range<u32>,
    /// A record for each item, what was taken among them.
    records: Vec<u8>,
    /// Where the next one begins.
    next: usize,
}

impl Values {
    /// What these items published. `records` holds a record with its bytes for each of them, and nothing else.
    pub(crate) fn new(window: Range<u32>, records: Vec<u8>) -> Self {
        Self { window, records, next: 0 }
    }

    /// The values of items from `first` on, for backends that have them one by one.
    ///
    /// ```
    /// let mut values = pool_ipc::Values::of(7, [&b"one"[..], b"two"]);
    /// assert_eq!(values.window(), 7..9);
    /// assert_eq!(values.take(), Some((7, &b"one"[..])));
    /// assert_eq!(values.take(), Some((8, &b"two"[..])));
    /// assert_eq!(values.take(), None);
    /// ```
    pub fn of<'v>(first: u32, values: impl IntoIterator<Item = &'v [u8]>) -> Self {
        let (mut records, mut end) = (Vec::new(), first);
        for value in values {
            Record::Inline(value).write(&mut records);
            end += 1;
        }
        Self::new(first..end, records)
    }

    /// Which items are still to be taken.
    pub fn window(&self) -> Range<u32> {
        self.window.clone()
    }

    /// How many of them there are.
    pub fn len(&self) -> usize {
        self.window.len()
    }

    /// Whether all were taken.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Takes the next item, and what the far end published for it.
    #[inline]
    pub fn take(&mut self) -> Option<(u32, &[u8])> {
        let item = self.window.next()?;
        let mut rest = &self.records[self.next..];
        let Some(Record::Inline(bytes)) = Record::read(&mut rest) else {
            unreachable!("the records were read before they were put together");
        };
        self.next = self.records.len() - rest.len();
        Some((item, bytes))
    }

    /// Takes the next item if its value is short and `read` makes something of it.
    #[inline]
    pub fn take_short<T>(&mut self, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let (&tag, rest) = self.records.get(self.next..)?.split_first()?;
        let size = Record::short_size(tag)?;
        let value = read(rest.get(..size)?)?;
        self.window.start += 1;
        self.next += 1 + size;
        Some(value)
    }

    /// How much memory its bytes take.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.records.capacity()
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").field("window", &self.window).field("bytes", &self.records.len()).finish()
    }
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("values", &self.values).finish_non_exhaustive()
    }
}

/// Each by itself.
impl IntoIterator for Outcomes {
    type Item = Outcome;
    type IntoIter = std::vec::IntoIter<Outcome>;

    fn into_iter(self) -> Self::IntoIter {
        let Self { owner, mut values } = self;
        let mut outcomes = Vec::with_capacity(values.len());
        while let Some((item, bytes)) = values.take() {
            outcomes.push(Outcome { owner: Owner::clone(&owner), item, result: Ok(Body::copied(bytes)) });
        }
        outcomes.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn outcomes_are_taken_in_order_and_each_by_itself() {
        let long = vec![7; 400];
        let values = [&b""[..], b"one", &long];
        let singly = Outcomes { owner: Arc::new(()), values: Values::of(5, values) };
        let singly = singly.into_iter().map(|outcome| (outcome.item, outcome.result.expect("a value")));
        let singly: Vec<_> = singly.map(|(item, body)| (item, body.as_slice().to_vec())).collect();
        assert_eq!(singly, [(5, values[0].to_vec()), (6, values[1].to_vec()), (7, values[2].to_vec())]);
        let mut one_by_one = Values::of(5, values);
        assert_eq!(one_by_one.take(), Some((5, values[0])));
        assert_eq!((one_by_one.window(), one_by_one.len()), (6..8, 2));
        assert_eq!(one_by_one.take(), Some((6, values[1])));
        assert_eq!(one_by_one.take(), Some((7, values[2])));
        assert!(one_by_one.take().is_none() && one_by_one.is_empty());
        let mut short = Values::of(5, values);
        assert_eq!(short.take_short(|bytes| bytes.is_empty().then_some(1)), Some(1));
        assert_eq!(short.take_short(|_| None::<u8>), None);
        assert_eq!(short.take_short(|bytes| bytes.first().copied()), Some(b'o'));
        assert_eq!((short.take_short(|bytes| Some(bytes.len())), short.window()), (None, 7..8), "the last is long");
        assert_eq!(short.take(), Some((7, values[2])));
        assert_eq!(short.take_short(|_| Some(1)), None);
    }
}
