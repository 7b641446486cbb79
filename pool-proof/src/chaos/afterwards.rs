//! What must be as before once a pool has ended: what this process has, its memory, and that nobody of the run is left.

use std::time::{Duration, Instant};

use crate::findings::Findings;
use crate::holdings::{Holdings, resident_bytes};
use crate::processes;
use crate::targets::Target;

/// How long things may take to be as before.
const LIMIT: Duration = Duration::from_secs(20);

/// How much more memory may be resident: what an allocator keeps that gives back all that is not small. A large payload
/// that was forgotten, or some hundred middle ones, are more.
const KEPT_BY_ALLOCATOR: u64 = 12 << 20;

/// What there was before the first round.
#[derive(Debug)]
pub(super) struct Baseline {
    holdings: Holdings,
    resident: u64,
}

impl Baseline {
    /// As of now.
    pub(super) fn now() -> Self {
        Self { holdings: Holdings::now(), resident: resident_bytes() }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        format!("{}, {} MB resident", self.holdings.counts(), self.resident >> 20)
    }

    /// As of now, in words.
    pub(super) fn now_text(&self) -> String {
        Self::now().text()
    }

    /// Waits until everything is as before, and reports what is not.
    pub(super) fn compare(&self, token: &str, findings: &Findings) {
        if let Err(left) = wait_for(|| none_left(token)) {
            findings.report(&format!("processes are left: {left}"));
            // Lest they stay for ever, now that this is known.
            let left = processes::with_token(token).into_iter().filter_map(|pid| Target::of_run(pid, token));
            left.for_each(|target| target.kill());
        }
        if let Err(now) = wait_for(|| self.same_holdings()) {
            findings.report(&format!("what this process has is not as before: {now:#?}, before: {:#?}", self.holdings));
        }
        let resident = resident_bytes();
        if resident > self.resident + KEPT_BY_ALLOCATOR {
            findings.report(&format!("{resident} bytes are resident, before: {}", self.resident));
        }
    }

    fn same_holdings(&self) -> Result<(), Holdings> {
        let now = Holdings::now();
        if now == self.holdings { Ok(()) } else { Err(now) }
    }
}

fn none_left(token: &str) -> Result<(), String> {
    let left = processes::with_token(token);
    if left.is_empty() { Ok(()) } else { Err(left.into_iter().map(processes::describe).collect()) }
}

/// Waits for something that nobody announces.
fn wait_for<E>(mut look: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}
