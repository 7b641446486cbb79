//! Slots: frames in memory that two processes share. The protocol is told in README.md beside this file.

pub(crate) mod word;

#[cfg(not(loom))]
mod arena;
#[cfg(not(loom))]
pub(crate) mod layout;
#[cfg(not(loom))]
mod ledger;
#[cfg(not(loom))]
pub(crate) mod parent;
#[cfg(not(loom))]
mod record;
#[cfg(not(loom))]
pub(crate) mod region;
#[cfg(not(loom))]
pub(crate) mod worker;
