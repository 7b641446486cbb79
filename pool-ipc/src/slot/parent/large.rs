//! Where large requests go: when a link gets recycled memory, and when it lets go of it.
//!
//! Keeps true: nothing is made or copied under the lock of the ledger but outcomes. Never: takes memory that is in use.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{ParentEnd, ParentSide, SentLarge};
use crate::backend::{Refused, RefusedWhy, Ticket};
use crate::frame::{Body, Frame};
use crate::slot::bulk::{Advice, Granted, Room, is_held};
use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::word;

impl<S: ParentSide> ParentEnd<S> {
    /// Posts a large request: in recycled memory, or in memory of its own.
    #[cold]
    pub(super) fn post_large(&self, frame: Frame) -> Result<Ticket, Refused> {
        if self.ledger.lock().is_full() {
            return Err(Refused { frame, why: RefusedWhy::Full });
        }
        match self.make_room(frame.payload.len()) {
            Some(room) => {
                room.write(&frame.payload.pieces());
                self.enter(frame, Some(room))
            }
            None => self.enter(self.freeze(frame)?, None),
        }
    }

    /// Recycled memory for a large request, made at the second one.
    fn make_room(&self, len: usize) -> Option<Room> {
        let advice = self.ledger.lock().stock.advise(len);
        let (id, size) = match advice {
            Advice::Write(room) => return Some(room),
            Advice::Apart => return None,
            Advice::Make { id, len } => (id, len),
        };
        let granted = Granted::take(2 * size);
        let made = granted.and_then(|granted| Some((self.side.make_bulk(id, size)?, granted)));
        self.ledger.lock().stock.put(id, size, made, len)
    }

    /// Puts a request into memory of its own.
    fn freeze(&self, frame: Frame) -> Result<Frame, Refused> {
        let Frame { owner, payload, window, terms, rank } = frame;
        let size = payload.len() as u64;
        let (payload, company) = payload.apart();
        let with = |payload: Body| Frame { owner, payload: payload.along(company), window, terms, rank };
        match self.side.freeze(payload) {
            Ok(payload) => Ok(with(payload)),
            Err((payload, errno)) => Err(Refused { frame: with(payload), why: RefusedWhy::NoMemory { size, errno } }),
        }
    }

    /// Has the worker get the shared values that come with a payload, or says why that cannot be.
    #[inline]
    pub(super) fn bring(&self, payload: &Body) -> Option<RefusedWhy> {
        if payload.values().is_empty() { None } else { self.bring_values(payload) }
    }

    #[cold]
    fn bring_values(&self, payload: &Body) -> Option<RefusedWhy> {
        let size = payload.len() as u64;
        match self.side.bring(payload.values()) {
            SentLarge::Sent => None,
            SentLarge::Full => Some(RefusedWhy::Full),
            SentLarge::Gone => Some(RefusedWhy::Closed),
            SentLarge::Failed(errno) => Some(RefusedWhy::NoMemory { size, errno }),
        }
    }

    /// When [`release`](Self::release) has something to do, if nothing large comes until then.
    #[cfg_attr(
        not(all(target_os = "linux", not(pool_portable))),
        expect(dead_code, reason = "threads have none to let go of")
    )]
    pub(crate) fn rests_at(&self) -> Option<Instant> {
        if is_held() { self.ledger.lock().stock.rests_at() } else { None }
    }

    /// Lets go of recycled memory that was not used for a while, and has the worker do the same.
    #[cfg_attr(
        not(all(target_os = "linux", not(pool_portable))),
        expect(dead_code, reason = "threads have none to let go of")
    )]
    pub(crate) fn release(&self, now: Instant) {
        let mut ledger = self.ledger.lock();
        let Some(bulk) = ledger.stock.release(now) else { return };
        self.request(request::RELEASED).store(bulk.id.into(), Ordering::Release);
        // The worker looks there after it has announced its sleep, and this changes the word that it announces it in.
        let word = self.memory.outcome.word(outcome::word((ledger.next % SLOTS as u64) as usize));
        if word::rouse(word) {
            self.side.wake(word);
        }
        // Unmapping takes its time.
        drop(ledger);
        drop(bulk);
    }
}
