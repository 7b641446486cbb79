//! Values that could not be encoded, or not be decoded, and why.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::tamed;

/// A value that could not be encoded, or bytes that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CodecError {
    /// The task concerned.
    pub task: String,
    /// Which of its values.
    pub what: Coded,
    /// The Rust type.
    pub type_name: String,
    /// What the codec said, or the type's own `Serialize` or `Deserialize`: one that fails is run a second time, for its
    /// message. Escaped and cut as the message of a [`Panic`](crate::Panic).
    pub reason: String,
    /// The codec said so, or serde in its name: the bytes do not fit the type, or the type asks for what the codec cannot do.
    /// Else it was the type's own code, by an error or a panic, or there was no memory.
    pub by_codec: bool,
}

impl CodecError {
    pub(crate) fn new(task: &str, what: Coded, type_name: &str, reason: Reason) -> Self {
        let Reason { text, by_codec } = reason;
        let (task, type_name, reason) = (task.to_owned(), type_name.to_owned(), tamed(&text));
        Self { task, what, type_name, reason, by_codec }
    }
}

/// Which value a [`CodecError`] is about, and where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Coded {
    /// The arguments, in the caller.
    ArgumentsInCaller,
    /// The arguments, in the worker.
    ArgumentsInWorker,
    /// The result, in the worker.
    ResultInWorker,
    /// The result, in the caller.
    ResultInCaller,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, verb) = match self.what {
            Coded::ArgumentsInCaller => ("arguments", "encoded"),
            Coded::ArgumentsInWorker => ("arguments", "decoded by the worker"),
            Coded::ResultInWorker => ("result", "encoded by the worker"),
            Coded::ResultInCaller => ("result", "decoded"),
        };
        let Self { task, type_name, reason, by_codec, .. } = self;
        write!(f, "the {what} of task {task} could not be {verb}: type {type_name}: {reason}")?;
        if !*by_codec {
            return Ok(());
        }
        f.write_str(
            " (the codec is not self-describing: serde's flatten, untagged, skip_serializing_if and serde_json::Value \
             do not work with it; wrap such a value in pool_core::Json or send it as text)",
        )
    }
}

impl Error for CodecError {}

/// Why a value did not become bytes, or bytes did not become a value, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    /// What is told.
    pub(crate) text: Cow<'static, str>,
    /// It is the codec's word, or serde's about bytes that do not fit.
    pub(crate) by_codec: bool,
}

impl Reason {
    /// The codec's word.
    pub(crate) fn of_codec(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), by_codec: true }
    }

    /// Not the codec's: the type's own word or deed.
    pub(crate) fn of_type(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), by_codec: false }
    }

    /// What the type's code said when it failed, if it was heard.
    pub(crate) fn of_failed(code: &'static str, heard: Option<Self>) -> Self {
        match heard {
            Some(Self { text, by_codec }) => Self { text: format!("{code}: {text}").into(), by_codec },
            None => Self::of_type(code),
        }
    }
}
