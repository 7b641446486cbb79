//! Maps: chunks of any size, buffers or none, results that are read to the end or given up on the way.

use std::ops::ControlFlow;

use super::Player;
use super::verdict::{Expected, end_of, refusal};
use crate::book::End;
use crate::random::Random;
use crate::tasks::{self, answer};

/// The most items of a map.
const MOST_ITEMS: u64 = 200;

/// The largest chunk that is asked for.
const LARGEST_CHUNK: usize = 16;

/// The largest buffer that is asked for.
const LARGEST_BUFFER: usize = 32;

/// One turn: a map.
pub(super) fn play(player: &Player, random: &mut Random) -> ControlFlow<()> {
    let numbers: Vec<u64> = (0..1 + random.below(MOST_ITEMS)).map(|_| player.book.open()).collect();
    let mut options = player.pool.batch();
    if random.one_in(2) {
        options = options.chunksize(1 + random.index(LARGEST_CHUNK));
    }
    if random.one_in(3) {
        options = options.buffersize(1 + random.index(LARGEST_BUFFER));
    }
    let read = if random.one_in(4) { random.index(numbers.len()) } else { numbers.len() };
    let mut left = numbers.iter().copied();
    match options.map(tasks::item, numbers.clone()) {
        Ok(results) => {
            // The task first: it is taken only where there is a result to read.
            for (task, result) in left.by_ref().take(read).zip(results) {
                let expected = if tasks::item_panics(task) { Expected::Panic } else { Expected::Value };
                player.book.settle(task, end_of(result, expected, |value| *value == answer(task)));
            }
            left.for_each(|task| player.book.settle(task, End::Unseen));
            ControlFlow::Continue(())
        }
        Err(error) => {
            left.for_each(|task| player.book.settle(task, refusal(&error)));
            ControlFlow::Break(())
        }
    }
}
