//! Two words that two processes share, each on a cache line of its own: what a futex ping-pong needs.
//!
//! Keeps true: the file is as large as the words, and mapped for as long as the process lives; nothing else lies in it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};

/// A word that shares its cache line with nothing.
#[repr(C, align(128))]
pub(crate) struct Word(pub(crate) AtomicU32);

#[repr(C)]
pub(crate) struct Words {
    /// Counted up by whoever asks.
    pub(crate) asked: Word,
    /// Counted up by whoever answers.
    pub(crate) answered: Word,
}

/// A memory that can be handed to another process, with the words in it.
pub(crate) fn create() -> io::Result<(File, &'static Words)> {
    let file = memfd_create("pool-bench-words", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, size_of::<Words>() as u64)?;
    let words = map(&file)?;
    Ok((File::from(file), words))
}

/// The words in a file of [`create`].
pub(crate) fn map(file: impl AsFd) -> io::Result<&'static Words> {
    let length = size_of::<Words>();
    if rustix::fs::fstat(&file)?.st_size.cast_unsigned() < length as u64 {
        return Err(io::Error::other("the shared file is too short for its words"));
    }
    // SAFETY: the kernel chooses the address, so no other object lies there.
    let start =
        unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
    // SAFETY: the mapping is page-aligned, as long as the file and never unmapped; zeroes are valid words, and both
    // processes touch them by atomic operations only.
    Ok(unsafe { &*start.cast::<Words>() })
}
