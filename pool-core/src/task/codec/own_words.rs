//! What a type's own `Serialize` or `Deserialize` said when it failed.
//!
//! The codec's error has no room for a message, so the work is done once more, on the way to an error and never else, by a
//! serializer that writes nothing and a deserializer that reads what the codec reads, with an error that keeps the
//! message. Neither is human-readable, as the codec, so that a type takes the same way as before. Keeps true: if it does
//! not fail again by a message of its own, nothing is said in its name.

mod hearing;
mod nowhere;

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize, de, ser};

use self::hearing::Hearing;
use self::nowhere::Nowhere;
use crate::error::{Reason, tamed};

/// Why the value's `Serialize` refuses, if it says so.
#[cold]
pub(super) fn of_serialize<T: Serialize + ?Sized>(value: &T) -> Option<Reason> {
    value.serialize(Nowhere).err()?.into_reason()
}

/// Why the type's `Deserialize` refuses these bytes, if it says so.
#[cold]
pub(super) fn of_deserialize<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<Reason> {
    T::deserialize(&mut Hearing::of(bytes)).err()?.into_reason()
}

/// An error that keeps what was said.
#[derive(Debug)]
pub(super) enum Said {
    /// The type's own message.
    Own(String),
    /// What serde says of bytes that are no value of the type.
    Misfit(String),
    /// The codec's matter.
    Nothing,
}

impl Said {
    fn into_reason(self) -> Option<Reason> {
        match self {
            Self::Own(text) => Some(Reason::of_type(text)),
            Self::Misfit(text) => Some(Reason::of_codec(text)),
            Self::Nothing => None,
        }
    }
}

impl Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(text) | Self::Misfit(text) => f.write_str(text),
            Self::Nothing => f.write_str("the codec gave up"),
        }
    }
}

impl std::error::Error for Said {}

impl ser::Error for Said {
    fn custom<T: Display>(text: T) -> Self {
        Self::Own(tamed(&text.to_string()))
    }
}

impl de::Error for Said {
    fn custom<T: Display>(text: T) -> Self {
        Self::Own(tamed(&text.to_string()))
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Misfit(tamed(&format!("invalid type: {unexpected}, expected {expected}")))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Misfit(tamed(&format!("invalid value: {unexpected}, expected {expected}")))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::Misfit(tamed(&format!("invalid length {length}, expected {expected}")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Misfit(format!("missing field `{field}`"))
    }
}

impl From<postcard::Error> for Said {
    fn from(_: postcard::Error) -> Self {
        Self::Nothing
    }
}

#[cfg(test)]
mod tests;
