//! A second hearing goes the codec's ways, and brings the words.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::super::{EncodeFailure, decode, encode_into};
use super::*;

/// Of each kind that serde knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    integers: (i8, i16, i32, i64, i128, u8, u16, u32, u64, u128),
    others: (bool, f32, f64, char, String, ()),
    map: BTreeMap<String, Vec<Option<Shape>>>,
    unit: Unit,
    wrapped: Wrapped,
    array: [u16; 3],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(u32),
    Line(i8, i8),
    Box { width: u16, height: u16 },
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Point),
        any::<u32>().prop_map(Shape::Circle),
        any::<(i8, i8)>().prop_map(|(from, to)| Shape::Line(from, to)),
        any::<(u16, u16)>().prop_map(|(width, height)| Shape::Box { width, height }),
    ]
}

fn everything() -> impl Strategy<Value = Everything> {
    let shapes = prop::collection::vec(prop::option::of(shape()), 0..4);
    let map = prop::collection::btree_map(any::<String>(), shapes, 0..4);
    let others = (any::<bool>(), -1e9_f32..1e9, -1e9_f64..1e9, any::<char>(), any::<String>(), Just(()));
    (any::<(i8, i16, i32, i64, i128, u8, u16, u32, u64, u128)>(), others, map, any::<u64>(), any::<[u16; 3]>())
        .prop_map(|(integers, others, map, number, array)| Everything {
            integers,
            others,
            map,
            unit: Unit,
            wrapped: Wrapped(number),
            array,
        })
}

fn heard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Said> {
    T::deserialize(&mut Hearing::of(bytes))
}

proptest! {
    #[test]
    fn a_second_hearing_reads_what_the_codec_reads(value in everything()) {
        let mut bytes = Vec::new();
        encode_into(&mut bytes, &value).unwrap();
        prop_assert_eq!(heard::<Everything>(&bytes).unwrap(), value.clone());
        prop_assert!(value.serialize(Nowhere).is_ok());
    }

    #[test]
    fn a_second_hearing_of_any_bytes_ends_as_the_first(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let first = postcard::take_from_bytes::<Everything>(&bytes).map(|(value, _)| value);
        match (first, heard::<Everything>(&bytes)) {
            (Ok(_), Ok(_)) => {}
            (Err(postcard::Error::SerdeDeCustom), Err(Said::Own(_) | Said::Misfit(_))) => {}
            (Err(error), Err(Said::Nothing)) => prop_assert!(error != postcard::Error::SerdeDeCustom),
            (first, second) => prop_assert!(false, "{:?} and {:?}", first, second),
        }
    }
}

/// Says what is wrong with it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(try_from = "u8")]
struct Even(u8);

impl TryFrom<u8> for Even {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        if number.is_multiple_of(2) { Ok(Self(number)) } else { Err(format!("{number} is odd")) }
    }
}

impl Serialize for Even {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Err(ser::Error::custom("it was asked in another way than before"));
        }
        match self.0 {
            number if number.is_multiple_of(2) => serializer.serialize_u8(number),
            number => Err(ser::Error::custom(format_args!("{number} is odd\u{7}"))),
        }
    }
}

#[test]
fn what_a_type_says_is_the_reason() {
    let nested = BTreeMap::from([(1_u8, vec![Some((Even(2), Even(3)))])]);
    let failure = encode_into(&mut Vec::new(), &nested).unwrap_err();
    let reason = Reason::of_type(r"its Serialize returned an error: 3 is odd\u{7}".to_owned());
    assert_eq!(failure, EncodeFailure::Codec { reason });
    let mut bytes = Vec::new();
    encode_into(&mut bytes, &(true, vec![Some(5_u8)])).unwrap();
    let reason = decode::<(bool, Vec<Option<Even>>)>(&bytes).unwrap_err();
    assert_eq!(reason, Reason::of_type("its Deserialize returned an error: 5 is odd".to_owned()));
}

#[test]
fn what_serde_says_of_bytes_that_do_not_fit_is_not_the_types_own_word() {
    let reason = decode::<Shape>(&[7]).unwrap_err();
    let expected = "its Deserialize returned an error: invalid value: integer `7`, expected variant index 0 <= i < 4";
    assert_eq!(reason, Reason::of_codec(expected.to_owned()));
    let reason = decode::<NonZeroU8>(&[0]).unwrap_err();
    assert_eq!(reason.text, "its Deserialize returned an error: invalid value: integer `0`, expected a nonzero u8");
}

#[test]
fn a_type_that_does_not_fail_again_is_said_to_have_failed_and_no_more() {
    /// Fails at the first time only.
    struct Moody(std::cell::Cell<bool>);

    impl Serialize for Moody {
        fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0.replace(false) { Err(ser::Error::custom("once")) } else { serializer.serialize_unit() }
        }
    }

    let failure = encode_into(&mut Vec::new(), &Moody(std::cell::Cell::new(true))).unwrap_err();
    let reason = Reason::of_type("its Serialize returned an error");
    assert_eq!(failure, EncodeFailure::Codec { reason });
}
