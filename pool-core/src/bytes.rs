//! Bytes that cross as bytes, and that are not copied where they need not be.
//!
//! Keeps true: the bytes are its own to read and to change, whoever else has them; what is shared is copied before the first
//! change. Never: looks inside.

pub(crate) mod sharing;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use pool_ipc::{FrozenSlice, LARGE};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as an argument or a result, copied as rarely as possible.
///
/// A plain `Vec<u8>` works too, but is encoded number by number, which takes some 17 times as long.
///
/// Above 256 KiB a task reads its argument right where the caller's process put it, and a clone shares the bytes. To change
/// such bytes (through [`DerefMut`]), or to have them as a vector, takes a copy unless they are a vector already that
/// nobody else has.
///
/// ```
/// use pool_core::Bytes;
///
/// fn invert(mut picture: Bytes) -> Bytes {
///     picture.iter_mut().for_each(|pixel| *pixel = !*pixel);
///     picture
/// }
///
/// assert_eq!(invert(Bytes::from(vec![0, 255])).into_vec(), [255, 0]);
/// ```
#[derive(Clone)]
pub struct Bytes(Kept);

/// Where the bytes are.
#[derive(Clone)]
enum Kept {
    Here(Vec<u8>),
    /// Large ones.
    Shared(FrozenSlice),
}

impl Bytes {
    /// The vector.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Kept::Here(bytes) => bytes,
            Kept::Shared(bytes) => bytes.into_vec(),
        }
    }

    /// Makes the bytes its own.
    fn own(&mut self) {
        if let Kept::Shared(bytes) = &mut self.0
            && bytes.get_mut().is_none()
        {
            *self = Self::from(bytes.to_vec());
        }
    }
}

impl Default for Bytes {
    fn default() -> Self {
        Self(Kept::Here(Vec::new()))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(if bytes.len() > LARGE { Kept::Shared(bytes.into()) } else { Kept::Here(bytes) })
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.into_vec()
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kept::Here(bytes) => bytes,
            Kept::Shared(bytes) => bytes,
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.own();
        match &mut self.0 {
            Kept::Here(bytes) => bytes,
            Kept::Shared(bytes) => bytes.get_mut().expect("they are its own now"),
        }
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Kept::Here(bytes) => serializer.serialize_bytes(bytes),
            Kept::Shared(bytes) => sharing::offer(bytes, |bytes| serializer.serialize_bytes(bytes)),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(AnyBytes)
    }
}

/// Takes bytes in whatever form a format has them.
struct AnyBytes;

impl<'de> Visitor<'de> for AnyBytes {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        let kept = if bytes.len() > LARGE { sharing::keep(bytes) } else { None };
        Ok(kept.map_or_else(|| Bytes::from(bytes), |kept| Bytes(Kept::Shared(kept))))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        Ok(text.as_bytes().into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bytes, A::Error> {
        // A length that somebody only claims gets no memory.
        let mut bytes = Vec::with_capacity(numbers.size_hint().unwrap_or(0).min(LARGE));
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes.into())
    }
}
