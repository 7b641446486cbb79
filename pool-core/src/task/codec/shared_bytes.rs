//! `Bytes` through the codec: shared or copied, they are the same bytes.

use pool_ipc::{Body, FrozenMemory, LARGE};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{decode, encode_into, encode_sharing};
use crate::bytes::Bytes;
use crate::bytes::sharing::Source;

/// A value of this type as it crosses.
fn joined<T: Serialize>(value: &T) -> Body {
    let (mut bytes, mut insets) = (Vec::new(), Vec::new());
    encode_sharing(&mut bytes, Some(&mut insets), value).unwrap();
    Body::joined(bytes, insets)
}

fn decoded<T: DeserializeOwned>(memory: &FrozenMemory) -> T {
    let _until_decoded = Source::named(memory);
    decode(memory).unwrap()
}

fn sized(size: usize) -> Bytes {
    Bytes::from((0..size).map(|n| (n % 251) as u8).collect::<Vec<_>>())
}

#[test]
fn bytes_of_any_size_cross_the_same_whether_they_are_shared_or_copied() {
    for size in [0, 1, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE] {
        let value = (7_u16, sized(size), "between".to_owned(), sized(LARGE + 9), vec![sized(size / 2)]);
        let mut copied = Vec::new();
        encode_into(&mut copied, &value).unwrap();
        let joined = joined(&value);
        assert_eq!(joined.len(), copied.len());
        assert!(joined.as_slice() == copied, "{size}");
        let memory = FrozenMemory::from(copied);
        assert!(decoded::<(u16, Bytes, String, Bytes, Vec<Bytes>)>(&memory) == value, "{size}");
        assert!(decode::<(u16, Bytes, String, Bytes, Vec<Bytes>)>(&memory).unwrap() == value, "{size}");
    }
}

#[test]
fn what_a_task_changes_in_its_argument_nobody_else_sees() {
    let value = sized(LARGE + 1);
    let memory = FrozenMemory::from(joined(&value).as_slice().to_vec());
    let (mut first, second) = (decoded::<Bytes>(&memory), decoded::<Bytes>(&memory));
    let clone = first.clone();
    first[0] = 99;
    assert_eq!((first[0], clone[0], second[0], decoded::<Bytes>(&memory)[0]), (99, 0, 0, 0));
    assert!(clone == second && clone == value && first > second);
    drop(memory);
    assert!(second.into_vec() == *value);
}

#[test]
fn bytes_that_another_codec_copies_are_the_same() {
    let text = serde_json::to_string(&sized(LARGE + 1)).unwrap();
    assert!(serde_json::from_str::<Bytes>(&text).unwrap() == sized(LARGE + 1));
}
