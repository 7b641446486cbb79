//! Everything at once, at random: whatever happens, each future comes to one end, and that is the right one.
//!
//! The seed is printed by a failure; `POOL_CORE_TEST_SEED` sets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_core::{Builder, Future, Shutdown, SubmitError, TaskError, thread};

use crate::backends::{again, pool};
use crate::holdings::Holdings;
use crate::losses::kill;
use crate::watchdog::{Watched, until, when};

claims! { alone_on_each_backend:
    d13_eight_threads_at_random_keep_every_promise,
}

claims! { on_each_backend:
    pools_that_are_shut_down_at_random_moments_answer_for_every_task,
}

claims! { on_processes:
    pools_that_lose_workers_at_random_answer_for_every_task,
}

/// Numbers that follow from a seed: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// How long a test goes on: a moment, or as many seconds as that variable says.
pub(crate) fn length(variable: &str) -> Duration {
    let given = std::env::var(variable).ok().map(|seconds| seconds.parse().unwrap());
    Duration::from_secs(given.unwrap_or(2))
}

pub(crate) fn seed() -> u64 {
    let given = std::env::var("POOL_CORE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("seed {seed}");
    seed
}

/// A task whose end its caller can tell from its argument.
fn work(n: u64) -> u64 {
    match n % 16 {
        1 => panic!("of a test"),
        2 => std::thread::yield_now(),
        3 => {
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(n % 700) {
                std::hint::spin_loop();
            }
        }
        _ => {}
    }
    n * 3
}

/// What was done that may show in an end.
#[derive(Default)]
struct Deeds {
    kills: AtomicUsize,
    losses: AtomicUsize,
    callbacks_added: AtomicUsize,
    callbacks_run: AtomicUsize,
}

impl Deeds {
    /// Fails unless this is an end that the task may come to.
    fn judge(&self, n: u64, was_cancelled: bool, end: &Result<u64, TaskError>) {
        match end {
            Ok(value) => assert!(*value == n * 3 && n % 16 != 1 && !was_cancelled, "{n}: {value}"),
            Err(TaskError::Panicked(panic)) => assert!(panic.message == "of a test" && n % 16 == 1, "{n}: {panic}"),
            Err(TaskError::Cancelled) => assert!(was_cancelled, "{n} was cancelled by nobody"),
            Err(TaskError::WorkerDied(died)) => {
                let losses = self.losses.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(losses <= self.kills.load(Ordering::SeqCst), "{n}: {died}, which nobody killed");
            }
            Err(other) => panic!("{n}: {other}"),
        }
    }
}

/// For a moment, or for `POOL_CORE_CHAOS_SECONDS`; a pool for each few seconds, so that the watchdog tells a hang from a
/// long test.
fn d13_eight_threads_at_random_keep_every_promise(builder: Builder) {
    let seed = seed();
    let before = Holdings::count();
    let (start, length) = (Instant::now(), length("POOL_CORE_CHAOS_SECONDS"));
    for round in 0.. {
        let left = length.saturating_sub(start.elapsed()).min(Duration::from_secs(10));
        if left.is_zero() {
            break;
        }
        play_for(left, again(&builder), seed.wrapping_add(round));
        before.assert_as_before();
        println!("{round}: {} s of {} s", start.elapsed().as_secs(), length.as_secs());
    }
}

fn play_for(length: Duration, builder: Builder, seed: u64) {
    // A thread cannot be killed: its task would go on, and another thread take its place.
    let kills = !format!("{builder:?}").contains("InProcess");
    let pool = pool(builder, 2);
    let deeds = Arc::new(Deeds::default());
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (pool, deeds) = (pool.share(), Arc::clone(&deeds));
            thread::spawn(move || {
                let mut random = Random::new(seed ^ (number << 32));
                let end = Instant::now() + length;
                while Instant::now() < end {
                    play(&pool, &mut random, &deeds, kills);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap_or_else(|_| panic!("seed {seed}"));
    }
    pool.shutdown();
    let added = deeds.callbacks_added.load(Ordering::SeqCst);
    assert_eq!(deeds.callbacks_run.load(Ordering::SeqCst), added, "seed {seed}");
}

/// One turn of a player: some submits, and then something to each future.
fn play(pool: &pool_core::ProcessPoolExecutor, random: &mut Random, deeds: &Arc<Deeds>, kills: bool) {
    let numbers: Vec<u64> = (0..1 + random.below(20)).map(|_| random.below(1 << 20)).collect();
    if random.below(5) == 0 {
        let results = pool.batch().chunksize(1 + random.below(8) as usize).map(work, numbers.clone()).unwrap();
        let taken = random.below(1 + numbers.len() as u64) as usize;
        for (n, end) in numbers.into_iter().zip(results).take(taken) {
            deeds.judge(n, false, &end);
        }
        return;
    }
    let futures: Vec<(u64, Future<u64>)> = numbers.iter().map(|&n| (n, pool.submit(work, (n,)).unwrap())).collect();
    for (n, future) in &futures {
        match random.below(if kills { 40 } else { 38 }) {
            0..=9 => {
                let was_cancelled = future.cancel();
                deeds.judge(*n, was_cancelled, &future.result());
            }
            38.. => judge_killed(*n, future, deeds),
            10..=19 => {
                deeds.callbacks_added.fetch_add(1, Ordering::SeqCst);
                let (deeds, n) = (Arc::clone(deeds), *n);
                future.add_done_callback(move |future| {
                    deeds.callbacks_run.fetch_add(1, Ordering::SeqCst);
                    deeds.judge(n, false, &future.result());
                });
            }
            20..=29 => deeds.judge(*n, false, &future.result()),
            _ => {}
        }
    }
}

/// Kills a task in whatever state it is.
fn judge_killed(n: u64, future: &Future<u64>, deeds: &Deeds) {
    let was_stopped = future.kill();
    match future.result() {
        Err(TaskError::Killed(killed)) => assert!(was_stopped, "{n}: {killed}"),
        end => deeds.judge(n, was_stopped && future.cancelled(), &end),
    }
    assert!(future.done() && future.kill() == future.cancelled(), "{n}: nothing is stopped twice");
}

fn pools_that_are_shut_down_at_random_moments_answer_for_every_task(builder: Builder) {
    let seed = seed();
    let mut random = Random::new(seed);
    for _ in 0..10 {
        let pool = pool(again(&builder), 2);
        shut_down_while_submitting(&pool, &mut random, seed);
    }
}

/// Submits from several threads until the pool is shut down in the middle of it.
fn shut_down_while_submitting(pool: &Watched, random: &mut Random, seed: u64) {
    let submitters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.share();
            thread::spawn(move || {
                let mut futures = Vec::new();
                for n in 0.. {
                    match pool.submit(work, (n * 16,)) {
                        Ok(future) => futures.push((n * 16, future)),
                        Err(SubmitError::ShutDown) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
                futures
            })
        })
        .collect();
    let start = Instant::now();
    let delay = Duration::from_micros(random.below(60_000));
    while start.elapsed() < delay {
        std::thread::yield_now();
    }
    let cancels = random.below(2) == 0;
    pool.shutdown_with(if cancels { Shutdown::new().cancel_pending() } else { Shutdown::new() });
    for submitter in submitters {
        for (n, future) in submitter.join().unwrap() {
            match future.result() {
                Ok(value) => assert_eq!(value, n * 3),
                Err(TaskError::Cancelled) => assert!(cancels, "seed {seed}"),
                // It came in while the door was being closed.
                Err(TaskError::ShutDown) => {}
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
    }
}

fn pools_that_lose_workers_at_random_answer_for_every_task(builder: Builder) {
    let seed = seed();
    let pool = pool(builder, 3);
    let deeds = Arc::new(Deeds::default());
    let end = Instant::now() + Duration::from_secs(3);
    let killer = {
        let (pool, deeds) = (pool.share(), Arc::clone(&deeds));
        thread::spawn(move || {
            let mut random = Random::new(seed);
            while Instant::now() < end {
                // One that works: a few in a row that are killed at their start break the pool.
                let Ok(pid) = pool.submit(std::process::id, ()).unwrap().result() else { continue };
                std::thread::park_timeout(Duration::from_micros(random.below(10_000)));
                deeds.kills.fetch_add(1, Ordering::SeqCst);
                kill(pid);
            }
        })
    };
    let mut random = Random::new(!seed);
    while Instant::now() < end {
        play(&pool, &mut random, &deeds, false);
    }
    killer.join().unwrap();
    // Whatever was lost, the pool is whole.
    let futures: Vec<Future<u64>> = (0..50).map(|n| pool.submit(work, (n * 16,)).unwrap()).collect();
    for (n, future) in (0..).zip(&futures) {
        deeds.judge(n * 16, false, &future.result());
    }
    until("all callbacks to run", || {
        let counts = [&deeds.callbacks_added, &deeds.callbacks_run].map(|count| count.load(Ordering::SeqCst));
        when(counts[0] == counts[1], counts)
    });
}
