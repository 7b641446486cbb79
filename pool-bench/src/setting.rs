//! What every case of a run is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::case::Failure;
use crate::cores::Cores;
use crate::options::Options;
use crate::watchdog;

/// A quick run ends within three minutes, also on a busy machine.
const HURRY_AFTER: Duration = Duration::from_secs(80);

/// The conditions of a run.
pub(crate) struct Setting {
    quick: bool,
    begun: Instant,
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
            begun: Instant::now(),
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

    /// How often each side is measured. A quick run that has become a long one, as the machine is busy, measures less.
    pub(crate) fn rounds(&self) -> usize {
        let hurried = self.begun.elapsed() > HURRY_AFTER;
        self.pick(9, if hurried { 2 } else { 5 })
    }
}
