//! Values that describe themselves, for types that the compact codec cannot do.
//!
//! Keeps true: whatever serde_json can write and read back crosses unchanged. Never: changes the value's own serde
//! implementation, or how anything beside it is encoded.

use std::ops::{Deref, DerefMut};

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that crosses as JSON text.
///
/// Arguments and results are encoded compactly, without the names of fields. A type whose encoding depends on those
/// cannot cross that way: one that uses serde's `flatten`, `untagged`, `tag` or `skip_serializing_if`, or a
/// `serde_json::Value`. In `Json` it can. It costs time and space, and no more than JSON can say: no `NaN`, and maps whose
/// keys are texts or numbers.
///
/// ```
/// use pool_core::Json;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(untagged)]
/// enum Size {
///     Pixels(u32),
///     Word(String),
/// }
///
/// fn describe(Json(size): Json<Size>) -> String {
///     match size {
///         Size::Pixels(count) => format!("{count} pixels"),
///         Size::Word(word) => word,
///     }
/// }
///
/// assert_eq!(describe(Json(Size::Pixels(3))), "3 pixels");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(&self.0).map_err(S::Error::custom)?)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::task::{decode, encode_into};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Awkward {
        #[serde(skip_serializing_if = "Option::is_none")]
        absent: Option<u8>,
        either: Either,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
        Text(String),
    }

    fn awkward() -> Awkward {
        Awkward { absent: None, either: Either::Text("x".to_owned()), rest: BTreeMap::from([("one".to_owned(), 1)]) }
    }

    fn there_and_back<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, String> {
        let mut bytes = Vec::new();
        encode_into(&mut bytes, value).map_err(|failure| format!("{failure:?}"))?;
        decode(&bytes).map_err(|reason| reason.text.into_owned())
    }

    #[test]
    fn flattened_untagged_and_skipped_fields_cross_as_json() {
        there_and_back(&awkward()).unwrap_err();
        assert_eq!(there_and_back(&Json(awkward())), Ok(Json(awkward())));
    }

    #[test]
    fn a_value_of_any_kind_crosses_as_json_beside_compact_ones() {
        let value = json!({ "list": [1, 2.5, null], "text": "é" });
        there_and_back(&value).unwrap_err();
        assert_eq!(there_and_back(&(7_u8, Json(value.clone()), true)), Ok((7, Json::<Value>(value), true)));
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        there_and_back(&Json(BTreeMap::from([((1, 2), 3)]))).unwrap_err();
    }
}
