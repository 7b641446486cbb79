//! Where a program may leave files behind: shared memory with a name, and the directory for temporary files.
//!
//! The victims have such a directory of their own, so that what is found there is theirs. Dropping this removes it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where named shared memory lies.
const SHARED: &str = "/dev/shm";

/// The places, and what was there before.
#[derive(Debug)]
pub(super) struct Places {
    temporary: PathBuf,
    shared_before: BTreeSet<PathBuf>,
}

impl Places {
    /// # Errors
    /// The directory cannot be made.
    pub(super) fn new() -> io::Result<Self> {
        let temporary = std::env::temp_dir().join(format!("pool-proof-{}", std::process::id()));
        fs::create_dir(&temporary)?;
        Ok(Self { temporary, shared_before: entries(Path::new(SHARED)) })
    }

    /// The victims' directory for temporary files.
    pub(super) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// What is there now and was not before.
    pub(super) fn leftovers(&self) -> Vec<String> {
        let shared = entries(Path::new(SHARED));
        let left = entries(&self.temporary).into_iter().chain(shared.difference(&self.shared_before).cloned());
        left.map(|path| path.display().to_string()).collect()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.temporary) {
            eprintln!("pool-proof: {}: {error}", self.temporary.display());
        }
    }
}

/// What lies in a directory; nothing if there is no such directory.
fn entries(directory: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(directory).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
