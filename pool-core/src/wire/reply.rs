//! Replies: what came of one call.
//!
//! Keeps true: who the worker is and which task it ran is known to the pool, so a reply does not say it and cannot lie
//! about it; a reply that makes no sense is an error of its own future. Never: decodes a result, which is left to the
//! thread that asks for it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{CodecError, Coded, NoMemory, NotFound, Panic, Reason, TaskError, escaped, tamed};
use crate::task::{EncodeFailure, decode, encode_into};

/// Why a call has no result, in its worker's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// The task panicked.
    Panicked(PanicReport),
    /// This executable has no such task.
    NotFound {
        /// The number that was asked for.
        task: u32,
    },
    /// The arguments could not be decoded.
    Undecoded {
        /// Their type.
        type_name: String,
        /// What was said of it.
        reason: Reason,
    },
    /// The result could not be encoded.
    Unencoded {
        /// Its type.
        type_name: String,
        /// What was said of it.
        reason: Reason,
    },
    /// The result did not fit into memory.
    NoMemory {
        /// How many bytes it has at least.
        size: u64,
    },
}

/// A panic as the thread saw it that it happened in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PanicReport {
    /// What it said.
    pub(crate) message: String,
    /// `file:line:column`, where known.
    pub(crate) location: Option<String>,
    /// The stack, where asked for.
    pub(crate) backtrace: Option<String>,
    /// The thread's name.
    pub(crate) thread: String,
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

/// Begins the reply of a call that goes well; the result's bytes follow.
pub(crate) fn write_value(reply: &mut Vec<u8>) {
    reply.clear();
    reply.push(VALUE);
}

/// Notes that the result speaks of shared values, which are to be kept for it then.
pub(crate) fn mark_shared(reply: &mut [u8]) {
    if let [tag @ VALUE, ..] = reply {
        *tag = SHARED_VALUE;
    }
}

/// Whether a worker says that its result speaks of shared values.
pub(crate) fn is_shared(reply: &[u8]) -> bool {
    reply.first() == Some(&SHARED_VALUE)
}

/// Whether the result is one of fixed width. `reply` may be what stands before it.
#[inline]
pub(crate) fn is_fixed(reply: &[u8]) -> bool {
    reply.first() == Some(&FIXED_VALUE)
}

/// Writes the reply of a call that has no result.
pub(crate) fn write_failure(reply: &mut Vec<u8>, failure: &Failure) {
    reply.clear();
    reply.push(FAILURE);
    if let Err(EncodeFailure::NoMemory { size }) = encode_into(reply, failure) {
        // A panic's message may be of any length. Should there not even be room for this, the lone tag is a reply that
        // makes no sense, and the caller is told so.
        let _lone_tag = encode_into(reply, &Failure::NoMemory { size });
    }
}

/// Reads the reply of a worker, which may be any bytes: where the encoded result starts, or why there is none.
#[inline]
pub(crate) fn read_reply(task: &str, pid: u32, reply: &[u8]) -> Result<usize, TaskError> {
    match reply {
        [VALUE | SHARED_VALUE | FIXED_VALUE, ..] => Ok(1),
        _ => Err(read_failure(task, pid, reply)),
    }
}

#[cold]
fn read_failure(task: &str, pid: u32, reply: &[u8]) -> TaskError {
    let failure = match reply {
        [FAILURE, failure @ ..] => decode::<Failure>(failure),
        _ => Err(Reason::of_codec("a reply begins with 0, 1, 2 or 3")),
    };
    let codec = |what, type_name: &str, reason| Arc::new(CodecError::new(task, what, type_name, reason));
    match failure {
        Ok(Failure::Panicked(report)) => TaskError::Panicked(Arc::new(panic(task, pid, report))),
        Ok(Failure::NotFound { .. }) => TaskError::NotFound(NotFound::new(task, pid)),
        Ok(Failure::Undecoded { type_name, reason }) => {
            TaskError::Decode(codec(Coded::ArgumentsInWorker, &type_name, reason))
        }
        Ok(Failure::Unencoded { type_name, reason }) => {
            TaskError::Encode(codec(Coded::ResultInWorker, &type_name, reason))
        }
        Ok(Failure::NoMemory { size }) => TaskError::NoMemory(NoMemory::new(task, size, NO_MEMORY)),
        Err(reason) => TaskError::Decode(codec(Coded::ResultInCaller, "the pool's own reply", reason)),
    }
}

