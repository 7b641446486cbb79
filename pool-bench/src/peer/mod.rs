//! The other sides: what the pool is compared with, and the limits of the machine.
//!
//! Each file is one of them, with the role that its other process plays. Never: decides where a case runs it.

pub(crate) mod burner;
pub(crate) mod futex;
pub(crate) mod ipc;
pub(crate) mod pipe;
pub(crate) mod procspawn;
pub(crate) mod python;
pub(crate) mod rayon;

use crate::case::Failure;

/// One call and its answer, whatever it goes through.
pub(crate) type RoundTrip = Box<dyn FnMut() -> Result<(), Failure>>;
