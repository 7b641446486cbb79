//! What simulated frames hold: which task it is, some bytes to be checked on arrival, and a reply for each item.

use crate::simulation::policy::Fate;
use crate::simulation::random::Random;
use crate::wire::{Cursor, Failure, PanicReport, unpack, write_failure, write_value};

/// A value that retry policies may mind. No item returns it else.
pub(super) const UNWANTED: u64 = 0;

/// What simulated tasks say that panic.
pub(super) const PANIC: &str = "simulated";

/// The payload of a task: what tells it from a pack, its number, and `padding` bytes that follow from it.
pub(super) fn payload(id: u64, padding: usize) -> Vec<u8> {
    let mut bytes = vec![SINGLE];
    bytes.extend(id.to_le_bytes());
    bytes.extend(pad(id).take(padding));
    bytes
}

/// The head of a request that is no pack.
const SINGLE: u8 = 0;

/// The task that an item of a frame is of, and the item's number there, if the bytes are as they were.
pub(super) fn read(bytes: &[u8], item: u32) -> Option<(u64, u32)> {
    match unpack(bytes, item, &mut Cursor::default()) {
        Some(request) => Some((read_single(request)?, 0)),
        None => Some((read_single(bytes)?, item)),
    }
}

fn read_single(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.strip_prefix(&[SINGLE])?;
    let (id, padding) = bytes.split_first_chunk::<8>()?;
    let id = u64::from_le_bytes(*id);
    padding.iter().copied().eq(pad(id).take(padding.len())).then_some(id)
}

/// What an item returns.
pub(super) fn value_of(id: u64, item: u32) -> u64 {
    Random::new(id << 16 | u64::from(item)).next().max(UNWANTED + 1)
}

/// An item's reply.
pub(super) fn reply(id: u64, item: u32, fate: Fate) -> Vec<u8> {
    let mut reply = Vec::new();
    let value = match fate {
        Fate::Value => value_of(id, item),
        Fate::Unwanted => UNWANTED,
        Fate::Panic => {
            let report = PanicReport { message: PANIC.to_owned(), ..PanicReport::default() };
            write_failure(&mut reply, &Failure::Panicked(report));
            return reply;
        }
    };
    write_value(&mut reply);
    postcard::to_extend(&value, reply).expect("a number is encoded into memory")
}

fn pad(id: u64) -> impl Iterator<Item = u8> {
    (0..).map(move |at: u64| (id.wrapping_mul(31).wrapping_add(at)) as u8)
}
