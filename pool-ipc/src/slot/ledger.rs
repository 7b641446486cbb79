//! What the parent knows by itself of the frames that it posted: the truth against which shared words are held.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arena::{Arena, Block};
use super::bulk::{Room, Stock};
use super::layout::{SLOTS, request};
use super::word::{LAP_BITS, Posted, Word};
use crate::backend::{Corrupt, Ticket};
use crate::frame::{Body, Frame, Lost, Owner};
use crate::terms::{Running, Terms, believed};

/// The private record of a link.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The frames that occupy slots, oldest first; the sequence numbers have no gaps.
    pub(super) entries: VecDeque<Entry>,
    /// The sequence number of the next frame. Never reused.
    pub(super) next: u64,
    /// How many entries have items that are not delivered.
    pub(super) live: usize,
    /// No further posts.
    pub(super) closed: bool,
    /// Why the worker is not believed any more.
    pub(super) corrupt: Option<Corrupt>,
    /// The request arena.
    pub(super) arena: Arena,
    /// The recycled memory.
    pub(super) stock: Stock,
    /// The frame whose worker is to claim no blocks.
    pub(super) halted: Option<Halted>,
    /// The frame that was in work at the last collection, and how many outcomes of it had been taken.
    marked: Option<(u64, u32)>,
    /// How long an item takes, by what the worker says, averaged.
    pub(super) pace: Option<Duration>,
    /// What was read of a frame's outcomes. Of no meaning afterwards, kept for its memory.
    pub(super) copy: Vec<u8>,
}

/// One posted frame.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) owner: OwnerOf,
    pub(super) payload: Body,
    /// The first item of the window: the word counts from 0.
    pub(super) first: u32,
    /// How many items are the worker's; lowered by a recall or a decline.
    pub(super) end: u32,
    /// How many outcomes were taken.
    pub(super) delivered: u32,
    /// Where the request lies, if in the arena.
    pub(super) block: Option<Block>,
    /// Where it lies, if in recycled memory.
    pub(super) room: Option<Room>,
    /// How far the outcome stream was read; set when the first outcome is taken.
    pub(super) stream: Option<Stream>,
    pub(super) terms: Option<Arc<Terms>>,
    /// The sender's: it goes back with the frame.
    pub(super) rank: u64,
    /// When it was posted, where it has a time limit.
    pub(super) posted: Option<Instant>,
    /// The item that was last seen running, and since when it does.
    pub(super) seen: Option<(u32, Instant)>,
}

/// A frame of which the worker is to give back its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halted {
    pub(super) sequence: u64,
    /// How far it was then, at least: once it publishes more it has seen that it is to halt.
    pub(super) at: u64,
    /// Whether what the worker had stored before it began the item after that would have been seen.
    pub(super) is_fenced: bool,
}

/// An owner, which has no `Debug` of its own.
pub(super) struct OwnerOf(pub(super) Owner);

impl std::fmt::Debug for OwnerOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("owner")
    }
}

/// Where a slot's outcomes lie, read from the worker once and checked, and how many bytes were taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) read: usize,
}

/// Longer than that nothing takes in a worker's words.
const MOST_BELIEVED: Duration = Duration::from_secs(1);

