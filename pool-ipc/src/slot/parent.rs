//! The parent's end of the slots: post, recall, collect, and the account after a death.
//!
//! All decisions are made from the private ledger, under one lock that is never held over a system call that waits. The
//! parent loops over what the ledger says, never over what a shared word says.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::bulk::{self, Room};
use super::layout::{ARENA_MAX, ARENA_SIZE, outcome, request};
use super::ledger::{Entry, Ledger, Stream, lap_of};
use super::record::Record;
use super::region::Region;
use super::together;
use super::word::{self, Ring, Word};
use crate::backend::{Corrupt, LinkEvent, LinkId, Refused, RefusedWhy, Ticket};
use crate::frame::{Body, Frame, Lost, MAX_ITEMS, Outcome, Undelivered};
use crate::look::Next;
use crate::shared_value::SharedValue;
use crate::terms::Written;
use std::sync::atomic::{AtomicU64, Ordering};

/// The two memories of a link.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) request: Region,
    pub(crate) outcome: Region,
}

/// What the parent's end needs of the world: a doorbell, memory, and a way for payloads that have memory of their own.
pub(crate) trait ParentSide: Send + Sync + fmt::Debug {
    /// Wakes the worker that sleeps on this word.
    fn wake(&self, word: &AtomicU64);
    /// Makes sure that a range of the request memory is there.
    fn commit(&self, requests: &Region, offset: u64, len: u64) -> bool;
    /// Puts a payload into memory of its own, which the worker can map and nobody can write.
    ///
    /// # Errors
    /// The payload, and the system's error number.
    fn freeze(&self, payload: Body) -> Result<Body, (Body, i32)>;
    /// Sends a frozen payload under a number.
    fn send_large(&self, id: u64, payload: &Body) -> SentLarge;
    /// Has the worker get these values before the frame that comes with them.
    fn bring(&self, values: &[SharedValue]) -> SentLarge {
        let _ = values;
        SentLarge::Sent
    }
    /// The outcome that the worker sent under this number, or why this process could not take it.
    ///
    /// # Errors
    /// The worker sent none, or not what it said.
    fn take_large(&self, id: u64, len: u64) -> Result<Result<Body, Undelivered>, Corrupt>;
    /// Makes recycled memory of a size in each direction, and sends it to the worker under a number.
    fn make_bulk(&self, _id: u32, _len: usize) -> Option<Memory> {
        None
    }
}

/// How [`ParentSide::send_large`] went.
#[derive(Debug)]
#[cfg_attr(not(all(target_os = "linux", not(pool_portable))), expect(dead_code, reason = "heap memory is never short"))]
pub(crate) enum SentLarge {
    Sent,
    Full,
    Gone,
    Failed(i32),
}

/// The parent's end.
#[derive(Debug)]
pub(crate) struct ParentEnd<S> {
    id: LinkId,
    memory: Arc<Memory>,
    side: S,
    ledger: Mutex<Ledger>,
}

impl<S: ParentSide> ParentEnd<S> {
    pub(crate) fn new(id: LinkId, memory: Arc<Memory>, side: S) -> Self {
        word::arm(memory.outcome.word(outcome::ARMED), Ring::AtItem);
        Self { id, memory, side, ledger: Mutex::new(Ledger::new()) }
    }

    pub(crate) fn id(&self) -> LinkId {
        self.id
    }

    pub(crate) fn side(&self) -> &S {
        &self.side
    }

