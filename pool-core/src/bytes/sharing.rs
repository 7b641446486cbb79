//! How large bytes pass between a value and its codec without a copy.
//!
//! A `Serialize` can only show bytes, and a `Deserialize` is only shown some. What lies beneath them is passed beside that,
//! on the same thread: a value offers the memory that it shows, and an encoder that is shown these very bytes may take it; a
//! decoder names the memory that it reads from, and a value that is shown a part of it may keep that.
//!
//! Keeps true: what is taken is what was shown, address for address; nothing stays behind when the call ends, by a panic
//! too. Never: needs the codec between the two to know of it; one that copies or translates goes on as if nothing was
//! offered.

use std::cell::RefCell;

use pool_ipc::{FrozenMemory, FrozenSlice};

thread_local! {
    static OFFERED: RefCell<Option<FrozenSlice>> = const { RefCell::new(None) };
    static SOURCE: RefCell<Option<FrozenMemory>> = const { RefCell::new(None) };
}

/// Shows bytes to a serializer, which may take them as they are.
pub(super) fn offer<R>(slice: &FrozenSlice, show: impl FnOnce(&[u8]) -> R) -> R {
    let _until_shown = Withdrawn;
    OFFERED.set(Some(slice.clone()));
    show(slice)
}

/// The memory of bytes that were just shown, if it was offered.
pub(crate) fn take_offered(shown: &[u8]) -> Option<FrozenSlice> {
    OFFERED.take().filter(|offered| std::ptr::eq(&raw const **offered, shown))
}

/// The memory that the thread decodes from, until it is dropped: then it is again what it was before.
pub(crate) struct Source {
    former: Option<FrozenMemory>,
}

impl Source {
    /// Says that what is decoded from now on lies in this memory, and that values may keep parts of it.
    pub(crate) fn named(memory: &FrozenMemory) -> Self {
        Self { former: SOURCE.replace(Some(memory.clone())) }
    }

    /// Says so until [`forget`](Self::forget).
    pub(crate) fn name(memory: FrozenMemory) {
        SOURCE.set(Some(memory));
    }

    /// Says that it lies in none any more.
    #[cold]
    pub(crate) fn forget() {
        SOURCE.take();
    }
}

/// The memory of bytes that a decoder shows, if it may be kept.
pub(super) fn keep(shown: &[u8]) -> Option<FrozenSlice> {
    SOURCE.with_borrow(|memory| memory.as_ref()?.slice_of(shown))
}

/// Ends an offer.
struct Withdrawn;

impl Drop for Withdrawn {
    fn drop(&mut self) {
        OFFERED.take();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        SOURCE.set(self.former.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_taken_by_who_was_shown_these_very_bytes_and_else_is_gone() {
        let (offered, other) = (FrozenSlice::from(vec![1; 9]), vec![1_u8; 9]);
        offer(&offered, |shown| {
            assert!(take_offered(&other).is_none());
            assert!(take_offered(shown).is_none(), "whoever asked for others has ended it");
        });
        offer(&offered, |shown| assert!(take_offered(shown).is_some()));
        offer(&offered, |_| ());
        assert!(take_offered(&offered).is_none());
    }

    #[test]
    fn memory_to_decode_from_is_forgotten_with_the_call_even_if_it_panics() {
        let memory = FrozenMemory::from(vec![1; 9]);
        let panicking = std::panic::AssertUnwindSafe(|| {
            let _until_decoded = Source::named(&memory);
            assert!(keep(&memory).is_some());
            panic!("a Deserialize that panics");
        });
        std::panic::catch_unwind(panicking).unwrap_err();
        assert!(keep(&memory).is_none());
    }
}