impl Ledger {
    pub(super) fn new() -> Self {
        let arena = Arena::new(request::ARENA as u64..request::SIZE as u64);
        Self {
            entries: VecDeque::new(),
            next: 0,
            live: 0,
            closed: false,
            corrupt: None,
            arena,
            stock: Stock::new(),
            halted: None,
            marked: None,
            pace: None,
            copy: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == SLOTS
    }

    /// Enters a frame under the next sequence number.
    pub(super) fn enter(&mut self, frame: Frame, block: Option<Block>, room: Option<Room>) -> Ticket {
        let Frame { owner, payload, window: Range { start: first, end }, terms, rank } = frame;
        let (sequence, owner, end) = (self.next, OwnerOf(owner), end - first);
        let posted = terms.as_ref().is_some_and(|terms| terms.is_timed()).then(Instant::now);
        let (delivered, stream, seen) = (0, None, None);
        let entry =
            Entry { sequence, owner, payload, first, end, delivered, block, room, stream, terms, rank, posted, seen };
        self.entries.push_back(entry);
        self.next += 1;
        self.live += 1;
        Ticket(sequence)
    }

    /// Hears how long an item of a frame took. Who was held up once was held up by others as a rule, so it comes to be taken
    /// for slow less quickly than for fast.
    pub(super) fn note_pace(&mut self, nanos: u64) {
        let each = Duration::from_nanos(nanos).min(MOST_BELIEVED);
        if each.is_zero() {
            return;
        }
        self.pace = Some(match self.pace {
            Some(pace) if pace < each => (pace * 7 + each) / 8,
            Some(pace) => (pace + each) / 2,
            None => each,
        });
    }

    /// Remembers how far the frame in work is.
    pub(super) fn mark(&mut self) {
        self.marked = self.entries.front().map(|entry| (entry.sequence, entry.delivered));
    }

    /// Whether the frame in work has several items, and it, or it in place of another, is further than when it was marked.
    pub(super) fn moves(&self) -> bool {
        self.entries
            .front()
            .filter(|entry| entry.end > 1)
            .is_some_and(|entry| self.marked != Some((entry.sequence, entry.delivered)))
    }

    /// Where the entry of a ticket is, if it is still there.
    pub(super) fn index(&self, ticket: Ticket) -> Option<usize> {
        let front = self.entries.front()?.sequence;
        usize::try_from(ticket.0.checked_sub(front)?).ok().filter(|&index| index < self.entries.len())
    }

    /// The account of all that is left, by the words where they can be believed.
    pub(super) fn settle(&mut self, lawful: impl Fn(&Entry) -> Option<Word>) -> Vec<Lost> {
        let believe = self.corrupt.is_none();
        self.live = 0;
        let mut first_live = true;
        let entries = self.entries.drain(..).collect::<Vec<_>>();
        let mut lost = Vec::new();
        for mut entry in entries {
            if let Some(block) = entry.block.take() {
                self.arena.give(block);
            }
            if entry.delivered == entry.end {
                continue;
            }
            let word = if believe { lawful(&entry) } else { None };
            let begun = word.map_or(entry.delivered + u32::from(first_live), Word::next);
            lost.push(entry.lose(begun));
            first_live = false;
        }
        lost
    }
}

impl Entry {
    pub(super) fn slot(&self) -> usize {
        (self.sequence % SLOTS as u64) as usize
    }

    pub(super) fn lap(&self) -> u64 {
        lap_of(self.sequence)
    }

    /// What its word is to be held against.
    pub(super) fn posted(&self) -> Posted {
        Posted { lap: self.lap(), end: self.end, delivered: self.delivered }
    }

    /// What runs of it, if something does by its word, which is lawful. `told` is when that began, in its worker's words.
    pub(super) fn running(&mut self, word: Word, told: u64) -> Option<Running> {
        let item = (word.done() < word.next()).then(|| word.done())?;
        let since = self.posted.map(|posted| {
            // Asked once, so that it does not move.
            let known = self.seen.filter(|(seen, _)| *seen == item).map(|(_, since)| since);
            let since = known.unwrap_or_else(|| believed(told, posted, Instant::now()));
            self.seen = Some((item, since));
            since
        });
        let (ticket, owner, terms) = (Ticket(self.sequence), self.owner.0.clone(), self.terms.clone());
        Some(Running { ticket, owner, item: self.first + item, terms, since })
    }

    /// Takes the items from `from` on out of the entry, as a frame of their own. The payload is kept by both, since the
    /// items before may still have to go elsewhere; where those are none, it goes with the frame.
    pub(super) fn split(&mut self, from: u32) -> Frame {
        let window = self.first + from..self.first + self.end;
        self.end = from;
        let payload = match &mut self.payload {
            payload if from == self.delivered => std::mem::replace(payload, Body::Owned(Vec::new())),
            payload => payload.share(),
        };
        Frame { owner: self.owner.0.clone(), payload, window, terms: self.terms.clone(), rank: self.rank }
    }

    /// What the loss of the worker means for this frame, of which `begun` items were claimed. One at most gets the blame: a
    /// worker that claims to have begun more without publishing them lies, and no item may be left without an account.
    fn lose(mut self, begun: u32) -> Lost {
        let begun = begun.clamp(self.delivered, self.end.min(self.delivered + 1));
        let blamed = (begun > self.delivered).then_some(self.first + self.delivered);
        let rest = (begun < self.end).then(|| self.split(begun));
        Lost { owner: self.owner.0, blamed, rest }
    }
}

/// In which lap of the ring the frame of this sequence number is. The first lap is 1: zeroed words are of lap 0.
pub(super) fn lap_of(sequence: u64) -> u64 {
    (sequence / SLOTS as u64 + 1) & ((1 << LAP_BITS) - 1)
}
