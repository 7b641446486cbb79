//! A piece of memory that the two ends of a link share, and the only ways to touch it.
//!
//! What another process may write is never borrowed: it is copied out once, and the copy is judged. The one exception,
//! [`Region::borrow`], is for the worker's view of requests, which the worker cannot write and the parent does not.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The alignment of a region: a page.
const PAGE: usize = 4096;

/// Memory shared with the other end. All access is by offset and checked against its length.
#[derive(Debug)]
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
    /// Frees the memory. Regions end with their link: memory that a worker mapped is never used for another one.
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    Heap,
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    Mapping(crate::memfd::Mapping),
}

// SAFETY: a region is raw memory; all access goes through atomics, through copies whose partner is ordered by them, or
// through the unsafe `borrow`. Which end writes which bytes when is the slot protocol's matter.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Zeroed memory of this process.
    pub(crate) fn heap(len: usize) -> Self {
        let layout = heap_layout(len);
        // SAFETY: the layout is of at least a page, so not of size zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, len, owner: Owner::Heap }
    }

    /// Memory that several processes map.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn mapped(mapping: crate::memfd::Mapping) -> Self {
        let start = NonNull::new(mapping.as_ptr()).expect("a mapping never starts at address zero");
        Self { start, len: mapping.len(), owner: Owner::Mapping(mapping) }
    }

    /// The word at an offset.
    ///
    /// # Panics
    /// The offset is not ours: layouts are constants, so this is a bug.
    #[inline]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        if !offset.is_multiple_of(8) || offset + 8 > self.len {
            self.has_none(offset, 8);
        }
        // SAFETY: in bounds, aligned (the region starts on a page), alive as long as `self`, and only ever accessed
        // atomically: layouts keep words and bytes apart.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }

    /// Writes bytes that the other end will look at once a word tells it to.
    ///
    /// # Panics
    /// The range is not within the region. Only our own allocator's ranges come here.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        if !self.holds(offset, bytes.len()) {
            self.has_none(offset, bytes.len());
        }
        // SAFETY: in bounds; the source is private, so they do not overlap. The other end does not read this range
        // before the word that publishes it; a hostile one that does gets torn bytes of its own request or outcome.
        unsafe { self.start.as_ptr().add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    /// The same, and `lead` before them.
    ///
    /// # Panics
    /// As [`copy_in`](Self::copy_in).
    #[inline]
    pub(crate) fn copy_in_behind<const N: usize>(&self, offset: usize, lead: [u8; N], bytes: &[u8]) {
        let len = bytes.len() + N;
        if !self.holds(offset, len) {
            self.has_none(offset, len);
        }
        // SAFETY: as in `copy_in`, of the lead and of those behind it, which the bounds were just asked for.
        unsafe {
            let to = self.start.as_ptr().add(offset);
            to.cast::<[u8; N]>().write(lead);
            copy_few(bytes.as_ptr(), to.add(N), bytes.len());
        }
    }

    /// Copies bytes out, once, into private memory, appending to `to`. False: the range is not within the region, and
    /// nothing was copied. The other process may write them at the same time; then the copy is torn, and judged as such.
    #[must_use]
    pub(crate) fn copy_out(&self, offset: usize, len: usize, to: &mut Vec<u8>) -> bool {
        if !self.holds(offset, len) {
            return false;
        }
        to.reserve(len);
        // SAFETY: the source is in bounds; the target was reserved just now and is private. `copy_once` reads each byte
        // once, without the compiler assuming that it cannot change.
        unsafe {
            copy_once(self.start.as_ptr().add(offset), to.as_mut_ptr().add(to.len()), len);
            to.set_len(to.len() + len);
        }
        true
    }

    /// Fills `to` from an offset on, each byte read once. False: the range is not within the region.
    #[must_use]
    pub(crate) fn read_once(&self, offset: usize, to: &mut [u8]) -> bool {
        let inside = self.holds(offset, to.len());
        if inside {
            // SAFETY: the source is in bounds, the target is a private slice.
            unsafe { copy_once(self.start.as_ptr().add(offset), to.as_mut_ptr(), to.len()) }
        }
        inside
    }

    /// Writes bytes that others may be reading or writing. False: the range is not within the region.
    #[must_use]
    pub(crate) fn write_once(&self, offset: usize, bytes: &[u8]) -> bool {
        let inside = self.holds(offset, bytes.len());
        if inside {
            // SAFETY: the target is in bounds, the source is a private slice.
            unsafe { copy_once(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len()) }
        }
        inside
    }

    /// The words of the first `len` bytes, but for what is no whole word.
    ///
    /// # Panics
    /// The region is shorter.
    pub(crate) fn words(&self, len: usize) -> &[AtomicU64] {
        assert!(len <= self.len, "{len} bytes of {}", self.len);
        if len < 8 {
            return &[];
        }
        // SAFETY: in bounds, aligned (the region starts on a page), alive as long as `self`; atomics may be shared with
        // whoever writes them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<AtomicU64>(), len / 8) }
    }

    /// The bytes themselves, or `None` where the range is not within the region.
    ///
    /// # Safety
    /// Nobody may write the range for as long as the slice lives.
    #[inline]
    pub(crate) unsafe fn borrow(&self, offset: usize, len: usize) -> Option<&[u8]> {
        // SAFETY: in bounds; that nobody writes is the caller's promise.
        self.holds(offset, len).then(|| unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), len) })
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gets memory for a range of it now. Later a lack of it would be a SIGBUS.
    ///
    /// # Errors
    /// There is none, or the kernel cannot do this.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn commit(&self, offset: usize, len: usize) -> std::io::Result<()> {
        match &self.owner {
            Owner::Heap => Ok(()),
            Owner::Mapping(mapping) => mapping.commit(offset, len),
        }
    }

    /// Apart from where it is asked, which is on the way of every item.
    #[cold]
    fn has_none(&self, offset: usize, len: usize) -> ! {
        panic!("{len} bytes at {offset} of {}", self.len)
    }

    #[inline]
    fn holds(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

/// A range of a region that nobody writes.
pub(crate) struct Lease {
    region: Arc<Region>,
    offset: usize,
    len: usize,
}

impl Lease {
    /// The range, or `None` where it is not within the region.
    ///
    /// # Safety
    /// Nobody may write the range for as long as the lease lives.
    pub(crate) unsafe fn new(region: Arc<Region>, offset: usize, len: usize) -> Option<Self> {
        region.holds(offset, len).then_some(Self { region, offset, len })
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the range is within the region, and who made the lease promised that nobody writes it.
        unsafe { std::slice::from_raw_parts(self.region.start.as_ptr().add(self.offset), self.len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        match self.owner {
            // SAFETY: allocated by `heap` with this very layout, and freed once.
            Owner::Heap => unsafe { dealloc(self.start.as_ptr(), heap_layout(self.len)) },
            #[cfg(all(target_os = "linux", not(pool_portable)))]
            Owner::Mapping(_) => {}
        }
    }
}

fn heap_layout(len: usize) -> Layout {
    Layout::from_size_align(len.max(PAGE), PAGE).expect("regions are a few MiB")
}

/// Copies bytes, of which there are mostly a few: those without a call.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, and they do not overlap.
#[inline]
unsafe fn copy_few(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. Each piece is as long as its type, and begins or ends where the bytes do.
    unsafe {
        match len {
            0 => {}
            1..=3 => [0, len / 2, len - 1].iter().for_each(|&at| to.add(at).write(from.add(at).read())),
            4..=7 => copy_ends::<u32>(from, to, len),
            8..=16 => copy_ends::<u64>(from, to, len),
            17..=32 => copy_ends::<u128>(from, to, len),
            _ => to.copy_from_nonoverlapping(from, len),
        }
    }
}

/// Copies the first and the last bytes, as many as a `P` has.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, at least as many as a `P` has, and they do not overlap.
#[inline]
unsafe fn copy_ends<P: Copy>(from: *const u8, to: *mut u8, len: usize) {
    let last = len - size_of::<P>();
    // SAFETY: both pieces are within `len`; unaligned reads and writes need nothing else.
    unsafe {
        to.cast::<P>().write_unaligned(from.cast::<P>().read_unaligned());
        to.add(last).cast::<P>().write_unaligned(from.add(last).cast::<P>().read_unaligned());
    }
}

/// Copies memory that another process may be writing.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, and they do not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn copy_once(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. Inside of `asm!` a concurrent writer is no data race of the language, and each byte is
    // read once, at the speed of memcpy.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Copies memory that another process may be writing.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes, and they do not overlap.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn copy_once(from: *const u8, to: *mut u8, len: usize) {
    let words = if from.addr() % 8 == 0 && to.addr() % 8 == 0 { len / 8 } else { 0 };
    for index in 0..words {
        // SAFETY: within `len`, and both are aligned, as was just seen.
        unsafe { to.cast::<u64>().add(index).write(from.cast::<u64>().add(index).read_volatile()) };
    }
    for index in words * 8..len {
        // SAFETY: within `len`.
        unsafe { to.add(index).write(from.add(index).read_volatile()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_and_never_from_beyond_the_end() {
        let region = Region::heap(10_000);
        let bytes: Vec<u8> = (0..=255).cycle().take(5_003).collect();
        region.copy_in(4_997, &bytes);
        let mut copy = vec![7];
        assert!(region.copy_out(4_997, 5_003, &mut copy));
        assert_eq!(copy[1..], bytes);
        for (offset, len) in [(4_998, 5_003), (10_001, 0), (usize::MAX, 1), (1, usize::MAX)] {
            assert!(!region.copy_out(offset, len, &mut copy), "{len} bytes at {offset}");
        }
        assert_eq!(copy.len(), 5_004);
    }

    #[test]
    fn bytes_of_any_length_lie_behind_the_byte_that_leads_them_and_nowhere_else() {
        let bytes: Vec<u8> = (1..=40).collect();
        for len in 0..=bytes.len() {
            let region = Region::heap(100);
            region.copy_in_behind(7, [99], &bytes[..len]);
            let mut copy = Vec::new();
            assert!(region.copy_out(0, 100, &mut copy));
            let expected = [&[0; 7][..], &[99], &bytes[..len], &[0; 92][..92 - len]].concat();
            assert_eq!(copy, expected, "{len} bytes");
        }
    }
}
