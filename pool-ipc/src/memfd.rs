//! Anonymous shared memory: created, committed, sealed, mapped, and judged when it comes from somebody else.
//!
//! What holds: memory of ours never changes its size (growth is another memfd), so a mapping of it never faults for
//! want of a file; memory that a stranger passed is mapped only after its seals, size and pages were found in order;
//! memory that the limit on the sizes of files (RLIMIT_FSIZE) forbids is an error, and no SIGXFSZ, which would end the
//! program. What never happens here: a `&[u8]` over memory that anybody can still write. [`Mapping`] gives a raw pointer only;
//! the slice of [`Frozen`] rests on `F_SEAL_WRITE`, which the kernel grants once and never takes back.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, FileType, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

/// How much is committed by one system call. A signal makes the kernel undo the call it lands in, so large regions are
/// committed in pieces: a program with a fast interval timer still gets there.
const COMMIT_PIECE: u64 = 16 << 20;

/// The seals of memory that is proven to change no more.
const FROZEN: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE);

/// Creates a close-on-exec memfd of `len` bytes whose size is fixed for ever. Nothing is committed yet.
pub(crate) fn create(name: &str, len: usize) -> io::Result<OwnedFd> {
    allowed(as_u64(len))?;
    let fd = bare(name)?;
    rustix::fs::ftruncate(&fd, as_u64(len))?;
    seal(fd.as_fd(), SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(fd)
}

/// Gets memory for a range now, where a lack of it is an error. Later it would be a SIGBUS at the first store. The range
/// lies within the size: the limit on that was obeyed when the memory was made, and a lower one that was set since does not
/// matter.
pub(crate) fn commit(fd: BorrowedFd<'_>, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.checked_add(len).ok_or(Errno::FBIG)?;
    let mut start = offset;
    while start < end {
        let piece = COMMIT_PIECE.min(end - start);
        rustix::io::retry_on_intr(|| rustix::fs::fallocate(fd, FallocateFlags::empty(), start, piece))?;
        start += piece;
    }
    Ok(())
}

/// Whether the kernel has what [`Mapping::commit`] asks for (5.14).
pub(crate) fn commits_mappings() -> bool {
    // SAFETY: a range of no bytes, of which the kernel looks at the advice alone.
    unsafe { rustix::mm::madvise(std::ptr::null_mut(), 0, Advice::LinuxPopulateWrite) }.is_ok()
}

/// Adds seals. They are permanent. `FUTURE_WRITE` leaves the mappings that exist writable and forbids all others;
/// `WRITE` fails with `EBUSY` while a writable mapping exists anywhere.
pub(crate) fn seal(fd: BorrowedFd<'_>, seals: SealFlags) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, seals)?)
}

/// [`freeze_pieces`] of one piece.
pub(crate) fn freeze(bytes: &[u8]) -> io::Result<OwnedFd> {
    freeze_pieces(&[bytes])
}

/// Copies `pieces`, one behind the other, into a memfd that nobody can change any more, neither its content nor its size.
///
/// The copy goes through write(2), which takes half the time of a mapping (no page faults, no zeroing of pages),
/// commits as it goes, and makes a lack of memory an error of its own: no [`commit`] is needed, which would cost
/// another 10 %.
pub(crate) fn freeze_pieces(pieces: &[&[u8]]) -> io::Result<OwnedFd> {
    allowed(pieces.iter().map(|piece| as_u64(piece.len())).sum())?;
    let fd = bare("pool-frozen")?;
    let mut file = File::from(fd);
    // Resumes after short writes (the kernel moves at most 2 GiB at a time) and after EINTR.
    pieces.iter().try_for_each(|piece| file.write_all(piece))?;
    let fd = OwnedFd::from(file);
    seal_pages(fd.as_fd())?;
    Ok(fd)
}

/// How often the kernel is asked to seal pages that it is busy with itself. It waits 150 ms each time.
const SEAL_TRIES: usize = 40;

/// Adds [`FROZEN`] to memory that nobody has ever mapped. `EBUSY` then does not mean a writer: the kernel refuses while
/// anything, its own reclaim or a batch of another core's, still refers to one of the pages, and gives that up after
/// 150 ms, which on busy cores is not always enough.
fn seal_pages(fd: BorrowedFd<'_>) -> io::Result<()> {
    for _ in 1..SEAL_TRIES {
        match rustix::fs::fcntl_add_seals(fd, FROZEN) {
            Err(Errno::BUSY) => {}
            result => return Ok(result?),
        }
    }
    seal(fd, FROZEN)
}

/// What a mapping may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Loads only; a store is a SIGSEGV.
    Read,
    /// Loads and stores.
    ReadWrite,
}

