//! Memory as it should be, and descriptors that only pretend.

use std::os::fd::AsRawFd;

use rustix::fs::{OFlags, ftruncate};
use rustix::pipe::PipeFlags;

use super::*;

fn unfit(judged: Result<Frozen, NotFrozen>) -> &'static str {
    match judged.expect_err("this is no frozen memory") {
        NotFrozen::Unfit(what) => what,
        NotFrozen::System(error) => panic!("judged as a failure of the system: {error}"),
    }
}

#[test]
fn frozen_bytes_read_as_they_were_given() {
    for len in [0, 1, 4095, 4096, 4097, 3 << 20] {
        let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        let fd = freeze(&bytes).unwrap();
        let frozen = Frozen::open(fd, len as u64).unwrap();
        assert_eq!(frozen.as_ref(), bytes);
        assert!(frozen.fd().is_none());
    }
}

#[test]
fn frozen_memory_can_be_sent_on_while_it_is_read() {
    let first = Frozen::keep(freeze(b"payload").unwrap(), 7).unwrap();
    let second = Frozen::open(first.fd().unwrap().try_clone_to_owned().unwrap(), 7).unwrap();
    drop(first);
    assert_eq!(second.as_ref(), b"payload");
}

#[test]
fn frozen_memory_cannot_be_changed_by_any_call() {
    let fd = freeze(&[7; 5000]).unwrap();
    assert_eq!(rustix::io::pwrite(&fd, b"x", 0), Err(Errno::PERM));
    assert_eq!(ftruncate(&fd, 0), Err(Errno::PERM));
    assert_eq!(ftruncate(&fd, 1 << 20), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(rustix::fs::fallocate(&fd, hole, 0, 4096), Err(Errno::PERM));
    assert!(Mapping::map(fd.as_fd(), 4096, Access::ReadWrite).is_err());
}

/// Of huge pages a machine has none, unless somebody sets some aside: to commit one is to find the memory full.
#[test]
fn memory_that_is_full_is_an_error_of_the_commit() {
    let huge_pages = |setting| std::fs::read_to_string(format!("/proc/sys/vm/{setting}")).unwrap_or_default();
    let are_none = ["nr_hugepages", "nr_overcommit_hugepages"].iter().all(|setting| huge_pages(setting).trim() == "0");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
    let (true, Ok(fd)) = (are_none, rustix::fs::memfd_create("test", flags)) else {
        return println!("nothing is proved: this machine has huge pages, or knows nothing of them");
    };
    let error = commit(fd.as_fd(), 0, 4 << 20).unwrap_err();
    assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC), "{error}");
    assert_eq!(rustix::fs::fstat(&fd).unwrap().st_size, 0);
    // Ordinary memory is to be had nevertheless.
    commit(create("test", 4 << 20).unwrap().as_fd(), 0, 4 << 20).unwrap();
}

/// As above. A range that is only mapped is asked for by what would be a SIGBUS otherwise.
#[test]
fn memory_that_is_full_is_an_error_of_a_commit_by_the_mapping() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB;
    let Ok(fd) = rustix::fs::memfd_create("test", flags) else { return println!("this kernel has no huge pages") };
    ftruncate(&fd, 4 << 20).unwrap();
    let (protection, unreserved) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::NORESERVE);
    // SAFETY: a new mapping, of which nobody reads or writes a byte.
    let start = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4 << 20, protection, unreserved, &fd, 0) }.unwrap();
    let mapping = Mapping { start: NonNull::new(start.cast()).unwrap(), len: 4 << 20, owner: None };
    match mapping.commit(0, 4 << 20) {
        Err(error) if commits_mappings() => assert_eq!(Errno::from_io_error(&error), Some(Errno::FAULT), "{error}"),
        Err(error) => assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL), "{error}"),
        Ok(()) => println!("nothing is proved: this machine has huge pages"),
    }
}

#[test]
fn a_commit_by_the_mapping_reserves_the_pages() {
    if !commits_mappings() {
        return println!("this kernel commits by descriptors alone");
    }
    let page = rustix::param::page_size();
    let len = 1000 * page + 5;
    let fd = create("test", len).unwrap();
    let mapping = Mapping::map(fd.as_fd(), len, Access::ReadWrite).unwrap();
    // As requests are: sealed when more of them is committed.
    seal(fd.as_fd(), SealFlags::FUTURE_WRITE).unwrap();
    let pages = || rustix::fs::fstat(&fd).unwrap().st_blocks as usize * 512 / page;
    mapping.commit(page - 1, 2).unwrap();
    assert_eq!(pages(), 2);
    mapping.commit(1000 * page, 5).unwrap();
    assert_eq!(pages(), 3);
    mapping.commit(page - 1, 2).unwrap();
    mapping.commit(7, 0).unwrap();
    assert_eq!(pages(), 3);
    mapping.commit(0, len).unwrap();
    assert_eq!(pages(), 1001);
    assert!(mapping.commit(0, len + 1).is_err(), "beyond the mapping");
    assert!(mapping.commit(usize::MAX, 2).is_err());
}

