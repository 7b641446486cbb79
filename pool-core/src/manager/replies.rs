//! What calls that travelled together came to, in their worker's words: read one by one, when somebody asks.

use std::ops::Range;

use pool_ipc::{Body, Values};
use serde::de::DeserializeOwned;

use crate::error::TaskError;
use crate::future::{Encoded, decode_number, decode_value};
use crate::task::decode_fixed;
use crate::wire::{FIXED_VALUE, read_reply};

/// Replies of one worker to some items in a row of one frame. Not the frame's owner, who keeps them.
pub(crate) struct Replies {
    pid: u32,
    values: Values,
}

impl Replies {
    /// As they came from the worker of this pid.
    pub(crate) fn new(pid: u32, values: Values) -> Box<Self> {
        Box::new(Self { pid, values })
    }

    /// The items whose replies are still to be taken.
    pub(crate) fn window(&self) -> Range<u32> {
        self.values.window()
    }

    /// Takes the next one as the outcome that it tells. `task` names an item's task.
    pub(crate) fn take(&mut self, task: impl FnOnce(u32) -> &'static str) -> Option<(u32, Result<Encoded, TaskError>)> {
        let (item, reply) = self.values.take()?;
        let start = read_reply(task(item), self.pid, reply);
        Some((item, start.map(|start| Encoded { body: Body::copied(reply), start })))
    }

    /// Takes the next one if it is a number: a value of fixed width, of a type that is plain.
    #[inline]
    pub(crate) fn next_number<R: DeserializeOwned>(&mut self) -> Option<R> {
        self.values.take_short(|reply| match reply {
            [FIXED_VALUE, number @ ..] => decode_fixed(number).ok(),
            _ => None,
        })
    }

    /// Takes the next one as the value that it tells.
    #[inline]
    pub(crate) fn decode<R: DeserializeOwned>(&mut self, task: &'static str) -> Option<Result<R, Box<TaskError>>> {
        let (_, reply) = self.values.take()?;
        if let [FIXED_VALUE, number @ ..] = reply {
            return Some(decode_number(task, number));
        }
        Some(match read_reply(task, self.pid, reply) {
            Ok(start) => decode_value(task, &reply[start..], None),
            Err(error) => Err(Box::new(error)),
        })
    }
}
