//! The first words between a pool and a worker: what the worker is told at its start, and what it answers.
//!
//! Keeps true: the first bytes of both mean the same in every version, so that two builds that do not understand each
//! other find that out before anything runs; an answer always fits into what a link carries. Never: believes an answer
//! beyond that.

use pool_ipc::MAX_SAID;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::error::RemoteError;
use crate::task::{EncodeFailure, decode, encode_into};

/// What a worker is told before it runs anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Boot {
    /// The worker's name, `SpawnProcess-1`.
    pub(crate) name: String,
    /// The name of the process that started it.
    pub(crate) parent_name: String,
    /// The pid of that process.
    pub(crate) parent_pid: u32,
    /// How many processes were started one by another down to this worker, the main one not counted.
    pub(crate) depth: u32,
    /// It is the first worker of its pool.
    pub(crate) is_first: bool,
    /// How much the parent logs: [`log::LevelFilter`] as a number.
    pub(crate) log_level: usize,
    /// The request of the initializer's call, where there is an initializer.
    pub(crate) initializer: Option<Vec<u8>>,
}

impl Boot {
    /// The message of a parent whose build has this fingerprint.
    pub(crate) fn encode(&self, fingerprint: u64) -> Result<Vec<u8>, EncodeFailure> {
        let mut bytes = [&VERSION.to_le_bytes()[..], &fingerprint.to_le_bytes()].concat();
        encode_into(&mut bytes, self)?;
        Ok(bytes)
    }

    /// Reads the message in a worker whose build has this fingerprint. `None` means that the parent is another build;
    /// then not even the rest of the message may be believed.
    pub(crate) fn decode(bytes: &[u8], fingerprint: u64) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (theirs, rest) = rest.split_first_chunk()?;
        let same = (u32::from_le_bytes(*version), u64::from_le_bytes(*theirs)) == (VERSION, fingerprint);
        if same { decode(rest).ok() } else { None }
    }
}

/// What a worker answers, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// It takes tasks.
    Ready {
        /// Its build.
        fingerprint: u64,
    },
    /// It is another build than its parent and ran nothing.
    OtherBuild,
    /// Its initializer failed, and it ends.
    InitializerFailed(RemoteError),
    /// Its program never became a worker, and it ends.
    NoInit,
}

impl Greeting {
    /// The message, of at most [`MAX_SAID`] bytes: the texts of a longer error are cut.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ready { fingerprint } => [&[READY][..], &fingerprint.to_le_bytes()].concat(),
            Self::OtherBuild => vec![OTHER_BUILD],
            Self::NoInit => vec![NO_INIT],
            Self::InitializerFailed(error) => {
                let mut bytes = vec![INITIALIZER_FAILED];
                if encode_into(&mut bytes, error).is_err() || bytes.len() > MAX_SAID {
                    bytes.truncate(1);
                    let text = error.to_string();
                    let short = RemoteError::message(&text[..text.floor_char_boundary(MAX_SAID / 2)]);
                    encode_into(&mut bytes, &short).expect("half of a message's length is a small allocation");
                }
                bytes
            }
        }
    }

    /// Reads the message, which may be any bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [READY, fingerprint @ ..] => {
                Some(Self::Ready { fingerprint: u64::from_le_bytes(fingerprint.try_into().ok()?) })
            }
            [OTHER_BUILD] => Some(Self::OtherBuild),
            [NO_INIT] => Some(Self::NoInit),
            [INITIALIZER_FAILED, error @ ..] => decode(error).ok().map(Self::InitializerFailed),
            _ => None,
        }
    }
}

const READY: u8 = 0;
const OTHER_BUILD: u8 = 1;
const INITIALIZER_FAILED: u8 = 2;
const NO_INIT: u8 = 3;

#[cfg(test)]
mod tests {
    use std::error::Error;

    use proptest::prelude::*;

    use super::*;

    fn boot() -> Boot {
        Boot { name: "SpawnProcess-1".to_owned(), log_level: 3, initializer: Some(vec![1, 2]), ..Boot::default() }
    }

    fn failed(error: &(dyn Error + 'static)) -> Greeting {
        Greeting::InitializerFailed(RemoteError::new(error))
    }

    #[test]
    fn a_boot_message_is_read_by_its_own_build_only() {
        let bytes = boot().encode(7).unwrap();
        assert_eq!(Boot::decode(&bytes, 7), Some(boot()));
        assert_eq!(Boot::decode(&bytes, 8), None);
        let mut later = bytes.clone();
        later[0] += 1;
        assert_eq!(Boot::decode(&later, 7), None);
        (0..bytes.len()).for_each(|length| assert_eq!(Boot::decode(&bytes[..length], 7), None));
    }

    #[test]
    fn greetings_come_back_as_they_were() {
        let parse_error = "x".parse::<u8>().unwrap_err();
        let ready = Greeting::Ready { fingerprint: u64::MAX - 1 };
        for greeting in [ready, Greeting::OtherBuild, Greeting::NoInit, failed(&parse_error)] {
            assert_eq!(Greeting::decode(&greeting.encode()), Some(greeting));
        }
    }

    #[test]
    fn an_error_of_any_length_fits_into_a_message() {
        let error = RemoteError::message("é".repeat(MAX_SAID));
        let bytes = failed(&error).encode();
        assert!(bytes.len() <= MAX_SAID);
        let Some(Greeting::InitializerFailed(cut)) = Greeting::decode(&bytes) else { panic!("{} bytes", bytes.len()) };
        assert!(error.to_string().starts_with(&cut.to_string()));
    }

    #[test]
    fn a_chain_of_errors_as_long_as_a_message_is_not_followed_to_its_end() {
        let texts = vec![String::new(); MAX_SAID - 8];
        let mut bytes = vec![INITIALIZER_FAILED];
        encode_into(&mut bytes, &texts).unwrap();
        let Some(Greeting::InitializerFailed(error)) = Greeting::decode(&bytes) else { panic!("no error") };
        let (mut length, mut link) = (0, error.source());
        while let Some(error) = link {
            (length, link) = (length + 1, error.source());
        }
        assert!(length < 100, "{length}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_greeting_or_none(tag in 0_u8..5, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Greeting::decode(&bytes);
            Greeting::decode(&[&[tag], &bytes[..]].concat());
        }
    }
}
