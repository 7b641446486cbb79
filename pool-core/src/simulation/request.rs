//! What simulated frames hold: which task it is, some bytes to be checked on arrival, and a value for each item.

use crate::simulation::random::Random;
use crate::wire::write_value;

/// The payload of a task: its number, and `padding` bytes that follow from it.
pub(super) fn payload(id: u64, padding: usize) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(pad(id).take(padding));
    bytes
}

/// The task of a payload, if its bytes are as they were.
pub(super) fn read(bytes: &[u8]) -> Option<u64> {
    let (id, padding) = bytes.split_first_chunk::<8>()?;
    let id = u64::from_le_bytes(*id);
    padding.iter().copied().eq(pad(id).take(padding.len())).then_some(id)
}

/// What an item returns.
pub(super) fn value_of(id: u64, item: u32) -> u64 {
    Random::new(id << 16 | u64::from(item)).next()
}

/// An item's reply.
pub(super) fn reply(id: u64, item: u32) -> Vec<u8> {
    let mut reply = Vec::new();
    write_value(&mut reply);
    postcard::to_extend(&value_of(id, item), reply).expect("a number is encoded into memory")
}

fn pad(id: u64) -> impl Iterator<Item = u8> {
    (0..).map(move |at: u64| (id.wrapping_mul(31).wrapping_add(at)) as u8)
}