/// A shared mapping of a memfd, unmapped on drop.
///
/// In a child that the program forked: a writable mapping is absent there (`MADV_DONTFORK`). Such a child is not part
/// of the protocol, so a stray store of its would change words under the feet of its parent, and its mere mapping would
/// make `F_SEAL_WRITE` fail in the parent; callers notice the fork before they touch anything, and whoever forgets gets
/// a SIGSEGV in the child rather than a wrong result in the parent. Its drop leaves that address alone, since something
/// else may lie there. Read-only mappings are inherited: reading can harm nobody, and a result that the child inherited
/// stays readable.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Page-aligned; dangling where the length is zero.
    start: NonNull<u8>,
    /// In bytes.
    len: usize,
    /// The process that made it, for mappings that its forked children do not have.
    owner: Option<u32>,
}

// SAFETY: a mapping is a range of addresses that belongs to the whole process. This type never dereferences its
// pointer; whoever does so answers for the accesses.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives the pointer and the length, both constant.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes. Zero bytes need no mapping and always succeed.
    pub(crate) fn map(fd: BorrowedFd<'_>, len: usize, access: Access) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self { start: NonNull::dangling(), len, owner: None });
        }
        let protection = match access {
            Access::Read => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        // SAFETY: the kernel chooses the address, so no existing mapping is replaced, and a new mapping aliases no
        // Rust object. `len` is not zero.
        let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) }?;
        let start = NonNull::new(start.cast()).expect("mmap without MAP_FIXED never gives the address 0");
        let mut mapping = Self { start, len, owner: None };
        if access == Access::ReadWrite {
            mapping.hide_from_forks()?;
        }
        Ok(mapping)
    }

    /// Its first byte. Valid for `len` bytes while the mapping lives, in the process that made it.
    pub(crate) fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Gets memory for a range of it now, as [`commit`] does by a descriptor, and needs none. A lack of memory is an error and
    /// no signal; what there was room for stays.
    ///
    /// # Errors
    /// There is no memory, or the kernel [cannot](commits_mappings) do this.
    pub(crate) fn commit(&self, offset: usize, len: usize) -> io::Result<()> {
        let end = offset.checked_add(len).filter(|&end| end <= self.len).ok_or(Errno::FBIG)?;
        // The kernel wants the start of a page, and takes the last one whole.
        let first = offset - offset % rustix::param::page_size();
        // SAFETY: from a page of this mapping to its end at most; the advice changes no byte, and nobody has a reference to any.
        let populated = rustix::io::retry_on_intr(|| unsafe {
            rustix::mm::madvise(self.start.as_ptr().add(first).cast(), end - first, Advice::LinuxPopulateWrite)
        });
        Ok(populated?)
    }

    /// See the type's documentation.
    fn hide_from_forks(&mut self) -> io::Result<()> {
        // SAFETY: the range is exactly this mapping, and the advice changes nothing in this process.
        unsafe { rustix::mm::madvise(self.start.as_ptr().cast(), self.len, Advice::LinuxDontFork) }?;
        self.owner = Some(std::process::id());
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let absent = self.owner.is_some_and(|owner| owner != std::process::id());
        if self.len == 0 || absent {
            return;
        }
        // SAFETY: the range was mapped by `map` and belongs to this value alone; no borrow of it outlives the value,
        // because only raw pointers were given out.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of our own range failed: {unmapped:?}");
    }
}

/// Memory that is proven to change no more, readable as a slice.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Read-only.
    mapping: Mapping,
    /// Kept only where the memory is to be sent on.
    fd: Option<OwnedFd>,
}

impl Frozen {
    /// Checks and maps a descriptor that may come from a hostile process, then closes it.
    pub(crate) fn open(fd: OwnedFd, len: u64) -> Result<Self, NotFrozen> {
        let mapping = judge(fd.as_fd(), len)?;
        Ok(Self { mapping, fd: None })
    }

    /// The same, but keeps the descriptor, so that the memory can be passed to another process.
    pub(crate) fn keep(fd: OwnedFd, len: u64) -> Result<Self, NotFrozen> {
        let mapping = judge(fd.as_fd(), len)?;
        Ok(Self { mapping, fd: Some(fd) })
    }

    /// The descriptor, if it was kept.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the mapping is readable for `len` bytes while `self` lives; `judge` found the seals that forbid every
        // change of the bytes and of the size to everybody, for ever, and found all pages committed.
        unsafe { std::slice::from_raw_parts(self.mapping.as_ptr(), self.mapping.len()) }
    }
}

