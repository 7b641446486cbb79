//! Calls whose arguments are numbers, or tuples of them, all of the same width: the items of most maps over numbers.
//!
//! Keeps true: what comes of a call is what would come of it by itself; a reply that is not as long as the first one travels by
//! itself. Never: touches a shared value, which is no number.

use std::any::type_name;

use pool_ipc::FixedOutcome;

use super::codec::{decode_fixed, encode_fixed};
use super::{Answer, Arguments, Calls, Progress, Task};
use crate::sharing;

/// Runs calls whose results are of a plain type, as long as each has a reply as long as the first one's. Replies of fixed width begin
/// with `tag`.
pub(super) fn run<F: Task<Args>, Args: Arguments>(task: &F, calls: &mut dyn Calls, tag: u8, answer: &mut Answer<'_>) {
    sharing::end_arguments();
    let any = answer.result.first().copied();
    let mut outcome: FixedOutcome = [0; _];
    let Some(width) = answer.result_of(task, calls.arguments(), any, &mut outcome) else { return };
    answer.set(&[tag], &outcome[..width]);
    let first = answer.result.clone();
    calls.go_on_fixed(&first, &mut |run, may_go_on| {
        loop {
            match answer.result_of(task, run.arguments(), any, &mut outcome) {
                Some(as_wide) if as_wide == width && may_go_on() => {}
                Some(width) => {
                    answer.set(&[tag], &outcome[..width]);
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
    /// Answers a call and gives how wide its result is, which stands in the outcome. `None`: it is not of fixed width, or there is
    /// none; then the reply begins with `any`.
    #[cfg_attr(not(debug_assertions), inline(always))] // As `call`.
    fn result_of<F: Task<Args>, Args: Arguments>(
        &mut self,
        task: &F,
        arguments: &[u8],
        any: Option<u8>,
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
            let width = encode_fixed(outcome, result);
            match width {
                Some(_) => answer.progress = Progress::Done,
                None => {
                    answer.set(any.as_slice(), &[]);
                    answer.encode(result);
                }
            }
            width
        })
    }

    /// Makes this the reply.
    fn set(&mut self, head: &[u8], rest: &[u8]) {
        self.result.clear();
        self.result.extend_from_slice(head);
        self.result.extend_from_slice(rest);
    }
}
