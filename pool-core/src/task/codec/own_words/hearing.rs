//! A deserializer that reads what the codec reads. Keeps true: it goes through a value's parts as the codec does, and what
//! has no parts is read by the codec itself.

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::Said;

/// A deserializer of the codec's bytes: what has no parts is read by the codec itself.
pub(super) struct Hearing<'de> {
    codec: postcard::Deserializer<'de, postcard::de_flavors::Slice<'de>>,
}

impl<'de> Hearing<'de> {
    /// Of these bytes.
    pub(super) fn of(bytes: &'de [u8]) -> Self {
        Self { codec: postcard::Deserializer::from_bytes(bytes) }
    }

    fn read<T: Deserialize<'de>>(&mut self) -> Result<T, Said> {
        Ok(T::deserialize(&mut self.codec)?)
    }

    /// How many parts follow.
    fn length(&mut self) -> Result<usize, Said> {
        usize::try_from(self.read::<u64>()?).map_err(|_| Said::Nothing)
    }
}

/// Methods that read a value without parts.
macro_rules! plain {
    ($($method:ident: $type:ty => $visit:ident),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Said> {
            visitor.$visit(self.read::<$type>()?)
        }
    )+};
}

/// Methods that ask what comes, which the codec cannot tell.
macro_rules! unknown {
    ($($method:ident),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Said> {
            Err(Said::Nothing)
        }
    )+};
}

impl<'de> de::Deserializer<'de> for &mut Hearing<'de> {
    type Error = Said;

    plain! {
        deserialize_bool: bool => visit_bool,
        deserialize_i8: i8 => visit_i8,
        deserialize_i16: i16 => visit_i16,
        deserialize_i32: i32 => visit_i32,
        deserialize_i64: i64 => visit_i64,
        deserialize_i128: i128 => visit_i128,
        deserialize_u8: u8 => visit_u8,
        deserialize_u16: u16 => visit_u16,
        deserialize_u32: u32 => visit_u32,
        deserialize_u64: u64 => visit_u64,
        deserialize_u128: u128 => visit_u128,
        deserialize_f32: f32 => visit_f32,
        deserialize_f64: f64 => visit_f64,
        deserialize_char: char => visit_char,
        deserialize_str: &'de str => visit_borrowed_str,
        deserialize_string: &'de str => visit_str,
        deserialize_bytes: &'de [u8] => visit_borrowed_bytes,
        deserialize_byte_buf: &'de [u8] => visit_bytes,
    }

    unknown!(deserialize_any, deserialize_identifier, deserialize_ignored_any);

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Said> {
        match self.read::<u8>()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Said::Nothing),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Said> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Said> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Said> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Said> {
        let left = self.length()?;
        visitor.visit_seq(Parts { hearing: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Said> {
        visitor.visit_seq(Parts { hearing: self, left })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        left: usize,
        visitor: V,
    ) -> Result<V::Value, Said> {
        visitor.visit_seq(Parts { hearing: self, left })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Said> {
        let left = self.length()?;
        visitor.visit_map(Parts { hearing: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Said> {
        visitor.visit_seq(Parts { hearing: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Said> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts that are left of a value.
struct Parts<'a, 'de> {
    hearing: &'a mut Hearing<'de>,
    left: usize,
}

impl Parts<'_, '_> {
    /// Whether there is one more.
    fn advance(&mut self) -> bool {
        let is_one = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_one
    }
}

impl<'de> de::SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Said;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Said> {
        if self.advance() { seed.deserialize(&mut *self.hearing).map(Some) } else { Ok(None) }
    }
}

impl<'de> de::MapAccess<'de> for Parts<'_, 'de> {
    type Error = Said;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Said> {
        if self.advance() { seed.deserialize(&mut *self.hearing).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Said> {
        seed.deserialize(&mut *self.hearing)
    }
}

impl<'de> de::EnumAccess<'de> for &mut Hearing<'de> {
    type Error = Said;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Said> {
        let index = self.read::<u32>()?;
        let variant = seed.deserialize(IntoDeserializer::<Said>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for &mut Hearing<'de> {
    type Error = Said;

    fn unit_variant(self) -> Result<(), Said> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Said> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Said> {
        visitor.visit_seq(Parts { hearing: self, left })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Said> {
        visitor.visit_seq(Parts { hearing: self, left: fields.len() })
    }
}
