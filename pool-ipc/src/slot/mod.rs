//! Slots: frames in memory that two processes share. The protocol is told in README.md beside this file.

mod arena;
pub(crate) mod bulk;
pub(crate) mod layout;
mod ledger;
pub(crate) mod parent;
pub(crate) mod record;
pub(crate) mod region;
mod together;
pub(crate) mod worker;
#[expect(unreachable_pub, reason = "the models, a test of their own, compile the file as a public module")]
pub(crate) mod word;

/// The atomics that `word` is written with. The models compile that file once more, with the model checker's.
use std::sync::atomic;

#[cfg(test)]
mod hostile;
