//! Requests: a task's number, and the arguments of one call of it or of many; or several requests of one call each.
//!
//! Keeps true: each item of a batch can be decoded whatever became of the others; an item that cannot be encoded leaves
//! the batch as if it had never been tried, also when it panicked. Never: aborts because memory is short.

use std::ops::Range;

use pool_ipc::{Body, FixedItems};
use serde::Serialize;

use crate::task::{EncodeFailure, TaskId, WIDEST, encode_into, encode_sharing};

/// Encodes the request of a single call. `reserve` is how many bytes it will probably take.
pub(crate) fn encode_single(task: TaskId, args: &impl Serialize, reserve: usize) -> Result<Vec<u8>, EncodeFailure> {
    let mut bytes = Vec::new();
    make_room(&mut bytes, reserve.max(HEAD))?;
    push_varint(&mut bytes, head(task, Shape::One));
    encode_into(&mut bytes, args)?;
    Ok(bytes)
}

/// The same, but large [`Bytes`](crate::Bytes) stay where they are.
pub(crate) fn encode_sharing_single(task: TaskId, args: &impl Serialize) -> Result<Body, EncodeFailure> {
    encode_sharing_single_in(Vec::new(), task, args)
}

/// The same, in the memory of a vector that is not needed any more.
pub(crate) fn encode_sharing_single_in(
    mut bytes: Vec<u8>,
    task: TaskId,
    args: &impl Serialize,
) -> Result<Body, EncodeFailure> {
    let mut insets = Vec::new();
    bytes.clear();
    make_room(&mut bytes, HEAD)?;
    push_varint(&mut bytes, head(task, Shape::One));
    encode_sharing(&mut bytes, Some(&mut insets), args)?;
    Ok(Body::joined(bytes, insets))
}

/// Encodes a batch, item after item.
#[derive(Debug)]
pub(crate) struct BatchWriter {
    bytes: Vec<u8>,
    /// How many bytes are the head and whole items; what lies behind them was given up.
    whole: usize,
    items: u32,
    /// How many bytes the length of the last item took. The next one is likely to be as long, and need not be moved.
    width: usize,
}

impl BatchWriter {
    /// An empty batch. `reserve` is how many bytes it will probably take.
    pub(crate) fn new(task: TaskId, reserve: usize) -> Result<Self, EncodeFailure> {
        let mut bytes = Vec::new();
        make_room(&mut bytes, reserve.max(HEAD))?;
        push_varint(&mut bytes, head(task, Shape::Many));
        Ok(Self { whole: bytes.len(), bytes, items: 0, width: 1 })
    }

    /// Appends one item. After an error the batch is what it was.
    #[inline]
    pub(crate) fn push(&mut self, args: &impl Serialize) -> Result<(), EncodeFailure> {
        self.bytes.truncate(self.whole);
        make_room(&mut self.bytes, self.width)?;
        match self.width {
            1 => self.bytes.push(0),
            width => self.bytes.resize(self.whole + width, 0),
        }
        encode_into(&mut self.bytes, args)?;
        let length = self.bytes.len() - self.whole - self.width;
        if self.width > 1 || length >= 0x80 {
            return self.close_long(length);
        }
        self.bytes[self.whole] = length as u8;
        self.count();
        Ok(())
    }

    /// How many bytes the batch has.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.whole
    }

    /// How many items it has.
    pub(crate) fn items(&self) -> u32 {
        self.items
    }

    /// The request.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.whole);
        self.bytes
    }

    /// Writes the length in front of the item that was just encoded, and counts the item.
    fn close_long(&mut self, length: usize) -> Result<(), EncodeFailure> {
        let start = self.whole + self.width;
        let width = self.width.max(varint_width(length as u64));
        if width > self.width {
            make_room(&mut self.bytes, width - self.width)?;
            let end = self.bytes.len();
            self.bytes.resize(end + width - self.width, 0);
            self.bytes.copy_within(start..end, self.whole + width);
        }
        write_padded(&mut self.bytes[self.whole..self.whole + width], length as u64);
        self.width = varint_width(length as u64);
        self.count();
        Ok(())
    }

    /// What was just encoded is an item.
    #[inline]
    fn count(&mut self) {
        self.whole = self.bytes.len();
        self.items += 1;
    }
}

/// Encodes a batch whose items are all of the same width.
#[derive(Debug)]
pub(crate) struct FixedWriter {
    bytes: Vec<u8>,
    width: usize,
    items: u32,
}

