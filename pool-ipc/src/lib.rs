//! Moves frames between two processes and reports exits. Knows nothing of tasks or futures.
//!
//! Read in the order of the modules below.

mod backend;
mod exit;
mod frame;

pub use backend::{
    Abilities, Backend, Corrupt, FarEnd, HELLO_TIMEOUT, Hub, Job, Link, LinkEvent, LinkId, MAX_SAID, OpenError,
    Refused, RefusedWhy, StartError, StartOrder, Ticket, WorkerCommand,
};
pub use exit::{ExitCause, signal_name};
pub use frame::{Body, Frame, Lost, MAX_ITEMS, Outcome, Owner, Undelivered};