    pub(crate) fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        let items = frame.items();
        if items == 0 || items > MAX_ITEMS {
            return Err(Refused { frame, why: RefusedWhy::Items { items } });
        }
        if let Some(why) = self.bring(&frame.payload) {
            return Err(Refused { frame, why });
        }
        if frame.payload.len() > ARENA_MAX { self.post_large(frame) } else { self.enter(frame, None) }
    }

    /// Tells the worker that the running item of a frame is to end, for whoever asks there.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        let ledger = self.ledger.lock();
        if let Some(entry) = ledger.index(ticket).and_then(|index| ledger.entries.get(index)) {
            let header = request::slot(entry.slot());
            self.request(header + request::CANCELLED).store(ticket.0 + 1, Ordering::Relaxed);
        }
    }

    /// Refuses posts from now on.
    pub(crate) fn close(&self) {
        self.ledger.lock().closed = true;
    }

    /// Takes all outcomes that are ready, asks to be rung for the next, and looks once more.
    ///
    /// # Errors
    /// The worker broke the protocol, now or before; nothing more is read from it.
    pub(crate) fn collect(&self, events: &mut Vec<LinkEvent>) -> Result<(), Corrupt> {
        self.gather(events, |_| Ring::AtItem).map(drop)
    }

    /// The same for a hub, which can look again by itself: while a frame makes progress its worker is to ring when it
    /// leaves it, and not for each item. Then the hub is to look soon, in case that an item takes long.
    ///
    /// # Errors
    /// As those of [`collect`](Self::collect).
    pub(crate) fn collect_by_turns(&self, events: &mut Vec<LinkEvent>) -> Result<Next, Corrupt> {
        let ring = |ledger: &Ledger| if ledger.moves() { Ring::AtLeave } else { Ring::AtItem };
        self.gather(events, ring).map(|ring| if ring == Ring::AtLeave { Next::Look } else { Next::Ring })
    }

    fn gather(&self, events: &mut Vec<LinkEvent>, when: impl Fn(&Ledger) -> Ring) -> Result<Ring, Corrupt> {
        let mut ledger = self.ledger.lock();
        if let Some(corrupt) = &ledger.corrupt {
            return Err(corrupt.clone());
        }
        let result = self.sweep(&mut ledger, events).and_then(|()| {
            self.let_go_on(&mut ledger);
            let ring = when(&ledger);
            word::arm(self.memory.outcome.word(outcome::ARMED), ring);
            self.sweep(&mut ledger, events)?;
            // Whoever claims a block from now on rings. Of the one that there is already the progress is looked at once more.
            if ring == Ring::AtItem && self.halt_block(&mut ledger) {
                self.sweep(&mut ledger, events)?;
            }
            Ok(ring)
        });
        ledger.mark();
        ledger.corrupt = result.as_ref().err().cloned();
        result
    }

    /// Declares the worker a liar for what it did elsewhere than in its slots.
    #[cfg_attr(
        not(all(target_os = "linux", not(pool_portable))),
        expect(dead_code, reason = "threads have no channel to lie on")
    )]
    pub(crate) fn condemn(&self, corrupt: Corrupt) {
        self.ledger.lock().corrupt.get_or_insert(corrupt);
    }

    /// The last collection, once the worker is gone: what it finished, then what became of the rest.
    pub(crate) fn finish(&self, events: &mut Vec<LinkEvent>) -> (Option<Corrupt>, Vec<Lost>) {
        self.close();
        let mut ledger = self.ledger.lock();
        if ledger.corrupt.is_none() {
            ledger.corrupt = self.sweep_through(&mut ledger, events).err();
        }
        let lost = ledger.settle(|entry| self.lawful(entry));
        let (corrupt, bulk) = (ledger.corrupt.clone(), ledger.stock.end());
        // Unmapping takes its time.
        drop(ledger);
        drop(bulk);
        (corrupt, lost)
    }

    fn enter(&self, frame: Frame, room: Option<Room>) -> Result<Ticket, Refused> {
        let mut ledger = self.ledger.lock();
        if ledger.closed || ledger.corrupt.is_some() {
            return Err(Refused { frame, why: RefusedWhy::Closed });
        }
        if ledger.is_full() {
            return Err(Refused { frame, why: RefusedWhy::Full });
        }
        let sequence = ledger.next;
        let slot = (sequence % super::layout::SLOTS as u64) as usize;
        let header = request::slot(slot);
        let (place, bulk) = match &room {
            Some(room) => (
                Place { kind: request::KIND_BULK, at: room.offset() as u64, block: None },
                u64::from(room.bulk.id) << 32,
            ),
            None => match self.place(&mut ledger, header, sequence, &frame.payload) {
                Ok(place) => (place, 0),
                Err(why) => return Err(Refused { frame, why }),
            },
        };
        let set = |field: usize, value: u64| self.request(header + field).store(value, Ordering::Relaxed);
        let Written { attempt, timeout, deadline } = Written::of(frame.terms.as_deref());
        set(request::KIND, place.kind | u64::from(attempt) << 32);
        set(request::PLACE, place.at);
        set(request::LEN, frame.payload.len() as u64);
        set(request::FIRST, u64::from(frame.window.start) | bulk);
        set(request::TIMEOUT, timeout);
        set(request::DEADLINE, deadline);
        let ready = Word::ready(lap_of(sequence), frame.items());
        let ticket = ledger.enter(frame, place.block, room);
        let word = self.memory.outcome.word(outcome::word(slot));
        if word::post(word, ready).sleeps() {
            self.side.wake(word);
        }
        Ok(ticket)
    }

    fn place(&self, ledger: &mut Ledger, header: usize, sequence: u64, payload: &Body) -> Result<Place, RefusedWhy> {
        let bytes = payload.as_slice();
        if bytes.len() <= request::INLINE {
            self.memory.request.copy_in(header + request::HEADER, bytes);
            return Ok(Place { kind: request::KIND_INLINE, at: 0, block: None });
        }
        let commit = |offset, len| self.side.commit(&self.memory.request, offset, len);
        if bytes.len() <= ARENA_MAX
            && let Some(block) = ledger.arena.take(bytes.len() as u64, commit)
        {
            self.memory.request.copy_in(block.offset(), bytes);
            return Ok(Place { kind: request::KIND_ARENA, at: block.offset() as u64, block: Some(block) });
        }
        let size = bytes.len() as u64;
        match self.side.send_large(sequence, payload) {
            SentLarge::Sent => Ok(Place { kind: request::KIND_LARGE, at: sequence, block: None }),
            SentLarge::Full => Err(RefusedWhy::Full),
            SentLarge::Gone => Err(RefusedWhy::Closed),
            SentLarge::Failed(errno) => Err(RefusedWhy::NoMemory { size, errno }),
        }
    }

    /// Goes through the frames, oldest first, to the first that is not over: the worker walks the ring in order.
    fn sweep(&self, ledger: &mut Ledger, events: &mut Vec<LinkEvent>) -> Result<(), Corrupt> {
        while let Some(entry) = ledger.entries.front_mut() {
            match self.advance(entry, &mut ledger.live, &mut ledger.copy, events)? {
                Advance::Over => self.free_first(ledger),
                Advance::InFlight => break,
            }
        }
        Ok(())
    }

    /// Goes through all of them, once the worker is gone: it may have left an item unpublished and gone on.
    fn sweep_through(&self, ledger: &mut Ledger, events: &mut Vec<LinkEvent>) -> Result<(), Corrupt> {
        for entry in &mut ledger.entries {
            self.advance(entry, &mut ledger.live, &mut ledger.copy, events)?;
        }
        Ok(())
    }

    /// Takes what has happened to a frame. `copy` is memory to be used again.
    fn advance(
        &self,
        entry: &mut Entry,
        live: &mut usize,
        copy: &mut Vec<u8>,
        events: &mut Vec<LinkEvent>,
    ) -> Result<Advance, Corrupt> {
        let glance = self.glance(entry);
        let word = glance.word;
        let Some(seen) = glance.item_by_item(entry.posted()) else {
            return Err(Corrupt::Word { slot: entry.slot(), word: word.0 });
        };
        let before = events.len();
        let read = self.read(entry, seen.done(), copy, events);
        // What could not be read stays in the ledger, and so does what was declined beyond it.
        let declined = (read.is_ok() && word.end() < entry.end).then(|| entry.split(word.end()));
        let over = entry.delivered == entry.end;
        // A frame that was recalled whole has been taken off the count already.
        *live -= usize::from(over && (events.len() > before || declined.is_some()));
        let outstanding = *live;
        together::count_down(&mut events[before..], outstanding, over);
        if let Some(rest) = declined {
            events.push(LinkEvent::Declined { link: self.id, rest, outstanding });
        }
        read?;
        Ok(if word.is_over() { Advance::Over } else { Advance::InFlight })
    }

    /// Tells the outcomes of an entry up to `done`, or up to the first that is malformed.
    fn read(
        &self,
        entry: &mut Entry,
        done: u32,
        copy: &mut Vec<u8>,
        events: &mut Vec<LinkEvent>,
    ) -> Result<(), Corrupt> {
        if entry.delivered == done {
            return Ok(());
        }
        let slot = entry.slot();
        let malformed = || Corrupt::Record { slot };
        let mut stream = self.stream(entry).ok_or_else(malformed)?;
        let written = self.outcome(outcome::area(entry.slot()) + outcome::WRITTEN).load(Ordering::Relaxed);
        let written = usize::try_from(written).ok().filter(|&written| written <= stream.len && written >= stream.read);
        let fresh = written.ok_or_else(malformed)? - stream.read;
        copy.clear();
        if !self.memory.outcome.copy_out(stream.offset + stream.read, fresh, copy) {
            return Err(malformed());
        }
        let (mut taken, mut copied) = (0, 0);
        let accompanied = !entry.payload.values().is_empty();
        while entry.delivered < done {
            if !accompanied && let Some(size) = together::tell(self.id, entry, done, copy, taken, events) {
                taken += size;
                continue;
            }
            let mut rest = &copy[taken..];
            let record = Record::read(&mut rest).ok_or_else(malformed)?;
            // Outcomes that were not taken yet do not overlap, so an honest arena cannot hold more than its size of them.
            if let Record::Arena { len, .. } = record {
                let most = ARENA_SIZE as u64 + entry.room.as_ref().map_or(0, |room| room.bulk.len as u64);
                copied += len.min(2 * most);
                if copied > most {
                    return Err(malformed());
                }
            }
            let result = self.fetch(record, entry)?;
            let result = if accompanied { result.map(|body| body.along(entry.payload.company())) } else { result };
            let outcome = Outcome { owner: entry.owner.0.clone(), item: entry.first + entry.delivered, result };
            events.push(LinkEvent::Outcome { link: self.id, outcome, outstanding: 0, last: false });
            entry.delivered += 1;
            taken = copy.len() - rest.len();
        }
        stream.read += taken;
        entry.stream = Some(stream);
        if copy.capacity() > outcome::INLINE {
            *copy = Vec::new();
        }
        Ok(())
    }

    /// Where the outcomes of an entry are, asked of the worker once.
    fn stream(&self, entry: &Entry) -> Option<Stream> {
        if let Some(stream) = entry.stream {
            return Some(stream);
        }
        let area = outcome::area(entry.slot());
        let field = |field: usize| self.outcome(area + field).load(Ordering::Relaxed);
        let offset = usize::try_from(field(outcome::STREAM)).ok()?;
        let len = usize::try_from(field(outcome::STREAM_LEN)).ok()?;
        let inline = offset == area + outcome::HEADER && len == outcome::INLINE;
        let in_arena = offset >= outcome::ARENA && offset.checked_add(len)? <= outcome::SIZE;
        (inline || in_arena).then_some(Stream { offset, len, read: 0 })
    }

    fn fetch(&self, record: Record<'_>, entry: &Entry) -> Result<Result<Body, Undelivered>, Corrupt> {
        Ok(match record {
            Record::Inline(bytes) => Ok(Body::copied(bytes)),
            Record::Large { id, len } => self.side.take_large(id, len)?,
            Record::Failed { size, errno } => Err(Undelivered { size, errno }),
            Record::Arena { offset, len } => {
                let range = usize::try_from(offset).ok().zip(usize::try_from(len).ok());
                let range = range.filter(|&(offset, _)| offset >= outcome::ARENA);
                let mut bytes = Vec::new();
                match range {
                    Some((offset, len))
                        if len <= outcome::SIZE && self.memory.outcome.copy_out(offset, len, &mut bytes) =>
                    {
                        Ok(Body::Owned(bytes))
                    }
                    _ => return bulk::fetch(entry, range).ok_or(Corrupt::Record { slot: entry.slot() }),
                }
            }
        })
    }

    /// The first frame is over.
    fn free_first(&self, ledger: &mut Ledger) {
        let Some(entry) = ledger.entries.front_mut() else { return };
        let (lap, slot, sequence) = (entry.lap(), entry.slot(), entry.sequence);
        let (block, room, took) = (entry.block.take(), entry.room.take(), self.took(entry));
        self.request(request::slot(slot) + request::COLLECTED).store(lap, Ordering::Release);
        drop(ledger.entries.pop_front());
        if let Some(took) = took {
            ledger.note_pace(took);
        }
        if let Some(block) = block {
            ledger.arena.give(block);
        }
        if let Some(room) = room
            && self.outcome(outcome::area(slot) + outcome::KEPT).load(Ordering::Relaxed) == sequence + 1
        {
            ledger.stock.spoil(&room.bulk);
            room.leave();
        }
    }

    fn word(&self, entry: &Entry) -> &AtomicU64 {
        self.memory.outcome.word(outcome::word(entry.slot()))
    }

    fn request(&self, offset: usize) -> &AtomicU64 {
        self.memory.request.word(offset)
    }

    fn outcome(&self, offset: usize) -> &AtomicU64 {
        self.memory.outcome.word(offset)
    }
}

/// Where a payload was put.
struct Place {
    kind: u64,
    at: u64,
    block: Option<super::arena::Block>,
}

/// How far a frame is.
enum Advance {
    /// Its slot is free again.
    Over,
    InFlight,
}

mod large;
mod pace;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod peeking;
mod recalling;