fn panic(task: &str, pid: u32, report: PanicReport) -> Panic {
    let PanicReport { message, location, backtrace, thread } = report;
    let (location, backtrace) = (location.as_deref().map(escaped), backtrace.as_deref().map(escaped));
    Panic { location, backtrace, thread: escaped(&thread), pid, ..Panic::new(task, tamed(&message)) }
}

const VALUE: u8 = 0;
const FAILURE: u8 = 1;
const SHARED_VALUE: u8 = 2;

/// What a reply begins with whose result is of fixed width.
pub(crate) const FIXED_VALUE: u8 = 3;

/// ENOMEM, by the number that every Unix has.
const NO_MEMORY: i32 = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(failure: &Failure) -> TaskError {
        let mut reply = vec![9; 3];
        write_failure(&mut reply, failure);
        read_reply("work", 7, &reply).unwrap_err()
    }

    #[test]
    fn a_value_is_what_follows_the_tag() {
        let mut reply = vec![1, 2, 3];
        write_value(&mut reply);
        reply.push(42);
        let start = read_reply("work", 7, &reply).unwrap();
        assert_eq!(reply[start..], [42]);
    }

    #[test]
    fn a_panic_names_task_worker_and_place() {
        let report = PanicReport {
            message: "no".to_owned(),
            location: Some("file.rs:1:2".to_owned()),
            backtrace: None,
            thread: "MainThread".to_owned(),
        };
        assert_eq!(report.to_string(), "panicked at file.rs:1:2: no");
        let error = read(&Failure::Panicked(report));
        assert_eq!(error.to_string(), "task work panicked at file.rs:1:2 (worker 7, thread MainThread): no");
    }

    /// The worker has tamed it, if it is honest.
    #[test]
    fn what_a_terminal_would_obey_is_escaped_in_all_that_a_panic_tells() {
        let report = PanicReport {
            message: "\x1b[2J\nno".to_owned(),
            location: Some("\x07.rs:1:2".to_owned()),
            backtrace: Some("0: a\r\n1: b".to_owned()),
            thread: "\x08".to_owned(),
        };
        let said = read(&Failure::Panicked(report)).to_string();
        let expected = "task work panicked at \\u{7}.rs:1:2 (worker 7, thread \\u{8}): \\u{1b}[2J\nno\n0: a\\r\n1: b";
        assert_eq!(said, expected);
        let long = PanicReport { message: "x".repeat(1 << 20), ..PanicReport::default() };
        let TaskError::Panicked(panic) = read(&Failure::Panicked(long)) else { panic!("it is a panic") };
        assert!(panic.message.len() <= 64 << 10 && panic.message.ends_with("(the beginning of 1048576 bytes)"));
    }

    #[test]
    fn every_failure_is_an_error_of_its_own() {
        let (type_name, reason) = ("T".to_owned(), Reason::of_codec("why"));
        let undecoded = Failure::Undecoded { type_name: type_name.clone(), reason: reason.clone() };
        assert!(matches!(read(&undecoded), TaskError::Decode(codec) if codec.what == Coded::ArgumentsInWorker));
        let unencoded = Failure::Unencoded { type_name, reason };
        assert!(matches!(read(&unencoded), TaskError::Encode(codec) if codec.what == Coded::ResultInWorker));
        assert!(matches!(read(&Failure::NotFound { task: 3 }), TaskError::NotFound(missing) if missing.pid == 7));
        assert!(matches!(read(&Failure::NoMemory { size: 3 }), TaskError::NoMemory(memory) if memory.size == 3));
    }

    #[test]
    fn a_reply_that_makes_no_sense_is_an_error_that_names_the_task() {
        for bytes in [&[][..], &[1], &[1, 0], &[4, 0], &[1, 200], &[1, 1, 3, 0]] {
            let error = read_reply("work", 7, bytes).unwrap_err();
            assert!(matches!(&error, TaskError::Decode(codec) if codec.task == "work"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = read_reply("work", 7, &bytes);
        }

        #[test]
        fn any_bytes_behind_a_failures_tag_are_an_error(variant in 0_u8..6, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let reply = [&[FAILURE, variant], &bytes[..]].concat();
            prop_assert!(read_reply("work", 7, &reply).is_err());
        }
    }
}
