//! Seeds on all cores.
//!
//! Keeps true: of several seeds that break a promise, the lowest that was seen is told; the rest of the run is left out then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pool_core::simulation::{self, Pulse, Report};

use crate::watchdog::Watchdog;

/// How many seeds a thread takes at a time.
const CHUNK: u64 = 64;

/// After how many seeds a run says that it is under way.
const SIGN_OF_LIFE: u64 = 100_000;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) seeds: u64,
    pub(crate) violations: u64,
    pub(crate) steps: u64,
    pub(crate) items: u64,
    pub(crate) deaths: u64,
    pub(crate) retries: u64,
    pub(crate) turns_of_callers: u64,
    /// The first seed that broke a promise, and what it came to.
    pub(crate) broken: Option<(u64, Report)>,
}

impl Run {
    fn count(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.items += report.items;
        self.deaths += report.deaths;
        self.retries += report.retries;
        self.turns_of_callers += report.turns_of_callers;
        if !report.violations.is_empty() {
            self.violations += 1;
            self.note(seed, report);
        }
    }

    fn note(&mut self, seed: u64, report: Report) {
        if self.broken.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
            self.broken = Some((seed, report));
        }
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.violations += other.violations;
        self.steps += other.steps;
        self.items += other.items;
        self.deaths += other.deaths;
        self.retries += other.retries;
        self.turns_of_callers += other.turns_of_callers;
        if let Some((seed, report)) = other.broken {
            self.note(seed, report);
        }
    }
}

/// Runs the seeds `from..from + seeds` on so many threads.
pub(crate) fn run(from: u64, seeds: u64, jobs: usize) -> Run {
    let next = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let mut run = Run::default();
    let pulses: Vec<Arc<Pulse>> = (0..jobs).map(|_| Arc::default()).collect();
    let _watchdog = Watchdog::new(pulses.clone(), crate::tell_hung);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            pulses.iter().map(|pulse| scope.spawn(|| work(from, seeds, &next, &over, pulse))).collect();
        for thread in threads {
            run.add(thread.join().expect("a panic within a seed is caught there"));
        }
    });
    run
}

fn work(from: u64, seeds: u64, next: &AtomicU64, over: &AtomicBool, pulse: &Arc<Pulse>) -> Run {
    let mut run = Run::default();
    while !over.load(Ordering::Relaxed) {
        let first = next.fetch_add(CHUNK, Ordering::Relaxed);
        if first >= seeds {
            break;
        }
        if first > 0 && first.is_multiple_of(SIGN_OF_LIFE) {
            eprintln!("{first} of {seeds} seeds are done");
        }
        for seed in first..seeds.min(first + CHUNK) {
            run.count(from + seed, simulation::run(from + seed, None, pulse));
        }
        if run.broken.is_some() {
            over.store(true, Ordering::Relaxed);
        }
    }
    run
}
