//! Values to bytes and back.
//!
//! Keeps true: running out of memory while encoding is an answer, not an abort; a decoded value used up all of its
//! bytes; a value that fails leaves the bytes before it as they were; the reason of a failure is the type's own where it
//! gave one. Never: knows which value it is about.

mod fixed;
mod own_words;

pub(crate) use self::fixed::{WIDEST, decode_fixed, encode_fixed, is_plain};
use pool_ipc::{Inset, LARGE};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes::sharing::take_offered;
use crate::error::Reason;
use crate::sharing;

/// Why a value did not become bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EncodeFailure {
    /// The codec, or the value's own `Serialize`, refused.
    Codec {
        /// What it said.
        reason: Reason,
    },
    /// There was no memory.
    NoMemory {
        /// How many bytes were asked for in all.
        size: u64,
    },
}

/// Appends a value's bytes. After an error the vector holds what it held before.
#[inline]
pub(crate) fn encode_into<T: Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) -> Result<(), EncodeFailure> {
    encode_sharing(bytes, None, value)
}

/// The same, but leaves large [`Bytes`](crate::Bytes) where they are if there may be insets: they become such. After an error
/// the insets are incomplete.
#[inline]
pub(crate) fn encode_sharing<T: Serialize + ?Sized>(
    bytes: &mut Vec<u8>,
    insets: Option<&mut Vec<Inset>>,
    value: &T,
) -> Result<(), EncodeFailure> {
    let before = bytes.len();
    let mut serializer = postcard::Serializer { output: Growing { bytes, insets, refused: None } };
    let outcome = value.serialize(&mut serializer);
    let Growing { bytes, refused, .. } = serializer.output;
    if outcome.is_ok() && refused.is_none() {
        return Ok(());
    }
    bytes.truncate(before);
    Err(refusal(value, outcome, refused))
}

/// Why a value was not encoded.
#[cold]
fn refusal<T: Serialize + ?Sized>(value: &T, outcome: postcard::Result<()>, refused: Option<u64>) -> EncodeFailure {
    match (outcome, refused) {
        (_, Some(size)) => EncodeFailure::NoMemory { size },
        (Err(postcard::Error::SerdeSerCustom), None) => {
            // It is run a second time, for its words.
            sharing::undo();
            let reason = Reason::of_failed(ITS_SERIALIZE, own_words::of_serialize(value));
            EncodeFailure::Codec { reason }
        }
        (Err(error), None) => EncodeFailure::Codec { reason: Reason::of_codec(words(&error)) },
        (Ok(()), None) => unreachable!("it was encoded"),
    }
}

/// Reads a value that is exactly these bytes.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Reason> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(left_over(rest.len(), bytes.len())),
        Err(error) => Err(undecoded::<T>(bytes, &error)),
    }
}

#[cold]
fn left_over(rest: usize, all: usize) -> Reason {
    Reason::of_codec(format!("{rest} of {all} bytes were left over"))
}

/// Why these bytes are no `T`.
#[cold]
fn undecoded<T: DeserializeOwned>(bytes: &[u8], error: &postcard::Error) -> Reason {
    match error {
        postcard::Error::SerdeDeCustom => Reason::of_failed(ITS_DESERIALIZE, own_words::of_deserialize::<T>(bytes)),
        error => Reason::of_codec(words(error)),
    }
}

const ITS_SERIALIZE: &str = "its Serialize returned an error";
const ITS_DESERIALIZE: &str = "its Deserialize returned an error";

/// A vector that the encoder writes to.
struct Growing<'a> {
    bytes: &'a mut Vec<u8>,
    /// Where what is shared goes, if anything may be.
    insets: Option<&'a mut Vec<Inset>>,
    /// The size that there was no memory for.
    refused: Option<u64>,
}

impl Growing<'_> {
    #[cold]
    fn grow(&mut self, more: usize) -> postcard::Result<()> {
        self.bytes.try_reserve(more).map_err(|_| {
            self.refused = Some((self.bytes.len() as u64).saturating_add(more as u64));
            postcard::Error::SerializeBufferFull
        })
    }

    /// Whether these bytes need not be copied.
    #[cold]
    fn share(&mut self, data: &[u8]) -> bool {
        let Some(insets) = &mut self.insets else { return false };
        let Some(bytes) = take_offered(data) else { return false };
        insets.push(Inset { at: self.bytes.len(), bytes });
        true
    }

    #[inline]
    fn make_room(&mut self, more: usize) -> postcard::Result<()> {
        if self.bytes.capacity() - self.bytes.len() < more { self.grow(more) } else { Ok(()) }
    }
}

