//! Maps over numbers, whose items are claimed in blocks and answered in a row: each is an item like any other.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use pool_core::{Builder, TaskError};

use crate::backends::pool;
use crate::gate::{Gate, name_of, stop_at};
use crate::watchdog::{Watchdog, Watched};

claims! { on_each_backend:
    results_are_those_of_the_iterators_map_whatever_the_numbers_are,
    results_that_are_no_numbers_or_not_always_come_all_the_same,
    an_item_that_panics_fails_alone_and_says_where,
    a_retry_is_of_the_item_that_failed,
    a_buffered_map_over_numbers_gives_the_same_results,
}

claims! { on_processes:
    an_item_that_dies_in_a_block_costs_itself_and_every_other_runs_once,
}

mod what_lies_behind_a_long_item_in_its_block_runs_elsewhere_meanwhile {
    test_on!(super::what_lies_behind_a_long_item_in_its_block_runs_elsewhere_meanwhile: shared_memory, in_process);
}

mod what_is_dropped_is_not_begun_though_it_was_claimed_in_a_block {
    test_on!(super::what_is_dropped_is_not_begun_though_it_was_claimed_in_a_block: shared_memory, in_process);
}

/// More than one block, and no multiple of one.
const ITEMS: u32 = 1000;

/// Which items have run, in whatever process: a file with four bytes for each.
struct Journal {
    numbers: [u32; 2],
}

impl Journal {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let journal = Self { numbers: [std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)] };
        File::create_new(Self::path(journal.numbers)).unwrap();
        journal
    }

    fn path([process, number]: [u32; 2]) -> PathBuf {
        std::env::temp_dir().join(format!("pool-core-journal-{process}-{number}"))
    }

    /// Called by an item.
    fn note(numbers: [u32; 2], item: u32) {
        let mut file = OpenOptions::new().append(true).open(Self::path(numbers)).unwrap();
        file.write_all(&item.to_le_bytes()).unwrap();
    }

    /// How often each item has run up to now.
    fn runs(&self) -> Vec<u32> {
        let bytes = std::fs::read(Self::path(self.numbers)).unwrap();
        let mut runs = vec![0; ITEMS as usize];
        bytes.as_chunks().0.iter().for_each(|item| runs[u32::from_le_bytes(*item) as usize] += 1);
        runs
    }

    /// Waits until so many items have run.
    fn wait_for(&self, items: usize) {
        let _watchdog = Watchdog::new(move || format!("not {items} items have run"));
        while self.runs().iter().filter(|&&runs| runs > 0).count() < items {
            std::thread::yield_now();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        std::fs::remove_file(Self::path(self.numbers)).unwrap();
    }
}

fn equals<T, R>(pool: &Watched, function: fn(T) -> R, task: impl pool_core::Task<(T,), Output = R>, inputs: Vec<T>)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Clone,
    R: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let expected: Vec<R> = inputs.iter().cloned().map(function).collect();
    let results: Result<Vec<R>, _> = pool.batch().chunksize(400).map(task, inputs).unwrap().collect();
    assert_eq!(results.unwrap(), expected);
}

/// One function as the two that are compared.
macro_rules! equals {
    ($pool:expr, $function:expr, $inputs:expr) => {
        equals($pool, $function, $function, $inputs.collect())
    };
}

fn results_are_those_of_the_iterators_map_whatever_the_numbers_are(builder: Builder) {
    let pool = &pool(builder, 2);
    equals!(pool, |n: u8| n.wrapping_mul(3), 0..=255);
    equals!(pool, |n: i64| n.wrapping_neg(), [i64::MIN, -1, 0, 1, i64::MAX].into_iter().cycle().take(1000));
    equals!(pool, |n: u128| n.rotate_left(9), (0..700).map(|n| u128::MAX / (n + 1)));
    equals!(pool, |x: f64| x.sqrt(), (0..ITEMS).map(f64::from));
    equals!(pool, |letter: char| letter.is_alphabetic(), "aß1語!".chars().cycle().take(999));
    equals!(pool, |[a, b]: [u16; 2]| (a, b, a < b), (0..ITEMS as u16).map(|n| [n, 500]));
    equals!(pool, |_: u32| (), 0..ITEMS);
    equals!(pool, |()| 7_u8, std::iter::repeat_n((), 900));
    equals!(pool, |n: u64| [n; 5], 0..600);
    let sums = pool.map(|a: u8, b: i16| i32::from(a) + i32::from(b), (0..=255_u8, -128..=127_i16)).unwrap();
    assert!(sums.map(Result::unwrap).eq((0..=255).map(|n| 2 * n - 128)));
}

fn results_that_are_no_numbers_or_not_always_come_all_the_same(builder: Builder) {
    let pool = &pool(builder, 2);
    equals!(pool, |n: u32| n.to_string(), 0..ITEMS);
    equals!(pool, |n: u32| if n.is_multiple_of(3) { Err(format!("{n}")) } else { Ok(n) }, 0..ITEMS);
    equals!(pool, |n: u32| n.checked_sub(700), 0..ITEMS);
    equals!(pool, |n: usize| vec![1_u8; n * 70], 0..100);
}

