//! Numbers as they stand in memory: the codec of values that take the same few bytes whatever they are.
//!
//! Keeps true: what is of fixed width is a number, a truth value or a character, or tuples and arrays of these; everything else is
//! left to the codec for all, as if nobody had asked. Little-endian, without anything between. It is for maps, whose items can
//! then be found and decoded without a look at those before. Never: is asked for a type of the program's, whose `Serialize` may
//! write another number than its `Deserialize` reads: a number that takes as many bytes as it needs bears that.

use std::any::type_name;
use std::fmt::{self, Display};

use serde::de::{self, DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde::ser::{self, Impossible};
use serde::{Deserializer, Serialize, Serializer};

use crate::error::Reason;

/// Wider values are left to the codec for all.
pub(crate) const WIDEST: usize = size_of::<pool_ipc::FixedOutcome>();

/// Whether a type is none of a crate's, which are named by paths. To be asked before the others, once for many values.
pub(crate) fn is_plain<T>() -> bool {
    !type_name::<T>().contains("::")
}

/// Writes a value of a plain type and gives its width. `None`: it is not of fixed width.
#[inline]
pub(crate) fn encode_fixed<T: Serialize>(room: &mut [u8; WIDEST], value: &T) -> Option<usize> {
    let mut writer = Writer { room, width: 0 };
    value.serialize(&mut writer).ok().map(|()| writer.width)
}

/// Reads a value that is exactly these bytes.
#[inline]
pub(crate) fn decode_fixed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Reason> {
    let mut reader = Reader { rest: bytes };
    match T::deserialize(&mut reader) {
        Ok(value) if reader.rest.is_empty() => Ok(value),
        Ok(_) => Err(super::left_over(reader.rest.len(), bytes.len())),
        Err(Unfixed) => Err(unfixed()),
    }
}

#[cold]
fn unfixed() -> Reason {
    Reason::of_codec("the bytes are no value of fixed width")
}

/// Takes values of fixed width and refuses all others.
struct Writer<'a> {
    room: &'a mut [u8; WIDEST],
    width: usize,
}

impl Writer<'_> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Result<(), Unfixed> {
        let place = self.room.get_mut(self.width..).and_then(|room| room.first_chunk_mut());
        *place.ok_or(Unfixed)? = bytes;
        self.width += N;
        Ok(())
    }
}

/// A value is not of fixed width.
#[derive(Clone, Copy, Debug)]
struct Unfixed;

impl Display for Unfixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not of fixed width")
    }
}

impl std::error::Error for Unfixed {}

