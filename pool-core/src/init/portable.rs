//! Where workers are threads only, no process is ever started as one.
//!
//! Keeps true: nothing happens. Never: anything else.

pub(super) fn init() {}

/// There is no hook to keep.
pub(crate) fn keep_hook() {}

/// This process is no worker.
pub(crate) fn refuse_in_worker() {}
