//! How an outcome stands in a slot's stream: a first byte that is a length or a tag, then the bytes or where they are.
//!
//! Records are written by the worker and therefore judged by the parent: parsing works on a private copy, never panics,
//! and takes no length on trust.

/// The longest record that is not inline.
pub(crate) const MAX_POINTER: usize = 17;

/// Lengths up to this are their own first byte.
const SHORT: u8 = 250;
const LONG: u8 = 251;
const ARENA: u8 = 252;
const LARGE: u8 = 253;
const FAILED: u8 = 254;

/// Where the bytes of an outcome are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// In the outcome arena.
    Arena { offset: u64, len: u64 },
    /// In memory of their own, sent apart under this number.
    Large { id: u64, len: u64 },
    /// Nowhere: there was no room for them.
    Failed { size: u64, errno: i32 },
}

impl<'a> Record<'a> {
    /// How many bytes an inline record of `len` bytes takes.
    pub(crate) fn inline_size(len: usize) -> usize {
        if len <= SHORT as usize { 1 + len } else { 5 + len }
    }

    /// The byte that stands before an inline outcome of so many bytes, where it is one.
    #[inline]
    pub(crate) fn short_tag(len: usize) -> Option<u8> {
        u8::try_from(len).ok().filter(|&tag| tag <= SHORT)
    }

    /// How many bytes follow that one, if it is such a byte.
    #[inline]
    pub(crate) fn short_size(tag: u8) -> Option<usize> {
        (tag <= SHORT).then_some(tag.into())
    }

    pub(crate) fn write(self, to: &mut Vec<u8>) {
        let mut pointer = |tag: u8, a: u64, b: u64| {
            to.push(tag);
            to.extend_from_slice(&a.to_le_bytes());
            to.extend_from_slice(&b.to_le_bytes());
        };
        match self {
            Self::Arena { offset, len } => pointer(ARENA, offset, len),
            Self::Large { id, len } => pointer(LARGE, id, len),
            Self::Failed { size, errno } => pointer(FAILED, size, errno.unsigned_abs().into()),
            Self::Inline(bytes) if bytes.len() <= SHORT as usize => {
                to.push(bytes.len() as u8);
                to.extend_from_slice(bytes);
            }
            Self::Inline(bytes) => {
                to.push(LONG);
                to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                to.extend_from_slice(bytes);
            }
        }
    }

    /// How many records a stream begins with, up to `most`, that have their bytes with them, and how many bytes those take.
    pub(crate) fn inline_run(stream: &'a [u8], most: u32) -> (u32, usize) {
        let (mut count, mut size) = (0, 0);
        while count < most {
            // Most are short.
            if let Some(&tag @ ..=SHORT) = stream.get(size) {
                let end = size + 1 + usize::from(tag);
                if end > stream.len() {
                    break;
                }
                size = end;
            } else {
                let mut rest = stream.get(size..).unwrap_or_default();
                let Some(Self::Inline(_)) = Self::read(&mut rest) else { break };
                size = stream.len() - rest.len();
            }
            count += 1;
        }
        (count, size)
    }

    /// Takes the record that a stream begins with. `None`: there is no whole one.
    #[inline]
    pub(crate) fn read(stream: &mut &'a [u8]) -> Option<Self> {
        let tag = *stream.split_off_first()?;
        match tag {
            ..=SHORT => stream.split_off(..tag as usize).map(Self::Inline),
            LONG => {
                let len = u32::from_le_bytes(*stream.split_off(..4)?.first_chunk()?);
                stream.split_off(..len as usize).map(Self::Inline)
            }
            ARENA => pair(stream).map(|(offset, len)| Self::Arena { offset, len }),
            LARGE => pair(stream).map(|(id, len)| Self::Large { id, len }),
            FAILED => pair(stream).map(|(size, errno)| Self::Failed { size, errno: i32::try_from(errno).unwrap_or(0) }),
            _ => None,
        }
    }
}

fn pair(stream: &mut &[u8]) -> Option<(u64, u64)> {
    let a = u64::from_le_bytes(*stream.split_off(..8)?.first_chunk()?);
    let b = u64::from_le_bytes(*stream.split_off(..8)?.first_chunk()?);
    Some((a, b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let long = vec![9; 70_000];
        let records = [
            Record::Inline(&[]),
            Record::Inline(&long[..250]),
            Record::Inline(&long[..251]),
            Record::Inline(&long),
            Record::Arena { offset: 64, len: u64::MAX },
            Record::Large { id: 7, len: 1 << 30 },
            Record::Failed { size: 5, errno: 28 },
        ];
        let mut stream = Vec::new();
        records.iter().for_each(|record| record.write(&mut stream));
        let mut rest = stream.as_slice();
        for record in records {
            assert_eq!(Record::read(&mut rest), Some(record));
        }
        assert_eq!(Record::read(&mut rest), None);
    }

    #[test]
    fn a_run_ends_before_what_is_elsewhere_and_before_what_is_cut_off() {
        let mut stream = Vec::new();
        [Record::Inline(b"a"), Record::Inline(&[1; 300])].iter().for_each(|record| record.write(&mut stream));
        let two = stream.len();
        Record::Failed { size: 5, errno: 28 }.write(&mut stream);
        Record::Inline(b"b").write(&mut stream);
        assert_eq!(Record::inline_run(&stream, 9), (2, two));
        assert_eq!(Record::inline_run(&stream, 1), (1, 2));
        assert_eq!(Record::inline_run(&stream[..two - 1], 9), (1, 2));
        assert_eq!(Record::inline_run(&[], 9), (0, 0));
    }

    proptest! {
        #[test]
        fn random_streams_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            let (count, size) = Record::inline_run(rest, 20);
            prop_assert!(count <= 20 && size <= bytes.len());
            while Record::read(&mut rest).is_some() {}
            prop_assert!(rest.len() <= bytes.len());
        }
    }
}