/// Why a descriptor is not frozen memory.
#[derive(Debug)]
pub(crate) enum NotFrozen {
    /// It is something else than the sealed memory that it was said to be; the text says what.
    Unfit(&'static str),
    /// It may be in order, but this process could not map it.
    System(io::Error),
}

impl From<Errno> for NotFrozen {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

impl std::fmt::Display for NotFrozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unfit(what) => f.write_str(what),
            Self::System(error) => write!(f, "mapping a payload: {error}"),
        }
    }
}

impl std::error::Error for NotFrozen {}

/// Judges a descriptor and maps it. None of the calls made can block, whatever the descriptor is.
///
/// The order matters: seals first, since only then size and pages are facts that stay true.
///
/// 1. A regular file with the three seals is a memfd: no other kind of file can carry `F_SEAL_WRITE`.
/// 2. Its size is what was said.
/// 3. It is no hugetlb memory: that can want for a page at any time, which is a SIGBUS.
/// 4. All of its pages exist. The pages of a sparse one would be allocated by our reading them: a SIGBUS where there is
///    no room, and a way to make this process pay for terabytes. `F_SEAL_WRITE` also forbids punching holes later.
fn judge(fd: BorrowedFd<'_>, len: u64) -> Result<Mapping, NotFrozen> {
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(|_| NotFrozen::Unfit("a descriptor that is no memfd"))?;
    if !seals.contains(FROZEN) {
        return Err(NotFrozen::Unfit("a memfd without the seals SHRINK, GROW and WRITE"));
    }
    let status = rustix::fs::fstat(fd)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(NotFrozen::Unfit("a descriptor that is no memfd"));
    }
    if u64::try_from(status.st_size) != Ok(len) {
        return Err(NotFrozen::Unfit("a memfd of another size than was said"));
    }
    if rustix::fs::fstatfs(fd)?.f_type != HUGETLBFS_MAGIC {
        require_pages(status.st_blocks, len)?;
        let len = usize::try_from(len).map_err(|_| NotFrozen::System(Errno::OVERFLOW.into()))?;
        return Mapping::map(fd, len, Access::Read).map_err(NotFrozen::System);
    }
    Err(NotFrozen::Unfit("a memfd of huge pages"))
}

/// Judges a descriptor of memory that several processes write, in the same order: its size is fixed, and is what was said,
/// and its pages exist. Nothing can be found out about its content.
pub(crate) fn judge_open(fd: BorrowedFd<'_>, len: u64) -> Result<(), NotFrozen> {
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(|_| NotFrozen::Unfit("a descriptor that is no memfd"))?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) || seals.intersects(WRITE_SEALS) {
        return Err(NotFrozen::Unfit("a memfd that is not open to be written and fixed in its size"));
    }
    let status = rustix::fs::fstat(fd)?;
    if u64::try_from(status.st_size) != Ok(len) {
        return Err(NotFrozen::Unfit("a memfd of another size than was said"));
    }
    if rustix::fs::fstatfs(fd)?.f_type == HUGETLBFS_MAGIC {
        return Err(NotFrozen::Unfit("a memfd of huge pages"));
    }
    require_pages(status.st_blocks, len)
}

/// The seals of memory that nobody, or nobody else, may write.
const WRITE_SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::FUTURE_WRITE);

/// What statfs(2) says of hugetlb memory.
const HUGETLBFS_MAGIC: rustix::fs::FsWord = 0x9584_58f6;

/// The fourth check of [`judge`]; the kernel counts in units of 512 bytes, swapped-out pages included.
fn require_pages(blocks: i64, len: u64) -> Result<(), NotFrozen> {
    let committed = u64::try_from(blocks).unwrap_or(0).saturating_mul(512);
    if committed < len { Err(NotFrozen::Unfit("a memfd with holes")) } else { Ok(()) }
}

/// Whether memory may have this size. The kernel holds it to the limit on the sizes of files, and says so by SIGXFSZ, which
/// ends a process that does not mind it. A limit that another thread lowers between this and the call that it stands before
/// is a signal nevertheless.
fn allowed(len: u64) -> io::Result<()> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) if len > limit => Err(Errno::FBIG.into()),
        _ => Ok(()),
    }
}

/// An empty memfd that can be sealed, not executable where the kernel knows of that (6.3).
fn bare(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create(name, flags)?),
        result => Ok(result?),
    }
}

/// Lengths of memory as the file calls want them.
fn as_u64(len: usize) -> u64 {
    u64::try_from(len).expect("usize has at most 64 bits on Linux")
}

#[cfg(test)]
mod tests;
