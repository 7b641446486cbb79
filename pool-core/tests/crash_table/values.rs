//! What goes to the task and comes back from it: values that fail on their way, where the deed says so.

use pool_core::Bytes;
use serde::{Deserialize, Serialize, Serializer, ser};

use crate::clock;
use crate::deeds::{Deed, MESSAGE};

/// A task's argument.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Order {
    /// Where the moment is to be told.
    pub(crate) clock: String,
    /// Where a thread that is left behind stops.
    pub(crate) gate: String,
    #[serde(serialize_with = "write_order")]
    pub(crate) deed: Deed,
    pub(crate) number: u64,
    /// What makes the argument large.
    pub(crate) bulk: Bytes,
}

impl Order {
    /// What the task answers, if it is let.
    pub(crate) fn expected_value(&self) -> u64 {
        assert!(*self.bulk == vec![7; self.bulk.len()], "the argument did not arrive as it was sent");
        self.number * 3 + u64::try_from(self.bulk.len()).unwrap()
    }
}

fn write_order<S: Serializer>(deed: &Deed, serializer: S) -> Result<S::Ok, S::Error> {
    assert!(*deed != Deed::ArgumentsPanicInSerialize, "{MESSAGE}");
    deed.serialize(serializer)
}

/// An order as it was encoded.
#[derive(Deserialize)]
struct Written {
    clock: String,
    gate: String,
    deed: Deed,
    number: u64,
    bulk: Bytes,
}

impl TryFrom<Written> for Order {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { clock, gate, deed, number, bulk } = written;
        match deed {
            Deed::ArgumentsAreNotDecoded => {
                clock::stamp(&clock);
                Err(MESSAGE)
            }
            Deed::ArgumentsPanicInDeserialize => {
                clock::stamp(&clock);
                panic!("{MESSAGE}")
            }
            _ => Ok(Self { clock, gate, deed, number, bulk }),
        }
    }
}

/// A task's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Said")]
pub(crate) struct Answer {
    #[serde(serialize_with = "write_answer")]
    pub(crate) deed: Deed,
    pub(crate) value: u64,
}

fn write_answer<S: Serializer>(deed: &Deed, serializer: S) -> Result<S::Ok, S::Error> {
    match deed {
        Deed::ResultIsNotEncoded => Err(ser::Error::custom(MESSAGE)),
        Deed::ResultPanicsInSerialize => panic!("{MESSAGE}"),
        _ => deed.serialize(serializer),
    }
}

/// An answer as it was encoded.
#[derive(Deserialize)]
struct Said {
    deed: Deed,
    value: u64,
}

impl TryFrom<Said> for Answer {
    type Error = &'static str;

    fn try_from(said: Said) -> Result<Self, Self::Error> {
        match said.deed {
            Deed::ResultIsNotDecoded => Err(MESSAGE),
            Deed::ResultPanicsInDeserialize => panic!("{MESSAGE}"),
            _ => Ok(Self { deed: said.deed, value: said.value }),
        }
    }
}
