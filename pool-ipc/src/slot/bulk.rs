//! A link's memory for payloads and outcomes that are too large for the arenas, used again and again: pages that are there
//! and mapped on both sides make a copy cost no more than a copy.
//!
//! What holds: all links of this process together have a bounded amount of it; a range is used again only when nobody reads
//! it any more; with its link it is gone. Never here: the decision when a link gets some, which is its parent's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::arena::{Arena, Block};
use super::layout::outcome;
use super::ledger::Entry;
use super::parent::Memory;
use crate::body::{Body, Frozen};
use crate::frame::Undelivered;
use crate::spare::{self, Spare};

/// The most that all links of this process have, both directions together.
const MOST: usize = 512 << 20;

/// How long a link keeps it without using it.
pub(crate) const REST: Duration = Duration::from_secs(1);

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;

/// How much of it may be spoiled before a link gets no more: its tasks keep what they are given.
const SPOILED: u32 = 4;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Whether any link has some.
pub(crate) fn is_held() -> bool {
    HELD.load(Ordering::Relaxed) > 0
}

/// A share of [`MOST`].
#[derive(Debug)]
pub(super) struct Granted(usize);

impl Granted {
    pub(super) fn take(bytes: usize) -> Option<Self> {
        let add = |held: usize| held.checked_add(bytes).filter(|&sum| sum <= MOST);
        HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok().then_some(Self(bytes))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if HELD.fetch_sub(self.0, Ordering::Relaxed) == self.0 {
            spare::release();
        }
    }
}

/// The memory: one half for requests, which the worker cannot write, one for outcomes.
#[derive(Debug)]
pub(super) struct Bulk {
    pub(super) id: u32,
    /// Of each half.
    pub(super) len: usize,
    pub(super) memory: Memory,
    /// The half for requests.
    arena: Mutex<Arena>,
    _granted: Granted,
}

/// A range for one request, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bulk: Arc<Bulk>,
    block: Option<Block>,
}

impl Room {
    pub(super) fn offset(&self) -> usize {
        self.block.as_ref().map_or(0, Block::offset)
    }

    /// Writes the request, piece after piece.
    pub(super) fn write(&self, pieces: &[&[u8]]) {
        let mut at = self.offset();
        for piece in pieces {
            self.bulk.memory.request.copy_in(at, piece);
            at += piece.len();
        }
    }

    /// Leaves the range to the worker, who has kept a part of it.
    pub(super) fn leave(mut self) {
        let _taken_for_ever = self.block.take();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.bulk.arena.lock().give(block);
        }
    }
}

/// What a link has of it. Kept under the lock of its ledger, under which alone rooms are taken.
#[derive(Debug)]
pub(super) struct Stock {
    state: State,
    made: u32,
    /// How much of it was spoiled.
    spoiled: u32,
    used: Instant,
}

#[derive(Debug)]
enum State {
    /// Nothing large has come yet, which may have been the only one.
    Unasked,
    None,
    /// Somebody makes it.
    Making,
    There(Arc<Bulk>),
    /// The worker has kept a part of it, or never got it. Nothing goes there any more, and nothing is made in its place before
    /// all that lies there is over: the worker knows one such memory at a time.
    Spoiled(Arc<Bulk>),
}

/// What is to be done with a large request.
pub(super) enum Advice {
    /// Write it here.
    Write(Room),
    /// Make memory of this number and size, and [`put`](Stock::put) it here whatever comes of it.
    Make { id: u32, len: usize },
    /// It goes into memory of its own.
    Apart,
}

impl Stock {
    pub(super) fn new() -> Self {
        Self { state: State::Unasked, made: 0, spoiled: 0, used: Instant::now() }
    }

    pub(super) fn advise(&mut self, len: usize) -> Advice {
        match &self.state {
            State::Making => return Advice::Apart,
            State::Spoiled(bulk) if Arc::strong_count(bulk) > 1 => return Advice::Apart,
            State::None | State::Spoiled(_) if self.spoiled >= SPOILED => return Advice::Apart,
            State::Unasked => {
                self.state = State::None;
                return Advice::Apart;
            }
            State::There(bulk) => {
                if let Some(room) = Self::room(bulk, len) {
                    self.used = Instant::now();
                    return Advice::Write(room);
                }
                // Larger memory in its place; not while anything lies there, since the worker knows but one.
                if len <= bulk.len || Arc::strong_count(bulk) > 1 {
                    return Advice::Apart;
                }
            }
            State::None | State::Spoiled(_) => {}
        }
        self.state = State::Making;
        self.made += 1;
        Advice::Make { id: self.made, len: len.next_multiple_of(2 << 20) }
    }

    /// Takes what was made, and gives the room that it was made for. Where nothing was made it is tried again at the next.
    pub(super) fn put(&mut self, id: u32, len: usize, made: Option<(Memory, Granted)>, wanted: usize) -> Option<Room> {
        self.used = Instant::now();
        self.state = State::None;
        let (memory, granted) = made.filter(|_| self.spoiled < SPOILED)?;
        let arena = Mutex::new(Arena::new(0..len as u64));
        let bulk = Arc::new(Bulk { id, len, memory, arena, _granted: granted });
        let room = Self::room(&bulk, wanted);
        self.state = State::There(bulk);
        room
    }

    /// Uses this memory no more: the worker has a part of it or never got it.
    pub(super) fn spoil(&mut self, spoiled: &Arc<Bulk>) {
        if let State::There(bulk) = &self.state
            && Arc::ptr_eq(bulk, spoiled)
        {
            self.spoiled = self.spoiled.saturating_add(1);
            self.state = State::Spoiled(Arc::clone(bulk));
        }
    }

