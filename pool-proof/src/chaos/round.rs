//! One round: a pool, load on it, a storm, and its end; then everything is counted.
//!
//! Keeps true: the book is audited when no process of the round is left, so that nobody can write into the ledger any
//! more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pool_core::{Builder, ProcessPoolExecutor, Shutdown};

use super::afterwards::Baseline;
use super::stage::Stage;
use super::{allocator, rendezvous};
use crate::book::{Book, Phase, Tally};
use crate::findings::Findings;
use crate::ledger::{self, Ledger};
use crate::load::Load;
use crate::random::Random;
use crate::storm::{Forecast, Shots, Storm};
use crate::tokens;
use crate::watchdog::Progress;

/// How often the workers of a calm pool are to meet.
const MEETINGS: usize = 3;

/// How long a task that is stopped may go on.
const GRACE: Duration = Duration::from_millis(100);

/// How much there is to do for a calm pool when it is shut down.
const LAST_LOAD: Duration = Duration::from_millis(100);

/// A round, as it was planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) length: Duration,
    pub(super) seed: u64,
    pub(super) workers: usize,
    pub(super) gap: Duration,
    pub(super) ending: Ending,
    /// Whether the end cancels what has not begun.
    pub(super) cancels: bool,
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The storm ends first, and the pool is to be whole again.
    Calm,
    /// The pool is shut down under load, in the middle of the storm.
    UnderFire,
}

/// What happened in a round, or in several.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Report {
    tally: Tally,
    shots: Shots,
}

impl Round {
    /// Holds it.
    ///
    /// # Errors
    /// It could not be begun, or the pool was not whole again.
    pub(super) fn hold(
        &self,
        findings: &Arc<Findings>,
        progress: &Arc<Progress>,
        stage: &Stage,
        baseline: &Baseline,
    ) -> Result<Report, String> {
        let token = tokens::new(self.seed);
        let book = Arc::new(Book::new(Arc::clone(findings), Arc::clone(progress)));
        let ledger = Ledger::new().map_err(|error| format!("no ledger: {error}"))?;
        let pool = self.pool(&ledger, &token)?;
        stage.set(&token, Arc::downgrade(&pool), Arc::downgrade(&book));
        let load = Load::start(&pool, &book, self.seed);
        let storm = Storm::start(self.forecast(&pool, &book, ledger, &token));
        self.rage(&pool, findings);
        let (mut ledger, shots) = match self.ending {
            Ending::Calm => {
                stage.note("the load ends, and the futures come to their ends");
                load.end();
                let mut after = storm.end();
                read(&mut after.0, &book)?;
                self.count_workers(&book.tally(), &after.1).unwrap_or_else(|error| findings.report(&error));
                self.end_calmly(&pool, &book, stage, &token).unwrap_or_else(|error| findings.report(&error));
                after
            }
            Ending::UnderFire => {
                self.shut_down(&pool, &book, load, stage);
                storm.end()
            }
        };
        drop(pool);
        stage.note("nobody and nothing is to be left");
        read(&mut ledger, &book)?;
        drop(ledger);
        let tally = book.audit();
        drop(book);
        baseline.compare(&token, findings);
        progress.step();
        Ok(Report { tally, shots })
    }

    fn pool(&self, ledger: &Ledger, token: &str) -> Result<Arc<ProcessPoolExecutor>, String> {
        let builder = ProcessPoolExecutor::builder().max_workers(self.workers).stop_grace(GRACE);
        let builder = builder.worker_env(ledger::VARIABLE, ledger.path()).worker_env(tokens::VARIABLE, token);
        // A first backtrace takes a worker longer than it lives here.
        let builder = builder.worker_env_remove("RUST_BACKTRACE");
        let builder = allocator::names().fold(builder, Builder::worker_env_remove);
        Ok(Arc::new(builder.build().map_err(|error| format!("no pool: {error}"))?))
    }

    fn forecast(&self, pool: &Arc<ProcessPoolExecutor>, book: &Arc<Book>, ledger: Ledger, token: &str) -> Forecast {
        let (pool, book, token) = (Arc::clone(pool), Arc::clone(book), token.to_owned());
        Forecast { pool, book, ledger, token, random: Random::new(self.seed, 0), gap: self.gap }
    }

    /// Lets time pass, and looks on.
    fn rage(&self, pool: &ProcessPoolExecutor, findings: &Findings) {
        let end = Instant::now() + self.length;
        while Instant::now() < end {
            let workers = pool.worker_pids().len();
            if workers > self.workers {
                findings.report(&format!("{workers} workers, where {} are the most", self.workers));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Looks whether the pool is whole, and ends it under some load.
    fn end_calmly(
        &self,
        pool: &Arc<ProcessPoolExecutor>,
        book: &Arc<Book>,
        stage: &Stage,
        token: &str,
    ) -> Result<(), String> {
        stage.note("the workers meet");
        let met = (0..MEETINGS).try_for_each(|_| rendezvous::hold(pool, book, token));
        let load = Load::start(pool, book, !self.seed);
        std::thread::sleep(LAST_LOAD);
        self.shut_down(pool, book, load, stage);
        met
    }

    /// Ends the pool in the middle of its load.
    fn shut_down(&self, pool: &ProcessPoolExecutor, book: &Book, load: Load, stage: &Stage) {
        stage.note("the pool is shut down");
        if self.cancels {
            book.enter(Phase::Cancelling);
            pool.shutdown_with(Shutdown::new().cancel_pending());
        } else {
            book.enter(Phase::ShuttingDown);
            pool.shutdown();
        }
        stage.note("the pool was shut down, and the futures come to their ends");
        load.end();
    }

    /// Whether no worker has ended yet but by what we sent. A pool that is shut down may start some more.
    fn count_workers(&self, tally: &Tally, shots: &Shots) -> Result<(), String> {
        let most = self.workers as u64 + shots.deadly_at_workers() + tally.costs();
        let workers = tally.workers();
        match workers {
            workers if workers <= most => Ok(()),
            _ => Err(format!("{workers} workers ran tasks, where {most} are the most: some ended for no reason")),
        }
    }
}

/// Enters in the book what tasks have written since.
fn read(ledger: &mut Ledger, book: &Book) -> Result<(), String> {
    let records = ledger.news().map_err(|error| format!("the ledger cannot be read: {error}"))?;
    records.iter().for_each(|record| book.enter_record(record));
    Ok(())
}

impl Report {
    /// Of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { tally: self.tally.plus(other.tally), shots: self.shots.plus(other.shots) }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        format!("{}; {}", self.tally.text(), self.shots.text())
    }
}
