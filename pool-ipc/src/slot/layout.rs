//! Where everything lies in the two memories of a link. All sizes are in bytes.
//!
//! Requests are written by the parent alone (the worker's mapping cannot be made writable); words and outcomes lie in the
//! other memory, words on pages of their own, so that neither a stray write nor a cache line of the payload is near them.

/// How many frames a link holds.
pub(crate) const SLOTS: usize = 64;

/// What one slot has of inline room in each direction, its header included.
pub(crate) const SLOT_SIZE: usize = 512;

/// Payloads longer than this travel in memory of their own.
pub(crate) const ARENA_MAX: usize = 256 * 1024;

/// The size of each arena. Its pages cost nothing before they are used.
pub(crate) const ARENA_SIZE: usize = 4 * 1024 * 1024;

const LINE: usize = 64;
const PAGE: usize = 4096;

/// The memory that the parent writes.
pub(crate) mod request {
    use super::{ARENA_SIZE, LINE, SLOT_SIZE, SLOTS};

    /// The number of the recycled memory that the parent has let go of last.
    pub(crate) const RELEASED: usize = SLOTS * SLOT_SIZE;
    /// How long the worker looks for the next frame before it sleeps, in nanoseconds. Never changes.
    pub(crate) const SPIN: usize = RELEASED + 8;
    /// The sequence number, plus 1, of the frame in which the worker is to claim no blocks, and to give back the one that it has.
    pub(crate) const HALTED: usize = SPIN + 8;
    /// Whether the parent can have the worker see a word that it writes, which is therefore to be looked at without a fence.
    /// Never changes.
    pub(crate) const FENCE: usize = HALTED + 8;
    pub(crate) const ARENA: usize = RELEASED + LINE;
    pub(crate) const SIZE: usize = ARENA + ARENA_SIZE;

    /// The words of a slot's header. The first has the attempt in its upper half.
    pub(crate) const KIND: usize = 0;
    pub(crate) const PLACE: usize = 8;
    pub(crate) const LEN: usize = 16;
    pub(crate) const FIRST: usize = 24;
    /// The lap whose outcomes the parent has taken: what they occupied is free again.
    pub(crate) const COLLECTED: usize = 32;
    /// The sequence number, plus 1, of the frame whose running item is to end.
    pub(crate) const CANCELLED: usize = 40;
    pub(crate) const TIMEOUT: usize = 48;
    pub(crate) const DEADLINE: usize = 56;
    pub(crate) const HEADER: usize = 64;
    pub(crate) const INLINE: usize = SLOT_SIZE - HEADER;

    /// Where a slot's header begins.
    pub(crate) fn slot(slot: usize) -> usize {
        slot * SLOT_SIZE
    }

    /// Where the payload is.
    pub(crate) const KIND_INLINE: u64 = 0;
    pub(crate) const KIND_ARENA: u64 = 1;
    pub(crate) const KIND_LARGE: u64 = 2;
    /// In recycled memory, whose number is the upper half of `FIRST`.
    pub(crate) const KIND_BULK: u64 = 3;
}

/// The memory that the worker writes.
pub(crate) mod outcome {
    use super::{ARENA_SIZE, LINE, PAGE, SLOT_SIZE, SLOTS};

    const WORDS: usize = SLOTS * LINE;
    pub(crate) const ARMED: usize = WORDS.next_multiple_of(PAGE);
    const AREAS: usize = ARMED + PAGE;
    pub(crate) const ARENA: usize = AREAS + SLOTS * SLOT_SIZE;
    pub(crate) const SIZE: usize = ARENA + ARENA_SIZE;

    /// The words of an area's header.
    pub(crate) const WRITTEN: usize = 0;
    pub(crate) const STREAM: usize = 8;
    pub(crate) const STREAM_LEN: usize = 16;
    /// When the item that was claimed last began, in ticks of the clock, where its frame has a time limit.
    pub(crate) const BEGUN: usize = 24;
    /// The sequence number, plus 1, of a frame of whose request the worker has kept a part, or never got it.
    pub(crate) const KEPT: usize = 32;
    /// How long an item of the last frame took here, from one end of the frame to the other, in nanoseconds.
    pub(crate) const TOOK: usize = 40;
    /// How many items of the frame are over, where the worker has claimed a block.
    pub(crate) const PROGRESS: usize = 48;
    pub(crate) const HEADER: usize = 56;
    pub(crate) const INLINE: usize = SLOT_SIZE - HEADER;

    /// Where a slot's word is.
    pub(crate) fn word(slot: usize) -> usize {
        slot * LINE
    }

    /// Where a slot's outcome area begins.
    pub(crate) fn area(slot: usize) -> usize {
        AREAS + slot * SLOT_SIZE
    }
}
