//! What the two ends of a channel say to each other, as bytes. Judged before it is believed, by a function without state.
//!
//! A short payload stands in the message. A longer one is memory in a packet of its own that comes just before: what
//! cannot be sent, for want of descriptors, then leaves no message without its memory; and of what does not get in, for
//! want of address space, the message still tells the size.

use crate::backend::MAX_SAID;
use crate::terms::Written;

/// The layout of these messages. Parent and worker are the same build in all but odd cases; in those the worker refuses.
pub(super) const VERSION: u32 = 1;

/// Where a payload or a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// In the memory of the packet before, of this size.
    Memory(u64),
}

/// Parent to worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Run the items `first..end` on these terms.
    Frame { first: u32, end: u32, terms: Written, payload: Place<'a> },
    /// Nothing more will come. Sent by the worker's own watcher, once the parent has closed the control channel.
    Close,
}

/// Worker to parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    /// Something that concerns the pool, not the link.
    Said(&'a [u8]),
    /// The worker takes this item now. When that is it tells where the frame has a time limit, in ticks of the clock.
    Begun { item: u32, at: u64 },
    /// What came of the item that it took.
    Finished { item: u32, result: Place<'a> },
    /// The item ended, and its result found no room.
    Failed { item: u32, size: u64, errno: i32 },
    /// The worker will not begin this item, nor a later one.
    Declined { from: u32 },
}

/// What the control channel carries; all else goes through the crate's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Parent to worker, with the door of the meeting and the doorbell.
    Welcome { version: u32, nonce: u64 },
    /// Worker to parent: it has knocked, and its hello lies at the door.
    Knocked,
}

const FRAME: u8 = 1;
const FRAME_IN_MEMORY: u8 = 2;
const CLOSE: u8 = 3;

const SAID: u8 = 16;
const BEGUN: u8 = 17;
const FINISHED: u8 = 18;
const FINISHED_IN_MEMORY: u8 = 19;
const FAILED: u8 = 20;
const DECLINED: u8 = 21;

const WELCOME: u8 = 32;
const KNOCKED: u8 = 33;

impl<'a> Request<'a> {
    pub(super) fn write(&self) -> Vec<u8> {
        match *self {
            Self::Frame { first, end, terms, payload } => {
                let (tag, len, bytes) = match payload {
                    Place::Inline(bytes) => (FRAME, None, bytes),
                    Place::Memory(len) => (FRAME_IN_MEMORY, Some(len.to_le_bytes()), [].as_slice()),
                };
                let Written { attempt, timeout, deadline } = terms;
                let (window, attempt) = ([first.to_le_bytes(), end.to_le_bytes()], attempt.to_le_bytes());
                let limits = [timeout.to_le_bytes(), deadline.to_le_bytes()];
                let len = len.as_ref().map_or([].as_slice(), <[u8; 8]>::as_slice);
                [&[tag], window.as_flattened(), &attempt, limits.as_flattened(), len, bytes].concat()
            }
            Self::Close => vec![CLOSE],
        }
    }

    /// `None`: no request of ours.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        match tag {
            FRAME | FRAME_IN_MEMORY => {
                let (first, end, attempt) = (take_u32(&mut rest)?, take_u32(&mut rest)?, take_u32(&mut rest)?);
                let terms = Written { attempt, timeout: take_u64(&mut rest)?, deadline: take_u64(&mut rest)? };
                if tag == FRAME {
                    return Some(Self::Frame { first, end, terms, payload: Place::Inline(rest) });
                }
                let len = take_u64(&mut rest)?;
                rest.is_empty().then_some(Self::Frame { first, end, terms, payload: Place::Memory(len) })
            }
            CLOSE => rest.is_empty().then_some(Self::Close),
            _ => None,
        }
    }
}

impl<'a> Answer<'a> {
    pub(super) fn write(&self) -> Vec<u8> {
        match *self {
            Self::Said(bytes) => [&[SAID], bytes].concat(),
            Self::Begun { item, at } => [[BEGUN].as_slice(), &item.to_le_bytes(), &at.to_le_bytes()].concat(),
            Self::Finished { item, result: Place::Inline(bytes) } => {
                [[FINISHED].as_slice(), &item.to_le_bytes(), bytes].concat()
            }
            Self::Finished { item, result: Place::Memory(len) } => {
                [[FINISHED_IN_MEMORY].as_slice(), &item.to_le_bytes(), &len.to_le_bytes()].concat()
            }
            Self::Failed { item, size, errno } => {
                [[FAILED].as_slice(), &item.to_le_bytes(), &size.to_le_bytes(), &errno.to_le_bytes()].concat()
            }
            Self::Declined { from } => [[DECLINED].as_slice(), &from.to_le_bytes()].concat(),
        }
    }