#[test]
fn created_memory_keeps_its_size_and_close_on_exec() {
    let fd = create("test", 8192).unwrap();
    assert_eq!(ftruncate(&fd, 4096), Err(Errno::PERM));
    assert_eq!(ftruncate(&fd, 16384), Err(Errno::PERM));
    assert_eq!(rustix::io::fcntl_getfd(&fd), Ok(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn d002_memory_sealed_against_future_writes_is_written_only_through_the_older_mapping() {
    let fd = create("test", 4096).unwrap();
    let writer = Mapping::map(fd.as_fd(), 4096, Access::ReadWrite).unwrap();
    seal(fd.as_fd(), SealFlags::FUTURE_WRITE).unwrap();
    assert!(Mapping::map(fd.as_fd(), 4096, Access::ReadWrite).is_err());
    assert_eq!(rustix::io::pwrite(&fd, b"x", 0), Err(Errno::PERM));
    let reader = Mapping::map(fd.as_fd(), 4096, Access::Read).unwrap();
    // SAFETY: both mappings are 4096 bytes long and nobody else accesses them.
    let seen = unsafe {
        writer.as_ptr().write_volatile(42);
        reader.as_ptr().read_volatile()
    };
    assert_eq!(seen, 42);
}

#[test]
fn a_writable_mapping_denies_the_proof_that_nobody_writes() {
    let fd = create("test", 4096).unwrap();
    let writer = Mapping::map(fd.as_fd(), 4096, Access::ReadWrite).unwrap();
    let denied = seal(fd.as_fd(), SealFlags::WRITE).unwrap_err();
    assert_eq!(Errno::from_io_error(&denied), Some(Errno::BUSY));
    drop(writer);
    seal(fd.as_fd(), SealFlags::WRITE).unwrap();
}

#[test]
fn a_commit_reserves_the_pages() {
    let fd = create("test", 40 << 20).unwrap();
    commit(fd.as_fd(), 0, 40 << 20).unwrap();
    assert!(rustix::fs::fstat(&fd).unwrap().st_blocks * 512 >= 40 << 20);
    commit(fd.as_fd(), 123, 4567).unwrap();
    assert!(commit(fd.as_fd(), 0, (40 << 20) + 1).is_err(), "beyond the sealed size");
    assert!(commit(fd.as_fd(), u64::MAX, 2).is_err());
}

#[test]
fn an_empty_mapping_needs_no_memory() {
    let fd = create("test", 0).unwrap();
    let mapping = Mapping::map(fd.as_fd(), 0, Access::ReadWrite).unwrap();
    assert_eq!(mapping.len(), 0);
    assert!(!mapping.as_ptr().is_null());
}

#[test]
fn d012_descriptors_of_other_kinds_are_judged_at_once() {
    let (pipe, _writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let open = |path: &str, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, rustix::fs::Mode::empty()).unwrap();
    let strangers = [
        pipe,
        OwnedFd::from(socket),
        open("/", OFlags::RDONLY | OFlags::DIRECTORY),
        open("/", OFlags::PATH),
        open("/dev/null", OFlags::RDWR),
        open("/proc/self/exe", OFlags::RDONLY),
        rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap(),
    ];
    for stranger in strangers {
        let number = stranger.as_raw_fd();
        assert_eq!(unfit(Frozen::open(stranger, 0)), "a descriptor that is no memfd", "descriptor {number}");
    }
}

#[test]
fn d012_memory_that_can_still_change_is_refused() {
    for seals in [
        SealFlags::empty(),
        SealFlags::SHRINK | SealFlags::GROW,
        SealFlags::SHRINK | SealFlags::WRITE,
        SealFlags::GROW | SealFlags::WRITE,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE,
    ] {
        let fd = bare("test").unwrap();
        ftruncate(&fd, 4096).unwrap();
        commit(fd.as_fd(), 0, 4096).unwrap();
        seal(fd.as_fd(), seals).unwrap();
        assert_eq!(unfit(Frozen::open(fd, 4096)), "a memfd without the seals SHRINK, GROW and WRITE");
    }
}

#[test]
fn d012_memory_of_another_size_or_with_holes_is_refused() {
    for said in [0, 4999, 5001, u64::MAX] {
        assert_eq!(unfit(Frozen::open(freeze(&[1; 5000]).unwrap(), said)), "a memfd of another size than was said");
    }
    let fd = create("test", 1 << 40).unwrap();
    commit(fd.as_fd(), 0, 4096).unwrap();
    seal(fd.as_fd(), SealFlags::WRITE).unwrap();
    assert_eq!(unfit(Frozen::open(fd, 1 << 40)), "a memfd with holes");
}

#[test]
fn d012_memory_of_huge_pages_is_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let Ok(fd) = rustix::fs::memfd_create("test", flags) else {
        println!("this kernel has no huge pages");
        return;
    };
    ftruncate(&fd, 2 << 20).unwrap();
    seal(fd.as_fd(), FROZEN).unwrap();
    assert_eq!(unfit(Frozen::open(fd, 2 << 20)), "a memfd of huge pages");
}
