//! Standard output and standard error, written so that `| head` ends the program quietly.
//!
//! Never panics on a closed pipe, as `println!` does, and leaves nothing in a buffer: what a child writes next to the
//! same stdout comes after it.

use std::io::Write;

/// What a shell reports for a program that a closed pipe ended.
const CLOSED_PIPE: i32 = 141;

/// Writes all of it, at once.
pub(crate) fn out(text: &str) {
    bytes(text.as_bytes());
}

/// Writes the bytes as they are, at once.
pub(crate) fn bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(CLOSED_PIPE);
    }
}

/// Writes the bytes to stderr as they are; whether anybody reads them there changes nothing.
pub(crate) fn aside(bytes: &[u8]) {
    let _ = std::io::stderr().lock().write_all(bytes);
}
