//! What a process of its own is told at its start, by the one that starts it.
//!
//! Keeps true: its first bytes mean what those of a worker's boot message mean, so that another build is found out before
//! anything else is believed; arguments of any size are appended as they are, not encoded once more. Never: an answer.

use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::task::{EncodeFailure, decode, encode_into};

/// Who a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessBoot {
    /// Its name, `Process-1:2`.
    pub(crate) name: String,
    /// Its number among its parent's, behind its parent's own numbers: what its children's names begin with.
    pub(crate) lineage: Vec<u64>,
    /// Whether it ends with its parent's main function.
    pub(crate) daemon: bool,
    /// The name of the process that started it.
    pub(crate) parent_name: String,
    /// How many processes were started one by another down to this one, the main one not counted.
    pub(crate) depth: u32,
    /// How much the parent logs: [`log::LevelFilter`] as a number.
    pub(crate) log_level: usize,
}

impl ProcessBoot {
    /// The message of a parent whose build has this fingerprint: version, fingerprint, the length of what follows, this,
    /// and the request of the call.
    pub(crate) fn encode(&self, fingerprint: u64, request: &[u8]) -> Result<Vec<u8>, EncodeFailure> {
        let mut own = Vec::new();
        encode_into(&mut own, self)?;
        let length = own.len() as u64;
        let parts = [&VERSION.to_le_bytes()[..], &fingerprint.to_le_bytes(), &length.to_le_bytes(), &own, request];
        let size = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| EncodeFailure::NoMemory { size: size as u64 })?;
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(bytes)
    }

    /// Reads the message, and finds the request, in a child whose build has this fingerprint. `None` means that the
    /// parent is another build.
    #[cfg_attr(not(all(target_os = "linux", not(pool_portable))), expect(dead_code, reason = "only children read it"))]
    pub(crate) fn decode(bytes: &[u8], fingerprint: u64) -> Option<(Self, &[u8])> {
        let (version, rest) = bytes.split_first_chunk()?;
        let (theirs, rest) = rest.split_first_chunk()?;
        if (u32::from_le_bytes(*version), u64::from_le_bytes(*theirs)) != (VERSION, fingerprint) {
            return None;
        }
        let (length, rest) = rest.split_first_chunk()?;
        let (own, request) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        Some((decode(own).ok()?, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot() -> ProcessBoot {
        ProcessBoot { name: "Process-1:2".to_owned(), lineage: vec![1, 2], daemon: true, ..ProcessBoot::default() }
    }

    #[test]
    fn a_process_reads_who_it_is_and_what_it_is_to_call() {
        for request in [&b""[..], b"request"] {
            let bytes = boot().encode(7, request).unwrap();
            assert_eq!(ProcessBoot::decode(&bytes, 7), Some((boot(), request)));
        }
    }

    #[test]
    fn another_build_and_a_message_that_was_cut_are_found_out() {
        let bytes = boot().encode(7, b"").unwrap();
        assert_eq!(ProcessBoot::decode(&bytes, 8), None);
        (0..bytes.len()).for_each(|length| assert_eq!(ProcessBoot::decode(&bytes[..length], 7), None));
        let mut endless = bytes;
        endless[12..20].fill(0xFF);
        assert_eq!(ProcessBoot::decode(&endless, 7), None);
    }
}
