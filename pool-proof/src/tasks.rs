//! What workers are given to do. Each task is a number, and writes into the ledger that it runs before anything else.
//!
//! Keeps true: what comes back tells by itself whether it is the right value; a child that a task starts stays in the
//! worker's group and is in the ledger.

use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pool_core::{Bytes, task};

use crate::ledger::{Deed, note};

/// What a task of this number returns, if it returns a number.
pub(crate) fn answer(task: u64) -> u64 {
    task.wrapping_mul(3).wrapping_add(1)
}

/// What a task says that panics.
pub(crate) const PANIC: &str = "of the load";

/// Does nothing.
pub(crate) fn tiny(task: u64) -> u64 {
    note(task, Deed::Began);
    answer(task)
}

/// Takes five milliseconds, on a core or asleep.
pub(crate) fn five_milliseconds(task: u64) -> u64 {
    note(task, Deed::Began);
    let limit = Duration::from_millis(5);
    if task.is_multiple_of(2) {
        std::thread::sleep(limit);
    } else {
        let start = Instant::now();
        while start.elapsed() < limit {
            std::hint::spin_loop();
        }
    }
    answer(task)
}

/// Panics.
pub(crate) fn panics(task: u64) -> u64 {
    note(task, Deed::Began);
    panic!("{PANIC}")
}

/// An item of a map: mostly tiny, sometimes long, sometimes a panic.
pub(crate) fn item(task: u64) -> u64 {
    match task {
        _ if item_panics(task) => panics(task),
        _ if task.is_multiple_of(16) => five_milliseconds(task),
        _ => tiny(task),
    }
}

/// Whether the item of this number panics.
pub(crate) fn item_panics(task: u64) -> bool {
    task % 32 == 1
}

/// Looks whether it got the right bytes.
pub(crate) fn take(task: u64, payload: Bytes) -> u64 {
    note(task, Deed::Began);
    if is_payload(task, &payload) { answer(task) } else { 0 }
}

/// Returns so many bytes.
pub(crate) fn give(task: u64, length: usize) -> Bytes {
    note(task, Deed::Began);
    payload(task, length)
}

/// Starts a process and leaves it behind, in its group.
pub(crate) fn leave_child(task: u64) -> u64 {
    note(task, Deed::Began);
    drop(start_child(task, "1000"));
    answer(task)
}

/// Starts a process and waits for its end, whatever that is.
pub(crate) fn wait_for_child(task: u64) -> u64 {
    note(task, Deed::Began);
    let ended = start_child(task, "0.02").wait();
    ended.unwrap_or_else(|error| panic!("the child cannot be waited for: {error}"));
    answer(task)
}

/// Costs its worker in the first attempt.
pub(crate) fn abort_first(task: u64) -> u64 {
    note(task, Deed::Began);
    if task::attempt() == 0 {
        std::process::abort();
    }
    answer(task)
}

/// Panics in the first attempt.
pub(crate) fn panic_first(task: u64) -> u64 {
    note(task, Deed::Began);
    if task::attempt() == 0 {
        panic!("{PANIC}")
    }
    answer(task)
}

/// Goes on for longer than anybody waits: one that is asked to end minds that, or does not hear of it, or does not mind.
pub(crate) fn endless(task: u64) -> u64 {
    note(task, Deed::Began);
    let start = Instant::now();
    while start.elapsed() < ENDLESS {
        if !task.is_multiple_of(3) && task::cancelled() && ends_when_asked(task) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    answer(task)
}

/// Whether an endless task ends by itself when it is asked to.
pub(crate) fn ends_when_asked(task: u64) -> bool {
    task % 3 == 1
}

/// Longer than any limit of a task.
const ENDLESS: Duration = Duration::from_secs(20);

/// Comes to a meeting and stays until all are let go.
pub(crate) fn meet(task: u64, place: String) -> u64 {
    note(task, Deed::Began);
    let address = SocketAddr::from_abstract_name(&place).unwrap_or_else(|error| panic!("{place}: {error}"));
    let mut stream = UnixStream::connect_addr(&address).unwrap_or_else(|error| panic!("{place}: {error}"));
    // Nothing, or an error, when all are let go.
    let _ = stream.read(&mut [0]);
    answer(task)
}

/// The bytes that belong to a task.
pub(crate) fn payload(task: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    for (word, place) in (0..).zip(bytes.chunks_mut(8)) {
        place.copy_from_slice(&payload_word(task, word)[..place.len()]);
    }
    Bytes::from(bytes)
}

/// Whether these bytes belong to the task.
pub(crate) fn is_payload(task: u64, bytes: &[u8]) -> bool {
    (0..).zip(bytes.chunks(8)).all(|(word, found)| payload_word(task, word)[..found.len()] == *found)
}

fn payload_word(task: u64, word: u64) -> [u8; 8] {
    (task.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ word.wrapping_mul(0xd129_0cd1_2b5f_71e5)).to_le_bytes()
}

#[expect(clippy::disallowed_methods, reason = "this is what tasks do: start processes that the pool knows nothing of")]
fn start_child(task: u64, seconds: &str) -> Child {
    let child = Command::new("sleep").arg(seconds).spawn().unwrap_or_else(|error| panic!("sleep: {error}"));
    note(task, Deed::Started(child.id()));
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_known_from_any_other() {
        for length in [0, 1, 8, 100_000] {
            let mut bytes = payload(7, length);
            assert!(bytes.len() == length && is_payload(7, &bytes));
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
                assert!(!is_payload(7, &bytes) && !is_payload(8, &payload(7, length)));
            }
        }
    }
}
