//! The worker's end of the slots: wait for the next frame, hand it to whoever runs it, publish what comes of it.
//!
//! The worker walks the ring in order and trusts its parent, whose requests it cannot write.

use std::collections::TryReserveError;
use std::ops::DerefMut;
use std::sync::Arc;

use self::assignment::SlotAssignment;
use self::bulk::Bulk;
use self::claiming::Claimed;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::claiming::lend_fences;
pub(crate) use self::closing::Closing;
pub(crate) use self::fixed::SlotRun;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::lingering::have_worker_spin;
use self::stream::Stream;
use super::arena::{Arena, Block};
use super::layout::{SLOTS, outcome, request};
use super::ledger::lap_of;
use super::parent::Memory;
use super::record::Record;
use super::word::{self, Word};
use crate::backend::Job;
use crate::body::{Body, FrozenMemory, Inset, pieces};
use crate::fence::Light;
use crate::fixed::{FixedEnd, FixedItems, FixedRun};
use crate::spin::Spin;
use crate::terms::Assignment;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// How many outcomes of one frame may have memory of their own. The rest of the frame is then given back, so that what is
/// under way at any time stays bounded.
pub(crate) const LARGE_A_FRAME: usize = 64;

/// What the worker's end needs of the world.
pub(crate) trait WorkerSide {
    /// Sleeps while the word's upper half is that of `seen`. May return early.
    fn sleep(&self, word: &AtomicU64, seen: Word);
    /// Rings the manager's doorbell.
    fn ring(&self);
    /// Makes sure that a range of the outcome memory is there.
    fn commit(&self, offset: u64, len: u64) -> bool;
    /// The payload that the parent sent under this number. Those with lower numbers are not asked for any more.
    fn take_large(&mut self, id: u64) -> TakenLarge;
    /// The recycled memory that the parent sent under this number. Earlier ones are not asked for any more.
    fn take_bulk(&mut self, _id: u32) -> TakenBulk {
        TakenBulk::Gone
    }
    /// Sends an outcome in memory of its own, its pieces one behind the other.
    ///
    /// # Errors
    /// The system's error number.
    fn send_large(&mut self, id: u64, pieces: &[&[u8]]) -> Result<(), i32>;
}

/// How [`WorkerSide::take_large`] went.
pub(crate) enum TakenLarge {
    Taken(Body),
    /// It came, but this process has no room for it: the system's error number.
    Failed(i32),
    /// The parent is gone, or breaks the protocol.
    Gone,
}

/// How [`WorkerSide::take_bulk`] went.
#[cfg_attr(
    not(all(target_os = "linux", not(pool_portable))),
    expect(dead_code, reason = "threads have no memory apart")
)]
pub(crate) enum TakenBulk {
    Taken(Memory),
    /// As with [`TakenLarge`].
    Failed(i32),
    Gone,
}

/// The worker's end.
pub(crate) struct WorkerEnd<S> {
    memory: Arc<Memory>,
    closing: Arc<Closing>,
    side: S,
    /// The sequence number of the frame that it runs or waits for.
    sequence: u64,
    arena: Arena,
    /// What the outcomes of each slot occupy, until the parent has taken them.
    held: Vec<Vec<Block>>,
    bulk: Option<Bulk>,
    assignment: Arc<SlotAssignment>,
    spin: Spin,
    light: Light,
    /// Not where the time is not the real one.
    tells_pace: bool,
}

impl<S: WorkerSide> WorkerEnd<S> {
    pub(crate) fn new(memory: Arc<Memory>, closing: Arc<Closing>, side: S) -> Self {
        let arena = Arena::new(outcome::ARENA as u64..outcome::SIZE as u64);
        let held = std::iter::repeat_with(Vec::new).take(SLOTS).collect();
        let assignment = Arc::new(SlotAssignment { memory: Arc::clone(&memory), current: AtomicU64::new(0) });
        let (spin, light) = (lingering::spin(&memory), claiming::light_fence(&memory));
        Self { memory, closing, side, sequence: 0, arena, held, bulk: None, assignment, spin, light, tells_pace: true }
    }

