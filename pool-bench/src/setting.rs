//! What every case of a run is told.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::case::Failure;
use crate::cores::Cores;
use crate::options::Options;
use crate::watchdog;

/// The conditions of a run.
pub(crate) struct Setting {
    quick: bool,
    peers: Vec<&'static str>,
    pub(crate) cores: Cores,
    /// The Python that has the Python peers.
    pub(crate) python: OsString,
    /// The program of a pool with one idle worker, if it was built.
    pub(crate) idle_worker: Option<PathBuf>,
}

impl Setting {
    /// Also starts the watchdog.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        watchdog::start()?;
        Ok(Self {
            quick: options.quick,
            peers: options.peers.clone(),
            cores: Cores::given()?,
            python: std::env::var_os("POOL_BENCH_PYTHON").unwrap_or_else(|| "python3".into()),
            idle_worker: std::env::var_os("POOL_BENCH_IDLE_WORKER").map(PathBuf::from),
        })
    }

    /// Whether that side takes part.
    pub(crate) fn wants(&self, side: &str) -> bool {
        self.peers.contains(&side)
    }

    /// The smaller number in a quick run.
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How often each side is measured.
    pub(crate) fn rounds(&self) -> usize {
        self.pick(9, 5)
    }
}
