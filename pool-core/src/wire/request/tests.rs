//! Requests: what was written into one is read out of it, item by item, and any bytes at all are borne.

use proptest::prelude::*;
use serde::Serializer;

use super::*;
use crate::task::decode;

impl RequestReader {
    /// The call of an item, and its arguments.
    fn item<'a>(&mut self, request: &'a [u8], number: u32) -> Option<(TaskId, &'a [u8])> {
        let (task, arguments) = self.find(request, number)?;
        Some((task, &request[arguments]))
    }
}

fn pack<'a>(requests: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut writer = PackWriter::default();
    requests.for_each(|request| writer.push(request));
    writer.finish()
}

fn id(number: u32) -> TaskId {
    TaskId::from_wire(number)
}

fn batch<T: Serialize>(items: &[T]) -> Vec<u8> {
    let mut writer = BatchWriter::new(id(7), 0).unwrap();
    items.iter().for_each(|item| writer.push(item).unwrap());
    assert_eq!(writer.items() as usize, items.len());
    let length = writer.len();
    let bytes = writer.finish();
    assert_eq!(bytes.len(), length);
    bytes
}

/// Writes something, and then fails or panics.
struct Failing {
    panics: bool,
}

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Inner(bool);
        impl Serialize for Inner {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                assert!(!self.0, "a panic in Serialize");
                Err(serde::ser::Error::custom("no"))
            }
        }
        ("some text", Inner(self.panics)).serialize(serializer)
    }
}

#[test]
fn a_single_request_is_its_arguments() {
    let bytes = encode_single(id(300), &(1_u8, "text"), 64).unwrap();
    let mut reader = RequestReader::default();
    let (task, arguments) = reader.item(&bytes, 0).unwrap();
    assert_eq!(task, id(300));
    assert_eq!(decode::<(u8, String)>(arguments), Ok((1, "text".to_owned())));
    assert!(reader.item(&bytes, 1).is_none());
}

#[test]
fn an_item_that_fails_or_panics_leaves_the_batch_as_it_was() {
    let mut writer = BatchWriter::new(id(7), 0).unwrap();
    writer.push(&"first").unwrap();
    writer.push(&Failing { panics: false }).unwrap_err();
    writer.push(&"second").unwrap();
    let push_panicking = std::panic::AssertUnwindSafe(|| writer.push(&Failing { panics: true }));
    std::panic::catch_unwind(push_panicking).unwrap_err();
    assert_eq!(writer.items(), 2);
    assert_eq!(writer.finish(), batch(&["first", "second"]));
}

#[test]
fn a_pack_has_the_calls_that_were_put_into_it_and_no_packs() {
    let requests: Vec<Vec<u8>> =
        (0..70).map(|n| encode_single(id(n), &vec![7_u8; n as usize * 3], 0).unwrap()).collect();
    let bytes = pack(requests.iter().map(Vec::as_slice));
    let mut reader = RequestReader::default();
    for item in (0..70).chain([3, 69, 0]) {
        let (task, arguments) = reader.item(&bytes, item).unwrap();
        assert_eq!((task, decode::<Vec<u8>>(arguments)), (id(item), Ok(vec![7; item as usize * 3])));
        assert_eq!(unpack(&bytes, item, &mut Cursor::default()), Some(requests[item as usize].as_slice()));
    }
    assert!(reader.item(&bytes, 70).is_none());
    for other in [pack([bytes.as_slice()].into_iter()), pack([batch(&["one"]).as_slice()].into_iter())] {
        assert!(RequestReader::default().item(&other, 0).is_none());
    }
    for other in [requests[0].clone(), batch(&["one"])] {
        assert!(unpack(&other, 0, &mut Cursor::default()).is_none());
    }
}

#[test]
fn an_item_of_a_fixed_width_is_found_by_its_number() {
    let mut writer = FixedWriter::new(id(300), 3, 70).unwrap();
    for number in 0..70 {
        let mut item = [9; WIDEST];
        item[..3].copy_from_slice(&[number, 1, 2]);
        writer.push(&item);
    }
    assert_eq!(writer.items(), 70);
    let bytes = writer.finish();
    let mut reader = RequestReader::default();
    for number in [0, 69, 5] {
        assert_eq!(reader.item(&bytes, number), Some((id(300), &[number as u8, 1, 2][..])));
    }
    assert!(reader.item(&bytes, 70).is_none() && reader.item(&bytes, u32::MAX).is_none());
    assert_eq!(
        reader.fixed_items().and_then(|items| items.find(&bytes, 1)),
        Some(bytes.len() - 69 * 3..bytes.len() - 68 * 3)
    );
    assert!(reader.item(&bytes[..bytes.len() - 1], 69).is_none());
}

#[test]
fn a_request_too_large_for_memory_is_an_answer() {
    let huge = isize::MAX as usize;
    assert_eq!(encode_single(id(1), &(), huge), Err(EncodeFailure::NoMemory { size: huge as u64 }));
    assert_eq!(BatchWriter::new(id(1), huge).unwrap_err(), EncodeFailure::NoMemory { size: huge as u64 });
}

proptest! {
    #[test]
    fn every_item_of_a_batch_is_found_in_any_order(
        lengths in prop::collection::vec(prop_oneof![0_usize..300, 16_300_usize..16_500], 1..20),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
    ) {
        let items: Vec<Vec<u8>> = lengths.iter().enumerate().map(|(n, &length)| vec![n as u8; length]).collect();
        let bytes = batch(&items);
        let mut reader = RequestReader::default();
        for index in order {
            let number = index.index(items.len());
            let (task, arguments) = reader.item(&bytes, number as u32).unwrap();
            prop_assert_eq!(task, id(7));
            let item = decode::<Vec<u8>>(arguments).unwrap();
            prop_assert_eq!(&item, &items[number]);
        }
        prop_assert!(RequestReader::default().item(&bytes, items.len() as u32).is_none());
    }

    #[test]
    fn any_bytes_are_a_request_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64), items in any::<[u32; 3]>()) {
        let (mut cursor, mut reader) = (Cursor::default(), RequestReader::default());
        for number in items {
            unpack(&bytes, number % 70, &mut cursor);
            reader.item(&bytes, number % 70);
            reader.item(&bytes, number);
        }
    }

    #[test]
    fn a_number_is_read_as_it_was_written(number in any::<u64>(), padding in 0_usize..3) {
        let width = (varint_width(number) + padding).min(10);
        let mut bytes = vec![0; width];
        write_padded(&mut bytes, number);
        bytes.push(9);
        prop_assert_eq!(take_varint(&bytes), Some((number, &[9_u8][..])));
    }
}