fn fussy(n: u32) -> u32 {
    assert!(n % 300 != 299, "not {n}");
    n + 1
}

fn an_item_that_panics_fails_alone_and_says_where(builder: Builder) {
    let pool = pool(builder, 2);
    for chunksize in [1, 7, ITEMS as usize] {
        let results = pool.batch().chunksize(chunksize).map(fussy, 0..ITEMS).unwrap();
        for (n, result) in (0..ITEMS).zip(results) {
            match result {
                Ok(value) => assert_eq!(value, n + 1),
                Err(TaskError::Panicked(panic)) => assert_eq!((n % 300, &panic.message), (299, &format!("not {n}"))),
                Err(error) => panic!("item {n}: {error}"),
            }
        }
    }
}

fn fails_once(journal: [u32; 2], item: u32) -> u32 {
    Journal::note(journal, item);
    assert!(item % 400 != 399 || pool_core::task::attempt() > 0, "the first time");
    item
}

fn a_retry_is_of_the_item_that_failed(builder: Builder) {
    let (pool, journal) = (pool(builder, 2), Journal::new());
    let policy = pool_core::RetryPolicy::new(2).on_panic(true);
    let inputs = (std::iter::repeat(journal.numbers), 0..ITEMS);
    let results = pool.batch().chunksize(500).retry(policy).map(fails_once, inputs).unwrap();
    assert!(results.map(Result::unwrap).eq(0..ITEMS));
    assert!((0..ITEMS).zip(journal.runs()).all(|(item, runs)| runs == 1 + u32::from(item % 400 == 399)));
}

fn a_buffered_map_over_numbers_gives_the_same_results(builder: Builder) {
    let pool = pool(builder, 2);
    for (buffersize, chunksize) in [(1, 1), (10, 3), (600, 300), (5000, 600)] {
        let batch = pool.batch().buffersize(buffersize).chunksize(chunksize);
        let results = batch.map(|n: u64| n * n, (0..).take(ITEMS as usize)).unwrap();
        assert!(results.map(Result::unwrap).eq((0..u64::from(ITEMS)).map(|n| n * n)));
    }
}

fn mortal(journal: [u32; 2], item: u32) -> u32 {
    Journal::note(journal, item);
    match item {
        137 | 138 | 700 => std::process::abort(),
        500 => std::process::exit(3),
        item => item,
    }
}

fn an_item_that_dies_in_a_block_costs_itself_and_every_other_runs_once(builder: Builder) {
    let (pool, journal) = (pool(builder, 2), Journal::new());
    let inputs = (std::iter::repeat(journal.numbers), 0..ITEMS);
    let results = pool.batch().chunksize(ITEMS as usize).map(mortal, inputs).unwrap();
    for (item, result) in (0..ITEMS).zip(results) {
        match (item, result) {
            (137 | 138 | 500 | 700, Err(TaskError::WorkerDied(_))) => {}
            (_, result) => assert_eq!(result.unwrap(), item),
        }
    }
    assert_eq!(journal.runs(), vec![1; ITEMS as usize]);
}

/// The 600th waits in the gate.
fn stops(journal: [u32; 2], gate: [u32; 2], item: u32) -> u32 {
    if item == 600 {
        stop_at(name_of(gate), item);
    }
    Journal::note(journal, item);
    item
}

fn what_lies_behind_a_long_item_in_its_block_runs_elsewhere_meanwhile(builder: Builder) {
    let (pool, journal, gate) = (pool(builder, 2), Journal::new(), Gate::new());
    // Both workers are there, and rest.
    let started: Vec<_> = (0..2).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    drop([gate.next(), gate.next()]);
    assert!(started.iter().all(|future| future.result().is_ok()));
    let inputs = (std::iter::repeat(journal.numbers), std::iter::repeat(gate.numbers()), 0..ITEMS);
    let results = pool.batch().chunksize(ITEMS as usize).map(stops, inputs).unwrap();
    let held = gate.next();
    journal.wait_for(ITEMS as usize - 1);
    drop(held);
    assert!(results.map(Result::unwrap).eq(0..ITEMS));
    assert_eq!(journal.runs(), vec![1; ITEMS as usize]);
}

fn what_is_dropped_is_not_begun_though_it_was_claimed_in_a_block(builder: Builder) {
    let (pool, journal, gate) = (pool(builder, 1), Journal::new(), Gate::new());
    let inputs = (std::iter::repeat(journal.numbers), std::iter::repeat(gate.numbers()), 0..ITEMS);
    let mut results = pool.batch().chunksize(ITEMS as usize).map(stops, inputs).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 0);
    let held = gate.next();
    drop(results);
    drop(held);
    // Behind all that was not taken back.
    assert_eq!(pool.submit(|n: u32| n, (7,)).unwrap().result().unwrap(), 7);
    let runs = journal.runs();
    assert!(runs[..=600].iter().all(|&runs| runs == 1) && runs[601..].iter().all(|&runs| runs == 0), "{runs:?}");
}