    /// The worker is gone: there is no memory from now on, and who still knows the link holds none by that.
    pub(super) fn end(&mut self) -> Option<Arc<Bulk>> {
        self.spoiled = SPOILED;
        match std::mem::replace(&mut self.state, State::None) {
            State::There(bulk) | State::Spoiled(bulk) => Some(bulk),
            State::Unasked | State::None | State::Making => None,
        }
    }

    /// When it is to be let go of, if nothing uses it until then.
    pub(super) fn rests_at(&self) -> Option<Instant> {
        matches!(self.state, State::There(_) | State::Spoiled(_)).then(|| self.used + REST)
    }

    /// Gives up what has not been used for a while.
    pub(super) fn release(&mut self, now: Instant) -> Option<Arc<Bulk>> {
        match std::mem::replace(&mut self.state, State::Unasked) {
            State::There(bulk) | State::Spoiled(bulk) if now >= self.used + REST && Arc::strong_count(&bulk) == 1 => {
                Some(bulk)
            }
            in_use => {
                self.state = in_use;
                None
            }
        }
    }

    fn room(bulk: &Arc<Bulk>, len: usize) -> Option<Room> {
        let block = bulk.arena.lock().take(len as u64, |_, _| true)?;
        Some(Room { bulk: Arc::clone(bulk), block: Some(block) })
    }
}

/// An outcome that is said to lie in the outcome half of the memory that its request lies in: `range` is the offset, counted
/// from the end of the ordinary outcome memory, and the length. `None`: it cannot lie there.
pub(super) fn fetch(entry: &Entry, range: Option<(usize, usize)>) -> Option<Result<Body, Undelivered>> {
    let (bulk, (offset, len)) = (&entry.room.as_ref()?.bulk, range?);
    let offset = offset.checked_sub(outcome::SIZE)?;
    offset.checked_add(len).filter(|&end| end <= bulk.len)?;
    let Ok(mut spare) = Spare::with_room(len) else {
        return Some(Err(Undelivered { size: len as u64, errno: ENOMEM }));
    };
    let copied = bulk.memory.outcome.copy_out(offset, len, spare.bytes_mut());
    copied.then(|| Ok(Body::frozen(Frozen::Spare(spare))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::region::Region;

    const SIZE: usize = 1 << 20;

    /// A stock that was asked for the second time, and got what it wanted.
    fn stocked() -> (Stock, Room) {
        let mut stock = Stock::new();
        assert!(matches!(stock.advise(SIZE), Advice::Apart), "the first may be the only one");
        let Advice::Make { id, len } = stock.advise(SIZE) else { panic!("there is none") };
        assert!(matches!(stock.advise(SIZE), Advice::Apart), "somebody makes it");
        let memory = Memory { request: Region::heap(len), outcome: Region::heap(len) };
        let made = Granted::take(2 * len).map(|granted| (memory, granted));
        let room = stock.put(id, len, made, SIZE).unwrap();
        (stock, room)
    }

    #[test]
    fn memory_in_use_is_neither_replaced_nor_let_go_of() {
        let (mut stock, room) = stocked();
        let rests_at = stock.rests_at().unwrap();
        assert!(stock.release(rests_at).is_none());
        let Advice::Write(second) = stock.advise(SIZE) else { panic!("there is room for two") };
        assert_ne!(room.offset(), second.offset());
        assert!(matches!(stock.advise(9 * SIZE), Advice::Apart));
        drop((room, second));
        assert!(stock.release(rests_at - REST).is_none(), "it was used just now");
        let Advice::Make { id: 2, len } = stock.advise(9 * SIZE) else { panic!("it is too small, and free") };
        assert!(stock.put(2, len, None, SIZE).is_none());
        assert_eq!(stock.rests_at(), None);
    }

    #[test]
    fn memory_that_rests_is_let_go_of_and_asked_for_anew() {
        let (mut stock, room) = stocked();
        drop(room);
        assert!(stock.release(stock.rests_at().unwrap()).is_some());
        assert_eq!(stock.rests_at(), None);
        assert!(matches!(stock.advise(SIZE), Advice::Apart));
        assert!(matches!(stock.advise(SIZE), Advice::Make { id: 2, .. }));
    }

    #[test]
    fn a_range_that_the_worker_kept_is_never_used_again() {
        let (mut stock, room) = stocked();
        let (bulk, offset) = (Arc::clone(&room.bulk), room.offset());
        room.leave();
        let next = Stock::room(&bulk, SIZE).unwrap();
        assert_ne!(next.offset(), offset);
        stock.spoil(&bulk);
        assert!(matches!(stock.advise(SIZE), Advice::Apart), "the worker knows one at a time");
        drop((bulk, next));
        assert!(matches!(stock.advise(SIZE), Advice::Make { .. }));
    }

    #[test]
    fn after_its_worker_a_link_has_none_and_gets_none() {
        let (mut stock, room) = stocked();
        drop(room);
        assert!(stock.end().is_some());
        assert_eq!(stock.rests_at(), None);
        assert!(matches!(stock.advise(SIZE), Advice::Apart));
        let memory = Memory { request: Region::heap(SIZE), outcome: Region::heap(SIZE) };
        let made = Granted::take(2 * SIZE).map(|granted| (memory, granted));
        assert!(stock.put(2, SIZE, made, SIZE).is_none(), "it was being made at that time");
        assert_eq!(stock.rests_at(), None);
    }

    #[test]
    fn what_all_links_have_is_bounded() {
        assert!(Granted::take(MOST + 1).is_none());
        assert!(Granted::take(usize::MAX).is_none());
    }
}
