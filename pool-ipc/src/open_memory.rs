//! Memory that processes hand to each other and write in place.
//!
//! What holds: nobody gets a slice of it, since a process that had it once may write it for ever; every access is a copy
//! or an atomic word, checked against a length that never changes. Its pages are there before the first store. Who has it
//! is told by a number that changes with each loan, so that what was handed back can be taken once. What never happens here:
//! a belief in what the bytes say.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::process;
use crate::slot::region::Region;

#[cfg(all(target_os = "linux", not(pool_portable)))]
use crate::memfd::{self, Access, Mapping, NotFrozen};
#[cfg(all(target_os = "linux", not(pool_portable)))]
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Memory that several processes may write.
#[derive(Debug)]
pub struct OpenMemory {
    region: Region,
    len: usize,
    /// Kept where it was made, to be sent.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    fd: Option<OwnedFd>,
    /// A fork of this process does not have it.
    home: u64,
    /// Odd while it is away.
    loan: AtomicU64,
}

impl OpenMemory {
    /// Zeroed memory, all of it there.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        if len >= LARGE {
            require_room(len as u64, &std::fs::read_to_string("/proc/meminfo")?)?;
        }
        let fd = memfd::create("pool-buffer", len)?;
        if len > 0 {
            memfd::commit(fd.as_fd(), 0, len as u64)?;
        }
        let mapping = Mapping::map(fd.as_fd(), len, Access::ReadWrite)?;
        Ok(Self::with(Region::mapped(mapping), len, Some(fd)))
    }

    /// Zeroed memory of this process, whose workers are threads.
    #[cfg(not(all(target_os = "linux", not(pool_portable))))]
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        // A probe: what a region asks for itself it has to get.
        Vec::<u8>::new().try_reserve_exact(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let (region, loan) = (Region::heap(len), AtomicU64::new(0));
        Ok(Self { region, len, home: process::fork_generation(), loan })
    }

    /// What the parent sent.
    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn receive(fd: BorrowedFd<'_>, len: u64) -> Result<Self, NotFrozen> {
        memfd::judge_open(fd, len)?;
        let len = usize::try_from(len).map_err(|_| NotFrozen::Unfit("memory beyond all addresses"))?;
        let mapping = Mapping::map(fd, len, Access::ReadWrite).map_err(NotFrozen::System)?;
        Ok(Self::with(Region::mapped(mapping), len, None))
    }

    #[cfg(all(target_os = "linux", not(pool_portable)))]
    fn with(region: Region, len: usize, fd: Option<OwnedFd>) -> Self {
        Self { region, len, fd, home: process::fork_generation(), loan: AtomicU64::new(0) }
    }

    #[cfg(all(target_os = "linux", not(pool_portable)))]
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// How many bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this process has it: a fork does not have its parent's.
    pub fn is_here(&self) -> bool {
        process::fork_generation() == self.home
    }

    /// Copies bytes out, each read once. False: the range is not within, and nothing was copied.
    #[must_use]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> bool {
        self.is_here() && self.region.read_once(offset, to)
    }

    /// Copies bytes in. False: the range is not within, and nothing was copied.
    #[must_use]
    pub fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        self.is_here() && self.region.write_once(offset, bytes)
    }

    /// Its whole words.
    pub fn words(&self) -> &[AtomicU64] {
        if self.is_here() { self.region.words(self.len) } else { &[] }
    }

    /// Notes that it goes away, and gives the number under which it may come back.
    pub fn lend(&self) -> u64 {
        self.loan.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Notes that it is back from this loan. False: it was back before.
    #[must_use]
    pub fn take_back(&self, loan: u64) -> bool {
        let back = self.loan.compare_exchange(loan, loan.wrapping_add(1), Ordering::AcqRel, Ordering::Relaxed);
        loan % 2 == 1 && back.is_ok()
    }
}

/// From this size on it is asked first whether there is room.
#[cfg(all(target_os = "linux", not(pool_portable)))]
const LARGE: usize = 16 << 20;

/// An error where the machine does not have so much. To try would take all that there is, and have the kernel kill processes
/// for it, before it said no.
#[cfg(all(target_os = "linux", not(pool_portable)))]
fn require_room(len: u64, meminfo: &str) -> io::Result<()> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"))?;
        line.trim().parse::<u64>().ok()
    };
    let room = field("MemAvailable:").unwrap_or(0).saturating_add(field("SwapFree:").unwrap_or(0)).saturating_mul(1024);
    if len <= room { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOMEM)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_taken_back_once_and_by_its_latest_loan() {
        let memory = OpenMemory::new(10).expect("there is memory");
        let first = memory.lend();
        assert!(!memory.take_back(first + 1) && !memory.take_back(0));
        assert!(memory.take_back(first) && !memory.take_back(first));
        let second = memory.lend();
        assert!(!memory.take_back(first) && memory.take_back(second));
    }

    #[cfg(all(target_os = "linux", not(pool_portable)))]
    #[test]
    fn what_the_machine_does_not_have_is_not_tried() {
        let meminfo = "MemTotal: 9000 kB\nMemAvailable:    1000 kB\nSwapFree:  24 kB\n";
        assert!(require_room(1 << 20, meminfo).is_ok());
        let error = require_room((1 << 20) + 1, meminfo).expect_err("it is too much");
        assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
        assert!(require_room(1, "of another system").is_err());
        assert!(OpenMemory::new(usize::MAX).is_err());
    }

    #[test]
    fn nothing_is_read_or_written_beyond_the_end() {
        let memory = OpenMemory::new(4099).expect("there is memory");
        assert!(memory.write(4096, b"end") && !memory.write(4097, b"end") && !memory.write(usize::MAX, b"end"));
        let mut bytes = [1; 4];
        assert!(memory.read(4095, &mut bytes) && !memory.read(4096, &mut bytes));
        assert_eq!((&bytes, memory.words().len()), (b"\0end", 512));
        let none = OpenMemory::new(0).expect("it takes none");
        assert!(none.read(0, &mut []) && none.words().is_empty() && none.is_empty());
    }
}
