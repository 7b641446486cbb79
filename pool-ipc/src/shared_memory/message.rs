//! The few messages on the control channel. Short, of fixed shape, and judged before they are believed.

use crate::backend::MAX_SAID;

/// The layout of slots and messages. Parent and worker are the same build in all but odd cases; in those the worker
/// refuses.
const VERSION: u32 = 1;

const WELCOME: u8 = 16;
const SAID: u8 = 17;
const LARGE: u8 = 18;
const BULK: u8 = 19;

/// A message, either way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// Parent to worker: here are the memories and the doorbell.
    Welcome { version: u32 },
    /// Worker to parent: something that concerns the pool, not the link.
    Said(&'a [u8]),
    /// Either way: a payload in memory of its own.
    Large { id: u64, len: u64 },
    /// Parent to worker: recycled memory, so much for each direction.
    Bulk { id: u32, len: u64 },
}

/// What the parent greets a worker with.
pub(super) fn welcome() -> Vec<u8> {
    [&[WELCOME], VERSION.to_le_bytes().as_slice()].concat()
}

/// What a worker has to say.
pub(super) fn said(bytes: &[u8]) -> Vec<u8> {
    [&[SAID], bytes].concat()
}

/// Announces the descriptor that comes with it.
pub(super) fn large(id: u64, len: u64) -> Vec<u8> {
    [[LARGE].as_slice(), &id.to_le_bytes(), &len.to_le_bytes()].concat()
}

/// Announces the two descriptors that come with it.
pub(super) fn bulk(id: u32, len: u64) -> Vec<u8> {
    [[BULK].as_slice(), &id.to_le_bytes(), &len.to_le_bytes()].concat()
}

/// `None`: no message of ours.
pub(super) fn parse(bytes: &[u8]) -> Option<Message<'_>> {
    match bytes.split_first()? {
        (&WELCOME, rest) => Some(Message::Welcome { version: u32::from_le_bytes(rest.try_into().ok()?) }),
        (&SAID, rest) if rest.len() <= MAX_SAID => Some(Message::Said(rest)),
        (&LARGE, rest) => {
            let (id, len) = rest.split_first_chunk::<8>()?;
            let (id, len) = (u64::from_le_bytes(*id), u64::from_le_bytes(len.try_into().ok()?));
            Some(Message::Large { id, len })
        }
        (&BULK, rest) => {
            let (id, len) = rest.split_first_chunk::<4>()?;
            let (id, len) = (u32::from_le_bytes(*id), u64::from_le_bytes(len.try_into().ok()?));
            Some(Message::Bulk { id, len })
        }
        _ => None,
    }
}

/// Whether a greeting is of this build's layout.
pub(super) fn is_ours(version: u32) -> bool {
    version == VERSION
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        assert_eq!(parse(&welcome()), Some(Message::Welcome { version: VERSION }));
        assert_eq!(parse(&said(b"x")), Some(Message::Said(b"x")));
        assert_eq!(parse(&large(3, 1 << 40)), Some(Message::Large { id: 3, len: 1 << 40 }));
        assert_eq!(parse(&bulk(3, 1 << 40)), Some(Message::Bulk { id: 3, len: 1 << 40 }));
        assert_eq!(parse(&large(3, 4)[..16]), None);
        assert_eq!(parse(&bulk(3, 4)[..12]), None);
    }

    proptest! {
        #[test]
        fn random_messages_are_judged_without_a_panic(bytes: Vec<u8>) {
            if let Some(Message::Said(said)) = parse(&bytes) {
                prop_assert_eq!(said.len() + 1, bytes.len());
            }
        }
    }
}
