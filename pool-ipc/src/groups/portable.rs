//! Where there are no control groups: the same names, and a typed error.
//!
//! What holds: nothing here exists at run time, as nothing can be opened. What never happens here: anything else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use crate::cgroup::{Cgroup, CgroupError};

/// A place for the groups of workers: none, here.
#[derive(Debug)]
pub struct Groups(Infallible);

impl Groups {
    /// How much memory each group may have.
    pub fn memory_max(&self) -> Option<u64> {
        match self.0 {}
    }
}

impl Cgroup {
    /// Opens nothing.
    ///
    /// # Errors
    /// Always: this platform is not supported.
    pub fn open(&self) -> Result<Arc<Groups>, CgroupError> {
        let path = self.folder.clone().unwrap_or_default();
        Err(CgroupError { doing: "finding control groups", path, source: io::ErrorKind::Unsupported.into() })
    }
}