    /// What there is to know of the item that runs.
    pub(crate) fn assignment(&self) -> Arc<dyn Assignment> {
        Arc::<SlotAssignment>::clone(&self.assignment)
    }

    #[cfg_attr(
        not(all(target_os = "linux", not(pool_portable))),
        expect(dead_code, reason = "threads speak to their hub directly")
    )]
    pub(crate) fn side(&mut self) -> &mut S {
        &mut self.side
    }

    /// Runs frames until the link is closed and nothing is posted.
    pub(crate) fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job)) {
        while self.await_frame() {
            let (mut job, opened) = SlotJob::open(&mut *self);
            match opened {
                Opened::Ready => work(&mut job),
                Opened::Failed(errno) => job.fail(errno),
                Opened::Recalled => {}
                Opened::Gone => return,
            }
            job.leave();
        }
    }

    /// False: the link is closed and all was run.
    fn await_frame(&mut self) -> bool {
        loop {
            self.linger();
            match self.look() {
                Look::Frame => return true,
                Look::Closed => return false,
                Look::Changed => {}
                Look::Asleep(sleeping) => {
                    if self.bulk.is_some() {
                        self.forget_released();
                    }
                    self.side.sleep(self.memory.outcome.word(outcome::word(self.slot())), sleeping);
                }
            }
        }
    }

    /// Looks for the next frame, and where there is none announces sleep.
    pub(crate) fn look(&self) -> Look {
        let word = self.memory.outcome.word(outcome::word(self.slot()));
        let closing = self.closing.is_closing();
        let seen = Word::load(word);
        if seen.lap() == lap_of(self.sequence) {
            return Look::Frame;
        }
        if closing {
            return Look::Closed;
        }
        match word::announce_sleep(word, seen) {
            Some(sleeping) if !self.closing.is_closing() => Look::Asleep(sleeping),
            _ => Look::Changed,
        }
    }

    fn slot(&self) -> usize {
        (self.sequence % SLOTS as u64) as usize
    }

    /// Frees what the outcomes of a slot's former lap occupied: the parent has taken them, or would not have posted.
    fn release(&mut self, slot: usize) {
        for block in self.held[slot].drain(..) {
            self.arena.give(block);
        }
        if let Some(bulk) = &mut self.bulk {
            bulk.release(slot);
        }
    }

    /// Takes arena memory for the current slot, looking for collected slots where there is none.
    fn take(&mut self, len: usize) -> Option<(usize, usize)> {
        let block = self.try_take(len).or_else(|| {
            self.release_collected();
            self.try_take(len)
        })?;
        let offset = block.offset();
        let slot = self.slot();
        self.held[slot].push(block);
        Some((offset, len))
    }

    fn try_take(&mut self, len: usize) -> Option<Block> {
        let side = &self.side;
        self.arena.take(len as u64, |offset, len| side.commit(offset, len))
    }

    fn release_collected(&mut self) {
        for back in 1..SLOTS as u64 {
            let Some(sequence) = self.sequence.checked_sub(back) else { return };
            let slot = (sequence % SLOTS as u64) as usize;
            let collected = self.memory.request.word(request::slot(slot) + request::COLLECTED);
            if collected.load(Ordering::Acquire) == lap_of(sequence) {
                self.release(slot);
            }
        }
    }
}

/// What a worker finds that looks for a frame.
pub(crate) enum Look {
    Frame,
    /// The link is closed and all was run.
    Closed,
    /// Something happened just now: look again.
    Changed,
    /// Nothing, and it may sleep while the word stays like this.
    Asleep(Word),
}

