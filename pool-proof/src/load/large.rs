//! Arguments and results that have memory of their own, up to 50 MB, a few at a time. The player waits for them, since
//! looking through them takes too long for a callback.

use std::ops::ControlFlow;
use std::time::Duration;

use pool_core::{Bytes, Future, SubmitError};

use super::Player;
use super::verdict::{Expected, end_of, refusal};
use crate::random::Random;
use crate::tasks::{self, answer};

const LARGEST: usize = 50_000_000;

/// More than fits into the memory of a link.
const SMALLEST: usize = 300_000;

/// One of so many is of the largest size.
const LARGEST_ONES: u64 = 3;

const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// One turn: one that takes and one that gives, side by side.
pub(super) fn play(player: &Player, random: &mut Random) -> ControlFlow<()> {
    let mut length = || match random.one_in(LARGEST_ONES) {
        true => LARGEST,
        false => SMALLEST + random.index(3_000_000),
    };
    let (taken, given) = (length(), length());
    let (taker, giver) = (player.book.open(), player.book.open());
    let takes = player.pool.submit(tasks::take, (taker, tasks::payload(taker, taken)));
    let gives = player.pool.submit(tasks::give, (giver, given));
    let takes = settle(player, taker, takes, |value: &u64| *value == answer(taker));
    let gives = settle(player, giver, gives, |bytes: &Bytes| bytes.len() == given && tasks::is_payload(giver, bytes));
    takes?;
    gives?;
    std::thread::park_timeout(random.duration(LONGEST_PAUSE));
    ControlFlow::Continue(())
}

fn settle<R: serde::de::DeserializeOwned + std::fmt::Debug>(
    player: &Player,
    task: u64,
    submitted: Result<Future<R>, SubmitError>,
    is_right: impl FnOnce(&R) -> bool,
) -> ControlFlow<()> {
    let (end, flow) = match submitted {
        Ok(future) => (end_of(future.result(), Expected::Value, is_right), ControlFlow::Continue(())),
        Err(error) => (refusal(&error), ControlFlow::Break(())),
    };
    player.book.settle(task, end);
    flow
}
