//! Everything that crosses between pool and worker, and nothing else does: requests, replies, the boot message and the
//! greeting.
//!
//! Keeps true: whatever a worker sends is only bytes here, and any bytes give a value or an error, never a panic, and
//! never more memory than a small multiple of their own length. Never: sends, waits, or looks into a user's value.
//!
//! One version covers all of it ([`VERSION`]): parent and worker are the same executable, which the boot message and
//! the greeting establish before anything else is said. Their own first bytes therefore never change their meaning.
//!
//! ```text
//! request  head: varint (task << 2 | shape)     0, one:  the arguments, up to the end
//!                                               1, many: for each item its length (varint) and its arguments
//!                                               2, pack: for each item its length (varint) and a request of one
//!                                               3, fixed: a width (varint), and so many bytes for each item
//! reply    0, the result                        or    1, a Failure
//!          2, a result that speaks of shared values
//!          3, a result of fixed width
//! boot     version: 4 bytes, fingerprint: 8 bytes, a Boot
//! process  version: 4 bytes, fingerprint: 8 bytes, length: 8 bytes, a ProcessBoot, a request
//! greeting 0, fingerprint: 8 bytes              or    1 (another build)     or    2, the initializer's error
//! ```

mod boot;
#[cfg(test)]
mod fuzz;
mod process;
mod reply;
mod request;

pub(crate) use boot::{Boot, Greeting};
pub(crate) use process::ProcessBoot;
pub(crate) use reply::{
    FIXED_VALUE, Failure, PanicReport, is_fixed, is_shared, mark_shared, read_reply, write_failure, write_value,
};
pub(crate) use request::{
    BatchWriter, Cursor, FixedWriter, PackWriter, RequestReader, encode_sharing_single, encode_sharing_single_in,
    encode_single, unpack,
};

/// The version of all messages.
pub(crate) const VERSION: u32 = 1;