/// One frame in the hands of a worker's end, which it borrows or owns.
pub(crate) struct SlotJob<E> {
    end: E,
    memory: Arc<Memory>,
    payload: Payload,
    first: u32,
    items: u32,
    /// Where its slot's word is, and its slot's outcome area.
    word: usize,
    area: usize,
    lap: u64,
    /// Where its outcomes go, chosen before the first is published.
    stream: Option<Stream>,
    hold: Hold,
    claimed: Claimed,
    /// How many outcomes have memory of their own.
    large: usize,
    /// Whether the request lies in recycled memory.
    recycled: bool,
    /// Whether the parent wants to know when an item begins.
    timed: bool,
    /// The record that is being made; kept for its memory.
    record: Vec<u8>,
    /// When it was received, where the worker tells its pace.
    opened: Option<Instant>,
}

/// Whether the request is surely there: the parent leaves it alone until the frame is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing was claimed: the frame is not over before it is left.
    Fresh,
    /// An item is claimed and not published, which keeps the frame open.
    Claimed,
    /// All claimed items are published. The parent may recall the others, and use the memory again.
    Published,
}

/// Where the request is.
enum Payload {
    Region { offset: usize, len: usize },
    Body(Body),
}

/// How a frame was received.
pub(crate) enum Opened {
    Ready,
    /// It was recalled before anything of it was claimed.
    Recalled,
    /// Its payload found no room in this process.
    Failed(i32),
    /// Its payload never came.
    Gone,
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> SlotJob<E> {
    /// Receives the frame that was found.
    pub(crate) fn open(mut end: E) -> (Self, Opened) {
        let slot = end.slot();
        end.release(slot);
        end.assignment.current.store(end.sequence + 1, Ordering::Relaxed);
        let memory = Arc::clone(&end.memory);
        let payload = Payload::Region { offset: 0, len: 0 };
        let (word, area, lap) = (outcome::word(slot), outcome::area(slot), lap_of(end.sequence));
        let opened = end.times_this_frame().then(Instant::now);
        let (stream, large, recycled, timed, record) = (None, 0, false, false, Vec::new());
        let mut job = Self {
            end,
            memory,
            payload,
            first: 0,
            items: 0,
            word,
            area,
            lap,
            stream,
            hold: Hold::Fresh,
            claimed: Claimed::default(),
            large,
            recycled,
            timed,
            record,
            opened,
        };
        let opened = job.receive();
        (job, opened)
    }

    fn receive(&mut self) -> Opened {
        let header = request::slot(self.end.slot());
        let memory = Arc::clone(&self.memory);
        let field = |field: usize| memory.request.word(header + field).load(Ordering::Relaxed);
        self.items = Word::load(self.word()).end();
        self.first = field(request::FIRST) as u32;
        self.timed = field(request::TIMEOUT) | field(request::DEADLINE) != 0;
        let kind = field(request::KIND) & u64::from(u32::MAX);
        let (place, len) = (field(request::PLACE), field(request::LEN) as usize);
        if self.items == 0 {
            // What was sent for it is taken off the channel, which would fill up otherwise.
            let sent = matches!(kind, request::KIND_LARGE | request::KIND_BULK);
            let gone = sent && matches!(self.take_large(kind, place, len), TakenLarge::Gone);
            return if gone { Opened::Gone } else { Opened::Recalled };
        }
        self.payload = match kind {
            request::KIND_INLINE => Payload::Region { offset: header + request::HEADER, len },
            request::KIND_ARENA => Payload::Region { offset: place as usize, len },
            kind => match self.take_large(kind, place, len) {
                TakenLarge::Taken(body) => Payload::Body(body),
                TakenLarge::Failed(_) if self.recycled => {
                    // It goes back, and comes again in memory of its own.
                    self.tell_kept();
                    return Opened::Recalled;
                }
                TakenLarge::Failed(errno) => {
                    self.payload = Payload::Region { offset: 0, len };
                    return Opened::Failed(errno);
                }
                TakenLarge::Gone => return Opened::Gone,
            },
        };
        Opened::Ready
    }

    /// Ends every item of a frame whose payload found no room here.
    fn fail(&mut self, errno: i32) {
        let size = match &self.payload {
            Payload::Region { len, .. } => *len as u64,
            Payload::Body(body) => body.len() as u64,
        };
        while self.claim().is_some() {
            self.record.clear();
            Record::Failed { size, errno }.write(&mut self.record);
            self.lay_record();
            self.publish_laid();
        }
    }

    /// The request's bytes, of a frame that is not over for as long as they are borrowed.
    fn bytes_of<'m>(memory: &'m Memory, payload: &'m Payload) -> &'m [u8] {
        match payload {
            Payload::Body(body) => body.as_slice(),
            Payload::Region { offset, len } => {
                // SAFETY: the parent writes this range before it posts the frame and leaves it alone until the frame is
                // over, which it is not before the last item is published. Whoever borrows it has an item claimed, or none claimed yet, and
                // lets go of it before he publishes what he has claimed. The worker itself has no writable mapping of it.
                let bytes = unsafe { memory.request.borrow(*offset, *len) };
                bytes.expect("the parent keeps to the layout")
            }
        }
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        self.memory.outcome.word(self.word)
    }

    /// A word of its slot's outcome area.
    #[inline]
    fn field(&self, field: usize) -> &AtomicU64 {
        self.memory.outcome.word(self.area + field)
    }

    /// Gives back what nobody claimed, tells the manager, and goes on. It also hears of a frame that was recalled whole:
    /// there is a free slot for those who were told that the link is full.
    pub(crate) fn leave(mut self) -> E {
        self.tell_pace();
        word::decline(self.word(), self.lap);
        word::pass(self.word(), self.lap);
        if word::take_armed(self.memory.outcome.word(outcome::ARMED)) {
            self.end.side.ring();
        }
        self.end.assignment.current.store(0, Ordering::Relaxed);
        self.end.sequence += 1;
        self.end
    }
}

impl<S: WorkerSide, E: DerefMut<Target = WorkerEnd<S>>> Job for SlotJob<E> {
    fn request(&self) -> &[u8] {
        match &self.payload {
            Payload::Region { .. } if self.hold == Hold::Published => &[],
            Payload::Body(_) if self.recycled && self.hold == Hold::Published => &[],
            payload => Self::bytes_of(&self.memory, payload),
        }
    }