    /// `None`: no answer of ours.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        let answer = match tag {
            SAID => return (rest.len() <= MAX_SAID).then_some(Self::Said(rest)),
            BEGUN => Self::Begun { item: take_u32(&mut rest)?, at: take_u64(&mut rest)? },
            FINISHED => {
                let item = take_u32(&mut rest)?;
                return Some(Self::Finished { item, result: Place::Inline(rest) });
            }
            FINISHED_IN_MEMORY => {
                Self::Finished { item: take_u32(&mut rest)?, result: Place::Memory(take_u64(&mut rest)?) }
            }
            FAILED => {
                let (item, size) = (take_u32(&mut rest)?, take_u64(&mut rest)?);
                let errno = i32::from_le_bytes(take_u32(&mut rest)?.to_le_bytes());
                Self::Failed { item, size, errno }
            }
            DECLINED => Self::Declined { from: take_u32(&mut rest)? },
            _ => return None,
        };
        rest.is_empty().then_some(answer)
    }
}

impl Control {
    pub(super) fn write(&self) -> Vec<u8> {
        match *self {
            Self::Welcome { version, nonce } => {
                [[WELCOME].as_slice(), &version.to_le_bytes(), &nonce.to_le_bytes()].concat()
            }
            Self::Knocked => vec![KNOCKED],
        }
    }

    /// `None`: no message of ours.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (&tag, mut rest) = bytes.split_first()?;
        let message = match tag {
            WELCOME => Self::Welcome { version: take_u32(&mut rest)?, nonce: take_u64(&mut rest)? },
            KNOCKED => Self::Knocked,
            _ => return None,
        };
        rest.is_empty().then_some(message)
    }
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u32::from_le_bytes(*bytes))
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (bytes, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place<'a>() -> impl Strategy<Value = Place<'a>> {
        let inline = prop_oneof![Just(b"".as_slice()), Just(b"some bytes".as_slice())];
        prop_oneof![inline.prop_map(Place::Inline), any::<u64>().prop_map(Place::Memory)]
    }

    fn answer<'a>() -> impl Strategy<Value = Answer<'a>> {
        prop_oneof![
            Just(Answer::Said(b"hello")),
            any::<(u32, u64)>().prop_map(|(item, at)| Answer::Begun { item, at }),
            (any::<u32>(), place()).prop_map(|(item, result)| Answer::Finished { item, result }),
            any::<(u32, u64, i32)>().prop_map(|(item, size, errno)| Answer::Failed { item, size, errno }),
            any::<u32>().prop_map(|from| Answer::Declined { from }),
        ]
    }

    #[test]
    fn a_message_that_is_cut_or_too_long_is_none_of_ours() {
        let failed = Answer::Failed { item: 1, size: 2, errno: 3 }.write();
        assert_eq!(Answer::read(&failed[..failed.len() - 1]), None);
        assert_eq!(Answer::read(&[failed.as_slice(), b"x"].concat()), None);
        assert_eq!(Answer::read(b""), None);
        let said = Answer::Said(&vec![0; MAX_SAID + 1]).write();
        assert_eq!(Answer::read(&said), None);
        assert_eq!(Control::read(&[KNOCKED, 0]), None);
    }

    #[test]
    fn control_messages_are_read_as_they_were_written() {
        for message in [Control::Welcome { version: VERSION, nonce: u64::MAX - 1 }, Control::Knocked] {
            assert_eq!(Control::read(&message.write()), Some(message));
        }
        assert_eq!(Request::read(&Request::Close.write()), Some(Request::Close));
    }

    proptest! {
        #[test]
        fn requests_are_read_as_they_were_written(window: (u32, u32), terms: (u32, u64, u64), payload in place()) {
            let (first, end) = window;
            let terms = Written { attempt: terms.0, timeout: terms.1, deadline: terms.2 };
            let bytes = Request::Frame { first, end, terms, payload }.write();
            prop_assert_eq!(Request::read(&bytes), Some(Request::Frame { first, end, terms, payload }));
        }

        #[test]
        fn answers_are_read_as_they_were_written(answer in answer()) {
            let bytes = answer.write();
            prop_assert_eq!(Answer::read(&bytes), Some(answer));
        }

        #[test]
        fn random_bytes_are_judged_without_a_panic_and_mean_one_thing_at_most(bytes: Vec<u8>) {
            if let Some(answer) = Answer::read(&bytes) {
                prop_assert_eq!(&answer.write(), &bytes);
            }
            if let Some(request) = Request::read(&bytes) {
                prop_assert_eq!(&request.write(), &bytes);
            }
            if let Some(message) = Control::read(&bytes) {
                prop_assert_eq!(&message.write(), &bytes);
            }
        }
    }
}