impl Flavor for Growing<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        if data.len() > LARGE && self.share(data) {
            return Ok(());
        }
        if data.len() <= FEW && self.bytes.capacity() - self.bytes.len() >= FEW {
            append_few(self.bytes, data);
            return Ok(());
        }
        self.make_room(data.len())?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.make_room(1)?;
        self.bytes.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// As many bytes as [`append_few`] appends at most.
const FEW: usize = 8;

/// Appends up to eight bytes, as most numbers have, without a call: all of a word, of which the rest is cut off again.
#[inline]
fn append_few(bytes: &mut Vec<u8>, data: &[u8]) {
    let len = data.len();
    let word = match (data, data.first_chunk::<4>(), data.last_chunk::<4>()) {
        (_, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        ([first, .., last], ..) => {
            u64::from(*first) | u64::from(data[len / 2]) << (8 * (len / 2)) | u64::from(*last) << (8 * (len - 1))
        }
        ([only], ..) => u64::from(*only),
        ([], ..) => return,
    };
    let end = bytes.len() + len;
    bytes.extend_from_slice(&word.to_le_bytes());
    bytes.truncate(end);
}

/// What the codec means, in the words of our other errors.
fn words(error: &postcard::Error) -> &'static str {
    use postcard::Error as E;
    match error {
        E::WontImplement => "the type asks what it is (deserialize_any), which this codec cannot answer",
        E::SerializeSeqLengthUnknown => "a sequence or map does not tell its length beforehand",
        E::DeserializeUnexpectedEnd => "the bytes end too early",
        E::DeserializeBadVarint => "a number is malformed or too large",
        E::DeserializeBadBool => "a bool is neither 0 nor 1",
        E::DeserializeBadChar | E::DeserializeBadUtf8 => "a text is not UTF-8",
        E::DeserializeBadOption => "an option is neither 0 nor 1",
        E::DeserializeBadEnum => "an enum has no such variant",
        E::SerdeSerCustom => ITS_SERIALIZE,
        E::SerdeDeCustom => ITS_DESERIALIZE,
        E::CollectStrError => "its Display returned an error",
        _ => "the codec gave up",
    }
}

#[cfg(test)]
mod shared_bytes;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Refusing;

    impl Serialize for Refusing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }

    #[test]
    fn a_value_comes_back_as_it_was() {
        let value = (7_u64, "text".to_owned(), Some(BTreeMap::from([(1_i8, vec![true])])));
        let mut bytes = Vec::new();
        encode_into(&mut bytes, &value).unwrap();
        assert_eq!(decode(&bytes), Ok(value));
    }

    #[test]
    fn a_few_bytes_are_appended_as_they_are_whatever_room_there_is() {
        for len in 0..=FEW {
            let data: Vec<u8> = (0xf8..=0xff).take(len).collect();
            for room in 0..2 * FEW {
                let mut bytes = Vec::with_capacity(1 + room);
                bytes.push(7);
                let mut growing = Growing { bytes: &mut bytes, insets: None, refused: None };
                growing.try_extend(&data).unwrap();
                assert_eq!(bytes, [&[7], &data[..]].concat(), "{len} bytes, room for {room}");
            }
        }
    }

    #[test]
    fn a_value_that_fails_leaves_what_was_before_it() {
        let mut bytes = vec![1, 2, 3];
        let failure = encode_into(&mut bytes, &("some bytes that are written first", Refusing)).unwrap_err();
        let reason = Reason::of_type("its Serialize returned an error: never");
        assert_eq!(failure, EncodeFailure::Codec { reason });
        assert_eq!(bytes, [1, 2, 3]);
    }

    #[test]
    fn bytes_that_are_left_over_are_an_error() {
        assert_eq!(decode::<u8>(&[1, 2]), Err(Reason::of_codec("1 of 2 bytes were left over")));
        assert_eq!(decode::<u8>(&[]), Err(Reason::of_codec("the bytes end too early")));
    }

    #[test]
    fn no_memory_is_an_answer_and_names_the_size() {
        let mut bytes = vec![0; 10];
        let mut growing = Growing { bytes: &mut bytes, insets: None, refused: None };
        growing.make_room(isize::MAX as usize).unwrap_err();
        assert_eq!(growing.refused, Some(isize::MAX as u64 + 10));
    }
}
