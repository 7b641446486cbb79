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
        Ok(mut results) => {
            let (mut unread, mut is_shut) = (End::Unseen, false);
            for task in left.by_ref().take(read) {
                let Some(result) = results.next() else {
                    // What a buffered map had not taken when its pool was shut down, which it said, is never run.
                    let cut = || End::Wrong("no result: the map ended before its items".to_owned());
                    unread = if is_shut { End::ShutDown } else { cut() };
                    player.book.settle(task, unread.clone());
                    break;
                };
                let expected = if tasks::item_panics(task) { Expected::Panic } else { Expected::Value };
                let end = end_of(result, expected, |value| *value == answer(task));
                is_shut = matches!(end, End::ShutDown);
                player.book.settle(task, end);
            }
            left.for_each(|task| player.book.settle(task, unread.clone()));
            ControlFlow::Continue(())
        }
        Err(error) => {
            left.for_each(|task| player.book.settle(task, refusal(&error)));
            ControlFlow::Break(())
        }
    }
}
