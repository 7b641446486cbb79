//! Outcomes of one frame, as they are told: values in a row as one, everything else by itself.
//!
//! Keeps true: what is kept of a worker's bytes is at most twice what it told with them, however much it had the parent
//! copy. Never reads shared memory: what comes here is a copy already.

use super::ledger::Entry;
use super::record::Record;
use crate::backend::{LinkEvent, LinkId};
use crate::outcomes::{Outcomes, Values};

/// Fewer values in a row than this are told one by one.
const FEWEST: u32 = 2;

/// Tells the values of an entry that begin at `taken` in the copy of its stream, up to `done` items, if they are several in
/// a row. Gives how many bytes they took. The copy may be used up by them.
pub(super) fn tell(
    link: LinkId,
    entry: &mut Entry,
    done: u32,
    copy: &mut Vec<u8>,
    taken: usize,
    events: &mut Vec<LinkEvent>,
) -> Option<usize> {
    let left = done - entry.delivered;
    let (values, size) = Record::inline_run(&copy[taken..], left);
    if values < FEWEST {
        return None;
    }
    let is_all = values == left && taken == 0;
    let records = if is_all { cut(std::mem::take(copy), size) } else { copy[taken..taken + size].to_vec() };
    let first = entry.first + entry.delivered;
    let outcomes = Outcomes { owner: entry.owner.0.clone(), values: Values::new(first..first + values, records) };
    events.push(LinkEvent::Outcomes { link, outcomes, outstanding: 0, last: false });
    entry.delivered += values;
    Some(size)
}

/// Says of the outcomes of one frame how many frames are left after each. If the frame is over, it is so with the last.
pub(super) fn count_down(events: &mut [LinkEvent], left: usize, over: bool) {
    let count = events.len();
    for (index, event) in events.iter_mut().enumerate() {
        if let LinkEvent::Outcome { outstanding, last, .. } | LinkEvent::Outcomes { outstanding, last, .. } = event {
            *last = over && index + 1 == count;
            *outstanding = left + usize::from(over && !*last);
        }
    }
}

/// The beginning of a copy, without memory for much more than that.
fn cut(mut copy: Vec<u8>, size: usize) -> Vec<u8> {
    copy.truncate(size);
    if copy.capacity() / 2 > size {
        copy.shrink_to_fit();
    }
    copy
}
