//! Rounds, medians, and cores.

use rustix::thread::{CpuSet, sched_setaffinity};

/// How a run is made.
#[derive(Debug)]
pub(crate) struct Options {
    /// How often each side is measured, after one round that is thrown away.
    pub(crate) rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 9 }
    }
}

/// What one side came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Of at least one figure.
    pub(crate) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (figures[0], figures[figures.len() - 1]);
        Self { median: figures[figures.len() / 2], min, max }
    }

    pub(crate) fn print(&self, case: &str, side: &str, unit: &str) {
        println!("{case:<16} {side:<8} {:>12.2} {unit:<6} ({:.2} to {:.2})", self.median, self.min, self.max);
    }
}

/// Pins the calling process's threads to be and its children to these cores.
pub(crate) fn pin(cores: &[usize]) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|&core| set.set(core));
    Ok(sched_setaffinity(None, &set)?)
}