    fn claim(&mut self) -> Option<u32> {
        self.claim_one()
    }

    fn publish(&mut self, bytes: &[u8]) {
        if !self.lay_inline(bytes) {
            self.write_record(bytes);
            self.lay_record();
        }
        self.publish_laid();
    }

    fn publish_and_claim(&mut self, bytes: &[u8]) -> Option<u32> {
        // The beginning of an item is noted before its claim, which is a step of its own then.
        if self.timed || !self.lay_inline(bytes) {
            self.publish(bytes);
            return self.claim_one();
        }
        self.go_on()
    }

    fn publish_fixed(
        &mut self,
        first: &[u8],
        items: FixedItems,
        run: &mut dyn FnMut(&mut FixedRun<'_>) -> bool,
    ) -> FixedEnd {
        self.run_fixed(first, items, run)
    }

    fn memory(&self) -> Option<FrozenMemory> {
        match &self.payload {
            Payload::Body(Body::Frozen(memory)) if !self.recycled || self.hold != Hold::Published => {
                Some(memory.clone())
            }
            _ => None,
        }
    }

    fn publish_joined(&mut self, bytes: &[u8], insets: Vec<Inset>) -> Result<(), TryReserveError> {
        let record = self.write_large(&pieces(bytes, &insets));
        // They may be parts of the request.
        drop(insets);
        self.record.clear();
        record.write(&mut self.record);
        self.lay_record();
        self.publish_laid();
        Ok(())
    }
}

mod assignment;
mod bulk;
mod claiming;
mod closing;
mod fixed;
mod lingering;
mod pace;
#[cfg(feature = "simulation")]
mod simulated;
mod stream;
