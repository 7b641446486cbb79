//! A vector of bytes that crosses as bytes.
//!
//! Keeps true: it is a `Vec<u8>` in every respect but its encoding, which is one copy. Never: looks inside.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};

/// Bytes as an argument or a result: a `Vec<u8>` that is copied in one piece.
///
/// A plain `Vec<u8>` works too, but is encoded number by number, which takes some 17 times as long.
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
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);

impl Bytes {
    /// The vector.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}
