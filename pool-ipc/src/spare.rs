//! Private memory that large outcomes are copied to, used again and again: fresh pages cost several times the copy.
//!
//! What holds: what is kept beyond its use is bounded in bytes and in pieces, and is let go together with the last
//! link's recycled memory. Never here: memory that another process maps.

use std::collections::TryReserveError;

use parking_lot::Mutex;

use crate::process::fork_generation;
use crate::slot::bulk::is_held;

/// The most bytes that are kept for later.
const MOST: usize = 256 << 20;

/// The most pieces.
const PIECES: usize = 16;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A vector that is kept for the next one who needs such memory.
pub(crate) struct Spare {
    bytes: Vec<u8>,
    /// A fork of this process keeps none: what another thread had locked when it was made stays locked there.
    home: u64,
}

impl Spare {
    /// An empty vector with room for `len` bytes.
    ///
    /// # Errors
    /// There is no memory for that.
    pub(crate) fn with_room(len: usize) -> Result<Self, TryReserveError> {
        let mut kept = KEPT.lock();
        // Not one of more than twice the size, which others need more.
        let fits = |bytes: &Vec<u8>| bytes.capacity() >= len && bytes.capacity() / 2 <= len;
        if let Some(index) = kept.iter().position(fits) {
            return Ok(Self::of(kept.swap_remove(index)));
        }
        drop(kept);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len)?;
        Ok(Self::of(bytes))
    }

    fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, home: fork_generation() }
    }

    /// The vector, to be filled.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The vector, for good.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl AsRef<[u8]> for Spare {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if bytes.capacity() == 0 || fork_generation() != self.home {
            return;
        }
        let mut kept = KEPT.lock();
        let held: usize = kept.iter().map(Vec::capacity).sum();
        // Asked under the lock: who lets go of all that is kept does so after the last link has let go of its memory.
        if is_held() && kept.len() < PIECES && held.saturating_add(bytes.capacity()) <= MOST {
            kept.push(bytes);
        }
    }
}

/// Lets go of all that is kept.
pub(crate) fn release() {
    // Freed after the lock is.
    drop(std::mem::take(&mut *KEPT.lock()));
}
