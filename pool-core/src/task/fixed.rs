//! Calls whose arguments are numbers, or tuples of them, all of the same width: the items of most maps over numbers.
//!
//! Keeps true: what comes of a call is what would come of it by itself; a reply that is not as long as the first one travels by
//! itself. Never: touches a shared value, which is no number.

use std::any::type_name;

use pool_ipc::FixedOutcome;

use super::codec::{WIDEST, decode_fixed, encode_fixed, is_plain};
use super::{Answer, Arguments, Calls, Progress, Task};
use crate::sharing;

/// What replies begin with.
#[derive(Clone, Copy)]
struct Tags {
    /// Those whose result is of fixed width. None, if no result is.
    fixed: Option<u8>,
    /// All others.
    any: Option<u8>,
}

/// Runs calls, as long as each has a reply like the first one's. Those of fixed width begin with `tag`.
pub(super) fn run<F: Task<Args>, Args: Arguments>(task: &F, calls: &mut dyn Calls, tag: u8, answer: &mut Answer<'_>) {
    sharing::end_arguments();
    let tags = Tags { fixed: is_plain::<F::Output>().then_some(tag), any: answer.result.first().copied() };
    let mut outcome: FixedOutcome = [0; _];
    let Some(length) = answer.reply_to(task, calls.arguments(), tags, &mut outcome) else { return };
    answer.set(&outcome[..length]);
    let first = outcome;
    calls.go_on_fixed(&first[..length], &mut |run, may_go_on| {
        loop {
            match answer.reply_to(task, run.arguments(), tags, &mut outcome) {
                Some(as_long) if as_long == length && may_go_on() => {}
                Some(length) => {
                    answer.set(&outcome[..length]);
                    return false;
                }
                None => return false,
            }
            if !run.go_on(&outcome) {
                return true;
            }
        }
    });
}

impl Answer<'_> {
    /// Answers a call and gives how long its reply is, which stands in the outcome. `None`: it is not of fixed width, or there is
    /// none.
    #[inline(always)]
    fn reply_to<F: Task<Args>, Args: Arguments>(
        &mut self,
        task: &F,
        arguments: &[u8],
        tags: Tags,
        outcome: &mut FixedOutcome,
    ) -> Option<usize> {
        self.begin(type_name::<Args>());
        let args = match decode_fixed::<Args>(arguments) {
            Ok(args) => args,
            Err(reason) => {
                self.refuse(reason);
                return None;
            }
        };
        self.call(task, args, |answer, result| {
            let width = tags.fixed.and_then(|tag| encode_fixed(room_in(outcome, tag), result));
            match width {
                Some(_) => answer.progress = Progress::Done,
                None => {
                    answer.set(tags.any.as_slice());
                    answer.encode(result);
                }
            }
            width.map(|width| 1 + width)
        })
    }

    /// Makes this the reply.
    fn set(&mut self, reply: &[u8]) {
        self.result.clear();
        self.result.extend_from_slice(reply);
    }
}

/// Where the value of a reply stands, behind the tag.
#[inline]
fn room_in(outcome: &mut FixedOutcome, tag: u8) -> &mut [u8; WIDEST] {
    const { assert!(WIDEST < size_of::<FixedOutcome>()) };
    let [first, room @ ..] = outcome;
    *first = tag;
    room.first_chunk_mut().expect("it is longer than that")
}
