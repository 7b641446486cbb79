//! The ledger: tasks write into it what they do, and the driver reads it, whatever becomes of the worker.
//!
//! It is a file without a name, which tasks open by the driver's descriptor and append to. Keeps true: a record is there
//! wholly or not at all, also when its writer is killed in the middle of it, since all have one size that divides a
//! page; what one worker wrote stands in the order in which it was done.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use rustix::fs::{FallocateFlags, MemfdFlags};

/// Names the ledger to workers. Where it is not set, tasks write nothing.
pub(crate) const VARIABLE: &str = "POOL_PROOF_LEDGER";

/// The driver's end.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    /// How much of it was read.
    read: u64,
    /// How much of it was given back to the system.
    freed: u64,
}

/// One thing that a task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) task: u64,
    pub(crate) worker: Worker,
    pub(crate) deed: Deed,
    /// How often the task was run before, as it was told.
    pub(crate) attempt: u32,
}

/// A worker process. Numbers of processes come again; a worker's life has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) pid: u32,
    pub(crate) life: u64,
}

/// What a task writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It runs.
    Began,
    /// It has started this process.
    Started(u32),
}

/// Divides a page, so that no record lies in two.
const RECORD_BYTES: usize = 32;

/// What is read at once, and given back at once.
const PIECE_BYTES: usize = 1 << 16;

impl Ledger {
    /// # Errors
    /// The system has no memory or descriptor for it.
    pub(crate) fn new() -> io::Result<Self> {
        let file = File::from(rustix::fs::memfd_create("pool-proof-ledger", MemfdFlags::CLOEXEC)?);
        Ok(Self { file, read: 0, freed: 0 })
    }

    /// What is to stand in the variable of the workers.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// What was written since the last time.
    ///
    /// # Errors
    /// As for any file.
    pub(crate) fn news(&mut self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let length = self.file.read_at(&mut buffer, self.read)?;
            let whole = length - length % RECORD_BYTES;
            records.extend(buffer[..whole].chunks_exact(RECORD_BYTES).map(Record::decode));
            self.read += whole as u64;
            if whole == 0 {
                break;
            }
        }
        self.free()?;
        Ok(records)
    }

    /// Gives back the memory of what was read, a piece at a time.
    fn free(&mut self) -> io::Result<()> {
        let length = (self.read - self.freed) / PIECE_BYTES as u64 * PIECE_BYTES as u64;
        if length > 0 {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&self.file, hole, self.freed, length)?;
            self.freed += length;
        }
        Ok(())
    }
}

/// Writes down, in a worker, what a task does.
pub(crate) fn note(task: u64, deed: Deed) {
    static FILE: OnceLock<Option<(File, Worker)>> = OnceLock::new();
    let own = FILE.get_or_init(|| {
        let path = std::env::var(VARIABLE).ok()?;
        let file = OpenOptions::new().append(true).open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let life = UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos() as u64);
        Some((file, Worker { pid: std::process::id(), life }))
    });
    if let Some((file, worker)) = own {
        let record = Record { task, worker: *worker, deed, attempt: pool_core::task::attempt() };
        let mut file: &File = file;
        file.write_all(&record.encode()).unwrap_or_else(|error| panic!("the ledger cannot be written: {error}"));
    }
}

impl Record {
    fn encode(&self) -> [u8; RECORD_BYTES] {
        let child = match self.deed {
            Deed::Began => 0,
            Deed::Started(pid) => pid,
        };
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&self.task.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.worker.life.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.worker.pid.to_le_bytes());
        bytes[20..24].copy_from_slice(&child.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.attempt.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a record has its size"));
        let short = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a record has its size"));
        let deed = match short(20) {
            0 => Deed::Began,
            pid => Deed::Started(pid),
        };
        Self { task: long(0), worker: Worker { pid: short(16), life: long(8) }, deed, attempt: short(24) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(task: u64, deed: Deed) -> Record {
        Record { task, worker: Worker { pid: 77, life: u64::MAX - 1 }, deed, attempt: 3 }
    }

    #[test]
    fn records_come_back_as_they_were_written_and_once() {
        let mut ledger = Ledger::new().unwrap();
        let records = [record(1, Deed::Began), record(u64::MAX, Deed::Started(12))];
        let writer = OpenOptions::new().append(true).open(ledger.path()).unwrap();
        for record in records {
            (&writer).write_all(&record.encode()).unwrap();
        }
        assert_eq!(ledger.news().unwrap(), records);
        assert_eq!(ledger.news().unwrap(), []);
    }

    #[test]
    fn what_was_read_takes_no_memory() {
        let mut ledger = Ledger::new().unwrap();
        let writer = OpenOptions::new().append(true).open(ledger.path()).unwrap();
        let mut read = 0;
        for task in 0..100 {
            let many: Vec<u8> = (0..1000).flat_map(|_| record(task, Deed::Began).encode()).collect();
            (&writer).write_all(&many).unwrap();
            read += ledger.news().unwrap().len();
        }
        let kept = std::os::unix::fs::MetadataExt::blocks(&ledger.file.metadata().unwrap()) * 512;
        assert!(read == 100_000 && kept <= 2 * PIECE_BYTES as u64, "{read} records, {kept} bytes");
    }
}