impl FixedWriter {
    /// An empty batch of items of this width, with room for so many and no more.
    pub(crate) fn new(task: TaskId, width: usize, items: usize) -> Result<Self, EncodeFailure> {
        let mut bytes = Vec::new();
        make_room(&mut bytes, items.saturating_mul(width).saturating_add(2 * HEAD + WIDEST))?;
        push_varint(&mut bytes, head(task, Shape::Fixed));
        push_varint(&mut bytes, width as u64);
        Ok(Self { bytes, width, items: 0 })
    }

    /// Appends one item: the first bytes of these, as many as the width says.
    #[inline]
    pub(crate) fn push(&mut self, item: &[u8; WIDEST]) {
        // All of them, in a few moves, of which the rest is cut off again.
        let end = self.bytes.len() + self.width;
        self.bytes.extend_from_slice(item);
        self.bytes.truncate(end);
        self.items += 1;
    }

    /// How many items it has.
    #[inline]
    pub(crate) fn items(&self) -> u32 {
        self.items
    }

    /// The request.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Puts requests of one call each into one, whose items are those calls, in this order.
#[derive(Debug)]
pub(crate) struct PackWriter {
    bytes: Vec<u8>,
}

impl Default for PackWriter {
    fn default() -> Self {
        Self { bytes: vec![Shape::Pack as u8] }
    }
}

impl PackWriter {
    #[inline]
    pub(crate) fn push(&mut self, request: &[u8]) {
        match u8::try_from(request.len()) {
            Ok(length @ ..0x80) => self.bytes.push(length),
            _ => push_varint(&mut self.bytes, request.len() as u64),
        }
        self.bytes.extend_from_slice(request);
    }

    /// The request, without memory that it does not need.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.shrink_to_fit();
        self.bytes
    }
}

/// The request of one of the calls in a pack, or `None` where this is none, or has no such call.
pub(crate) fn unpack<'a>(bytes: &'a [u8], item: u32, cursor: &mut Cursor) -> Option<&'a [u8]> {
    let head = Head::read(bytes)?;
    if head.shape == Shape::Pack { bytes.get(cursor.find(bytes, head.len, item)?) } else { None }
}

/// Reads the calls of a request. The bytes are given to it with each item, the same every time, since who reads may have
/// them for as long as an item runs only; what was once read of them is not read again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RequestReader {
    head: Option<Head>,
    cursor: Cursor,
}

impl RequestReader {
    /// The call of an item, or `None` where there is no such item: what is to be called, which is any number at all until the
    /// table knows it, and where in the request the arguments are.
    #[inline]
    pub(crate) fn find(&mut self, request: &[u8], number: u32) -> Option<(TaskId, Range<usize>)> {
        let head = match self.head {
            Some(head) => head,
            None => self.read_head(request)?,
        };
        match head.shape {
            Shape::Many => Some((head.task, self.cursor.find(request, head.len, number)?)),
            Shape::One => (number == 0).then_some((head.task, head.len..request.len())),
            Shape::Pack => in_pack(request, self.cursor.find(request, head.len, number)?),
            Shape::Fixed => Some((head.task, head.fixed.find(request, number)?)),
        }
    }

    /// Where the items are whose arguments are all of the same width, if the request that was read last is of such.
    pub(crate) fn fixed_items(&self) -> Option<FixedItems> {
        self.head.filter(|head| head.shape == Shape::Fixed).map(|head| head.fixed)
    }

    #[cold]
    fn read_head(&mut self, request: &[u8]) -> Option<Head> {
        self.head = Head::read(request);
        self.head
    }
}

/// The call that one of the requests in a pack holds.
#[inline(never)]
fn in_pack(pack: &[u8], one: Range<usize>) -> Option<(TaskId, Range<usize>)> {
    let head = Head::read(pack.get(one.clone())?)?;
    // Packs hold no packs.
    (head.shape == Shape::One).then_some((head.task, one.start + head.len..one.end))
}

/// What a request begins with.
#[derive(Clone, Copy, Debug)]
struct Head {
    task: TaskId,
    shape: Shape,
    /// How many bytes it takes.
    len: usize,
    /// Where items of one width lie.
    fixed: FixedItems,
}

