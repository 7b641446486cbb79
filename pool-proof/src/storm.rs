//! The storm: signals at random processes of a pool, at moments that come by chance.
//!
//! Keeps true: each signal stands in the book before it is sent; whoever is stopped goes on soon, also when the storm
//! ends; the storm is over only when everybody who was to die of it has. It reads the ledger while it lasts, since that
//! names the processes that tasks started.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pool_core::{ProcessPoolExecutor, thread};
use rustix::process::Signal;

use crate::book::Book;
use crate::ledger::{Deed, Ledger};
use crate::random::Random;
use crate::targets::Target;

/// The longest that a process is stopped.
const LONGEST_STOP: Duration = Duration::from_millis(300);

/// Of so many shots one is at a process that a task started, if there is one.
const AT_CHILDREN: u64 = 4;

/// Each signal, and how many of a hundred shots are it.
const SIGNALS: [(Signal, u64); 4] = [(Signal::KILL, 35), (Signal::ABORT, 20), (Signal::STOP, 30), (Signal::CONT, 15)];

/// A storm that goes on.
#[derive(Debug)]
pub(crate) struct Storm {
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<(Ledger, Shots)>,
}

/// How many signals were sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shots {
    /// In the order of the table, those that end a stop not counted.
    by_signal: [u64; SIGNALS.len()],
    at_children: u64,
    deadly_at_workers: u64,
}

/// What a storm needs to know.
pub(crate) struct Forecast {
    pub(crate) pool: Arc<ProcessPoolExecutor>,
    pub(crate) book: Arc<Book>,
    pub(crate) ledger: Ledger,
    /// What the run's processes are known by.
    pub(crate) token: String,
    pub(crate) random: Random,
    /// The mean time between two signals.
    pub(crate) gap: Duration,
}

impl Storm {
    /// Begins it.
    pub(crate) fn start(forecast: Forecast) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let mut sky =
            Sky { forecast, children: Vec::new(), stopped: Vec::new(), doomed: Vec::new(), shots: Shots::default() };
        let thread = thread::spawn(move || {
            sky.rage(&seen);
            sky.calm_down();
            (sky.forecast.ledger, sky.shots)
        });
        Self { over, thread }
    }

    /// Ends it, and waits until all that it did has happened. Gives the ledger back.
    pub(crate) fn end(self) -> (Ledger, Shots) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("the storm does not panic")
    }
}

impl Shots {
    /// Of both.
    pub(crate) fn plus(self, other: Self) -> Self {
        let mut by_signal = self.by_signal;
        by_signal.iter_mut().zip(other.by_signal).for_each(|(sum, more)| *sum += more);
        Self {
            by_signal,
            at_children: self.at_children + other.at_children,
            deadly_at_workers: self.deadly_at_workers + other.deadly_at_workers,
        }
    }

    /// How many workers may have ended by them.
    pub(crate) fn deadly_at_workers(&self) -> u64 {
        self.deadly_at_workers
    }

    /// How many, in words.
    pub(crate) fn text(&self) -> String {
        let [kills, aborts, stops, continues] = self.by_signal;
        let all: u64 = self.by_signal.iter().sum();
        let children = self.at_children;
        format!(
            "{all} signals ({kills} KILL, {aborts} ABRT, {stops} STOP, {continues} CONT; {children} at tasks' children)"
        )
    }
}

/// The storm's own thread.
struct Sky {
    forecast: Forecast,
    /// Processes that tasks started and that may be alive.
    children: Vec<Target>,
    /// Who is stopped, and until when.
    stopped: Vec<(Instant, Target)>,
    /// Who was sent something deadly.
    doomed: Vec<Target>,
    shots: Shots,
}

impl Sky {
    fn rage(&mut self, over: &AtomicBool) {
        let mut next_shot = Instant::now();
        while !over.load(Ordering::SeqCst) {
            let now = Instant::now();
            self.let_go_on(now);
            if next_shot <= now {
                next_shot += self.forecast.random.gap(self.forecast.gap);
                self.read_ledger();
                self.shoot(now);
            }
            let next_stop = self.stopped.iter().map(|&(until, _)| until).min();
            let wake = next_stop.map_or(next_shot, |until| until.min(next_shot));
            sleep_until(wake);
        }
    }

    fn calm_down(&mut self) {
        for (_, target) in std::mem::take(&mut self.stopped) {
            target.send(Signal::CONT);
        }
        while !self.doomed.is_empty() {
            self.doomed.retain(|target| !target.has_ended());
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn read_ledger(&mut self) {
        let records = self.forecast.ledger.news().expect("the ledger can be read");
        for record in records {
            self.forecast.book.enter_record(&record);
            if let Deed::Started(pid) = record.deed {
                self.children.extend(Target::of_run(pid, &self.forecast.token));
            }
        }
        self.children.retain(|child| !child.has_ended());
        self.doomed.retain(|target| !target.has_ended());
    }

    fn shoot(&mut self, now: Instant) {
        let at_child = !self.children.is_empty() && self.forecast.random.one_in(AT_CHILDREN);
        let target = if at_child { self.some_child() } else { self.some_worker() };
        let Some(target) = target else { return };
        let position = self.forecast.random.position(&SIGNALS);
        let (signal, _) = SIGNALS[position];
        self.shots.by_signal[position] += 1;
        self.shots.at_children += u64::from(at_child);
        self.forecast.book.shoot(target.pid, signal.as_raw());
        target.send(signal);
        match signal {
            Signal::STOP => self.stopped.push((now + self.forecast.random.duration(LONGEST_STOP), target)),
            Signal::KILL | Signal::ABORT => {
                self.shots.deadly_at_workers += u64::from(!at_child);
                self.doomed.push(target);
            }
            _ => {}
        }
    }

    fn some_worker(&mut self) -> Option<Target> {
        let mut pids = self.forecast.pool.worker_pids();
        if pids.is_empty() {
            return None;
        }
        pids.sort_unstable();
        Target::worker(pids[self.forecast.random.index(pids.len())])
    }

    fn some_child(&mut self) -> Option<Target> {
        let child = &self.children[self.forecast.random.index(self.children.len())];
        Target::of_run(child.pid, &self.forecast.token)
    }

    fn let_go_on(&mut self, now: Instant) {
        for (_, target) in self.stopped.extract_if(.., |(until, _)| *until <= now) {
            target.send(Signal::CONT);
        }
    }
}

/// Sleeps until then, or a little less.
fn sleep_until(then: Instant) {
    std::thread::park_timeout(then.saturating_duration_since(Instant::now()));
}