impl ser::Error for Unfixed {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl de::Error for Unfixed {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

type Refused = Impossible<(), Unfixed>;

macro_rules! write_numbers {
    ($($method:ident $number:ty)*) => {$(
        #[inline]
        fn $method(self, number: $number) -> Result<(), Unfixed> {
            self.put(number.to_le_bytes())
        }
    )*};
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Unfixed;
    type SerializeSeq = Refused;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Refused;
    type SerializeTupleVariant = Refused;
    type SerializeMap = Refused;
    type SerializeStruct = Refused;
    type SerializeStructVariant = Refused;

    write_numbers! {
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
        serialize_f32 f32 serialize_f64 f64
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Unfixed> {
        self.put([u8::from(value)])
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Unfixed> {
        self.put(u32::from(value).to_le_bytes())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Unfixed> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    #[inline]
    fn serialize_tuple(self, _len: usize) -> Result<Self, Unfixed> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn serialize_str(self, _: &str) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_none(self) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Refused, Unfixed> {
        Err(Unfixed)
    }

    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), Unfixed> {
        Err(Unfixed)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl ser::SerializeTuple for &mut Writer<'_> {
    type Ok = ();
    type Error = Unfixed;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfixed> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), Unfixed> {
        Ok(())
    }
}

/// Reads what a [`Writer`] wrote.
struct Reader<'de> {
    rest: &'de [u8],
}

impl Reader<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unfixed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Unfixed)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

macro_rules! read_numbers {
    ($($method:ident $visit:ident $number:ty)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfixed> {
            visitor.$visit(<$number>::from_le_bytes(self.take()?))
        }
    )*};
}

macro_rules! refuse {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Unfixed> {
            Err(Unfixed)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Unfixed;

    read_numbers! {
        deserialize_i8 visit_i8 i8 deserialize_i16 visit_i16 i16 deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64 deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8 deserialize_u16 visit_u16 u16 deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64 deserialize_u128 visit_u128 u128
        deserialize_f32 visit_f32 f32 deserialize_f64 visit_f64 f64
    }

    refuse! {
        deserialize_any() deserialize_str() deserialize_string() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_seq() deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(&'static str) deserialize_newtype_struct(&'static str)
        deserialize_tuple_struct(&'static str, usize) deserialize_struct(&'static str, &'static [&'static str])
        deserialize_enum(&'static str, &'static [&'static str])
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfixed> {
        match self.take()? {
            [0] => visitor.visit_bool(false),
            [1] => visitor.visit_bool(true),
            _ => Err(Unfixed),
        }
    }

    #[inline]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfixed> {
        visitor.visit_char(char::from_u32(u32::from_le_bytes(self.take()?)).ok_or(Unfixed)?)
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfixed> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Unfixed> {
        visitor.visit_seq(Elements { reader: self, left: len })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a tuple, one after the other.
struct Elements<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Unfixed;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unfixed> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::num::NonZeroU16;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn there_and_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> usize {
        assert!(is_plain::<T>());
        let mut room = [9; WIDEST];
        let width = encode_fixed(&mut room, value).expect("it is of fixed width");
        assert_eq!(decode_fixed::<T>(&room[..width]).as_ref(), Ok(value));
        width
    }

    fn refuses<T: Serialize>(value: &T) -> bool {
        !is_plain::<T>() || encode_fixed(&mut [0; WIDEST], value).is_none()
    }

    #[test]
    fn what_has_no_fixed_width_or_is_too_wide_or_is_the_programs_own_is_refused() {
        #[derive(Serialize)]
        struct Own(u64);
        assert!(refuses(&"text".to_owned()) && refuses(&Some(1)) && refuses(&vec![1]) && refuses(&Ok::<u8, u8>(1)));
        assert!(refuses(&Own(1)) && refuses(&(1, Own(1))) && refuses(&NonZeroU16::MIN) && refuses(&Duration::ZERO));
        assert!(refuses(&crate::Bytes::from(vec![1])) && refuses(&std::collections::BTreeMap::from([(1, 2)])));
        assert!(!refuses(&[0_u64; 4]) && refuses(&([0_u64; 4], 0_u8)));
    }

    #[test]
    fn a_shared_value_is_not_of_fixed_width_though_it_is_sent_as_a_number() {
        let table = crate::SharedBytes::new(vec![1; 100]).unwrap();
        assert!(refuses(&(table, 1_u8)));
    }

    #[test]
    fn bytes_that_are_no_value_are_an_error() {
        assert_eq!(decode_fixed::<u16>(&[1, 2, 3]), Err(Reason::of_codec("1 of 3 bytes were left over")));
        assert_eq!(decode_fixed::<u32>(&[1, 2, 3]), Err(unfixed()));
        assert!(decode_fixed::<bool>(&[2]).is_err() && decode_fixed::<char>(&[255; 4]).is_err());
        assert!(decode_fixed::<String>(&[0; 8]).is_err());
    }

    proptest! {
        #[test]
        fn numbers_and_what_is_made_of_them_come_back_as_they_were(
            at: (u64, i16),
            values in prop::array::uniform3(-1e30_f32..1e30),
            letter: char,
            is_good: bool,
            wide: u128,
            small: (i8, u8, i128),
        ) {
            let reading = (at, values, letter, is_good, ());
            prop_assert_eq!(there_and_back(&reading), 8 + 2 + 12 + 4 + 1);
            prop_assert_eq!((there_and_back(&(wide, at)), there_and_back(&small)), (26, 18));
            prop_assert_eq!(there_and_back(&()), 0);
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = (decode_fixed::<(u8, [char; 2])>(&bytes), decode_fixed::<(f64, bool)>(&bytes));
        }
    }
}