impl Head {
    fn read(request: &[u8]) -> Option<Self> {
        let (head, mut items) = take_varint(request)?;
        let (task, shape) = (TaskId::from_wire(u32::try_from(head >> SHAPE_BITS).ok()?), Shape::of(head));
        let mut width = 0;
        if shape == Shape::Fixed {
            (width, items) = take_varint(items)?;
        }
        let len = request.len() - items.len();
        Some(Self { task, shape, len, fixed: FixedItems { start: len, width: usize::try_from(width).ok()? } })
    }
}

/// Where the last item that was looked up in a request ended: the next one is found at once, whatever the window of the
/// frame began with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// The item that lies at `offset`.
    item: u32,
    /// From the first item's length on.
    offset: usize,
}

impl Cursor {
    /// Where an item's bytes are in a request whose head has so many.
    #[inline]
    fn find(&mut self, request: &[u8], head: usize, number: u32) -> Option<Range<usize>> {
        // Most are the next one, and short.
        let start = head + self.offset + 1;
        if number == self.item
            && let Some(&length @ ..0x80) = request.get(start - 1)
        {
            let end = start + usize::from(length);
            *self = Self { item: self.item.checked_add(1)?, offset: end - head };
            return (end <= request.len()).then_some(start..end);
        }
        self.seek(request, head, number)
    }

    #[inline(never)]
    fn seek(&mut self, request: &[u8], head: usize, number: u32) -> Option<Range<usize>> {
        if number < self.item {
            *self = Self::default();
        }
        // A window may begin far behind the beginning, and most lengths are one byte.
        while self.item < number
            && let Some(&length @ ..0x80) = request.get(head + self.offset)
        {
            *self = Self { item: self.item + 1, offset: self.offset + 1 + usize::from(length) };
        }
        loop {
            let (length, rest) = take_varint(request.get(head + self.offset..)?)?;
            let start = request.len() - rest.len();
            let end = start.checked_add(usize::try_from(length).ok()?).filter(|&end| end <= request.len())?;
            let found = self.item == number;
            *self = Self { item: self.item.checked_add(1)?, offset: end - head };
            if found {
                return Some(start..end);
            }
        }
    }
}

/// How many calls a request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One.
    One = 0,
    /// Many of one task.
    Many = 1,
    /// Requests of one call each.
    Pack = 2,
    /// Many of one task, all of the same width.
    Fixed = 3,
}

impl Shape {
    fn of(head: u64) -> Self {
        match head & ((1 << SHAPE_BITS) - 1) {
            0 => Self::One,
            1 => Self::Many,
            2 => Self::Pack,
            _ => Self::Fixed,
        }
    }
}

/// How many bits of a head tell the shape.
const SHAPE_BITS: u32 = 2;

/// The most bytes that a head takes.
const HEAD: usize = 5;

fn head(task: TaskId, shape: Shape) -> u64 {
    u64::from(task.to_wire()) << SHAPE_BITS | shape as u64
}

#[inline]
fn make_room(bytes: &mut Vec<u8>, more: usize) -> Result<(), EncodeFailure> {
    if bytes.capacity() - bytes.len() >= more {
        return Ok(());
    }
    grow(bytes, more)
}

#[cold]
fn grow(bytes: &mut Vec<u8>, more: usize) -> Result<(), EncodeFailure> {
    let size = (bytes.len() as u64).saturating_add(more as u64);
    bytes.try_reserve(more).map_err(|_| EncodeFailure::NoMemory { size })
}

/// How many bytes a number takes at seven bits a byte.
fn varint_width(number: u64) -> usize {
    (number.max(1).ilog2() / 7 + 1) as usize
}

fn push_varint(bytes: &mut Vec<u8>, number: u64) {
    let start = bytes.len();
    bytes.resize(start + varint_width(number), 0);
    write_padded(&mut bytes[start..], number);
}

/// Fills `bytes` with a number, low bits first, every byte but the last marked as followed by another.
fn write_padded(bytes: &mut [u8], mut number: u64) {
    let last = bytes.len() - 1;
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = (number & 0x7f) as u8 | if position < last { 0x80 } else { 0 };
        number >>= 7;
    }
}

/// Reads a number of at most ten bytes and gives what follows it.
#[inline]
fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        // Most of them are short.
        [byte @ ..0x80, rest @ ..] => Some((u64::from(*byte), rest)),
        _ => take_long_varint(bytes),
    }
}

fn take_long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (position, &byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * position);
        if shifted >> (7 * position) != bits {
            return None;
        }
        number |= shifted;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests;
