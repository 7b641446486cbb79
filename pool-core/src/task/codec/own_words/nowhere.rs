//! A serializer that writes nothing, and fails only where the value does. Never: looks at a value.

use std::fmt::{self, Display, Write};

use serde::{Serialize, ser};

use super::Said;

/// A serializer that writes nothing.
#[derive(Clone, Copy)]
pub(super) struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}

/// Methods that take a value which has no more to say.
macro_rules! swallow {
    ($($method:ident: $type:ty),+ $(,)?) => {$(
        fn $method(self, _: $type) -> Result<(), Said> {
            Ok(())
        }
    )+};
}

impl ser::Serializer for Nowhere {
    type Ok = ();
    type Error = Said;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    swallow! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
        serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_none(self) -> Result<(), Said> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Said> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Said> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Said> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Said> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Said> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Said> {
        Ok(self)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Said> {
        Ok(self)
    }

    fn collect_str<T: Display + ?Sized>(mut self, value: &T) -> Result<(), Said> {
        write!(self, "{value}").map_err(|_| Said::Nothing)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of a value, each of which is serialized by itself.
macro_rules! parts {
    ($($part:ident: $method:ident($($key:ty),*)),+ $(,)?) => {$(
        impl ser::$part for Nowhere {
            type Ok = ();
            type Error = Said;

            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)* value: &T) -> Result<(), Said> {
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Said> {
                Ok(())
            }
        }
    )+};
}

parts! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeStruct: serialize_field(&'static str),
    SerializeStructVariant: serialize_field(&'static str),
}

impl ser::SerializeMap for Nowhere {
    type Ok = ();
    type Error = Said;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Said> {
        key.serialize(*self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Said> {
        value.serialize(*self)
    }

    fn end(self) -> Result<(), Said> {
        Ok(())
    }
}
