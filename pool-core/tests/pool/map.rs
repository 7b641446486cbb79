//! `map`: order, chunks, buffers, time limits, errors at their positions, and what a dropped iterator leaves undone.

use std::iter::{empty, repeat};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::Duration;

use pool_core::{Builder, Inputs, SubmitError, TaskError};
use serde::{Deserialize, Serialize, Serializer};

use crate::backends::pool;
use crate::gate::{Gate, pass, stop_at};
use crate::watchdog::Watched;

claims! { on_each_backend:
    a003_map_equals_the_iterators_map,
    a004_errors_stand_at_their_positions,
    a005_what_is_not_there_in_time_ends_the_results,
    a007_a_buffer_of_nothing_is_refused,
    a008_a_buffer_of_any_size_gives_the_same_results,
    a009_so_it_does_with_two_inputs,
    a010_an_endless_input_gives_its_first_results,
    a011_so_do_two_endless_inputs,
    a012_a013_an_empty_input_gives_nothing,
    a014_a_full_buffer_takes_no_further_items,
    an_endless_input_ends_with_its_pool,
    a018_results_that_were_given_are_not_kept,
    a058_a_chunksize_changes_nothing_but_zero_is_refused,
    a121_everything_runs_though_nobody_iterates,
    a127_after_a_timeout_neither_the_awaited_nor_the_later_tasks_start,
    dropping_results_that_were_begun_cancels_what_was_not,
    results_arrive_while_a_later_item_of_their_chunk_runs,
    no_worker_that_is_allowed_goes_without_an_item,
}

fn pow(base: u64, exponent: u32) -> u64 {
    base.pow(exponent)
}

fn collect<I: Inputs<M, Args = (u64, u32)>, M>(pool: &Watched, chunksize: usize, inputs: I) -> Vec<u64> {
    pool.batch().chunksize(chunksize).map(pow, inputs).unwrap().collect::<Result<_, _>>().unwrap()
}

fn a003_map_equals_the_iterators_map(builder: Builder) {
    let pool = pool(builder, 2);
    let expected: Vec<u64> = (0..10).zip(0..10).map(|(base, exponent)| pow(base, exponent)).collect();
    let plain: Result<Vec<u64>, _> = pool.map(pow, (0..10u64, 0..10u32)).unwrap().collect();
    assert_eq!(plain.unwrap(), expected);
    assert_eq!(collect(&pool, 3, (0..10u64, 0..10u32)), expected);
    // The shortest ends it.
    assert_eq!(collect(&pool, 3, (0..10u64, 0..4u32)), expected[..4]);
    let three: Result<Vec<String>, _> = pool
        .map(|a: char, b: u8, c: String| format!("{a}{b}{c}"), (['x', 'y'], 1..9u8, repeat("z".to_owned())))
        .unwrap()
        .collect();
    assert_eq!(three.unwrap(), ["x1z", "y2z"]);
}

fn divmod(dividend: i32, divisor: i32) -> (i32, i32) {
    (dividend / divisor, dividend % divisor)
}

fn a004_errors_stand_at_their_positions(builder: Builder) {
    let pool = pool(builder, 2);
    for chunksize in [1, 2, 5] {
        let mut results = pool.batch().chunksize(chunksize).map(divmod, (repeat(5), [2, 3, 0, 1])).unwrap();
        assert_eq!(results.next().unwrap().unwrap(), (2, 1));
        assert_eq!(results.next().unwrap().unwrap(), (1, 2));
        assert!(matches!(results.next().unwrap(), Err(TaskError::Panicked(_))));
        assert_eq!(results.next().unwrap().unwrap(), (5, 0));
        assert!(results.next().is_none() && results.next().is_none());
    }
}

fn stop_if_late(gate: String, item: u32) -> u32 {
    if item == 2 { stop_at(gate, item) } else { item }
}

fn a005_what_is_not_there_in_time_ends_the_results(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 3);
    let limit = Duration::from_millis(500);
    let mut results =
        pool.batch().chunksize(1).result_timeout(limit).map(stop_if_late, (repeat(gate.name()), 0..3)).unwrap();
    let mut values = Vec::new();
    let error = loop {
        match results.next().unwrap() {
            Ok(value) => values.push(value),
            Err(error) => break error,
        }
    };
    // On a loaded machine the first ones may be late, too.
    assert!([0, 1].starts_with(&values), "{values:?}");
    assert!(matches!(error, TaskError::WaitTimedOut(late) if late.limit == limit), "{error}");
    assert!(results.next().is_none());
    drop(gate);
}

fn a007_a_buffer_of_nothing_is_refused(builder: Builder) {
    let pool = pool(builder, 1);
    let error = pool.batch().buffersize(0).map(pow, (0..4u64, 0..4u32)).unwrap_err();
    assert!(matches!(error, SubmitError::Option { name: "buffersize", .. }));
    assert_eq!(error.to_string(), "buffersize must be at least 1");
}

fn a008_a_buffer_of_any_size_gives_the_same_results(builder: Builder) {
    let pool = pool(builder, 2);
    for size in [1, 2, 4, 8] {
        let results = pool.batch().buffersize(size).map(|n: i32| n * 2, 0..4).unwrap();
        assert_eq!(results.collect::<Result<Vec<_>, _>>().unwrap(), [0, 2, 4, 6], "{size}");
    }
}

fn a009_so_it_does_with_two_inputs(builder: Builder) {
    let pool = pool(builder, 2);
    for size in [1, 2, 4, 8] {
        let results = pool.batch().buffersize(size).chunksize(3).map(pow, (0..4u64, 0..9u32)).unwrap();
        assert_eq!(results.collect::<Result<Vec<_>, _>>().unwrap(), [1, 1, 4, 27], "{size}");
    }
}

fn a010_an_endless_input_gives_its_first_results(builder: Builder) {
    let pool = pool(builder, 2);
    let results = pool.batch().buffersize(2).map(|n: u64| n + 1, 0..).unwrap();
    assert_eq!(results.take(3).collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3]);
}

fn a011_so_do_two_endless_inputs(builder: Builder) {
    let pool = pool(builder, 2);
    let results = pool.batch().buffersize(2).map(pow, (0.., 0..)).unwrap();
    assert_eq!(results.take(4).collect::<Result<Vec<_>, _>>().unwrap(), [1, 1, 4, 27]);
}

fn a012_a013_an_empty_input_gives_nothing(builder: Builder) {
    let pool = pool(builder, 2);
    assert!(pool.batch().buffersize(2).map(|n: u64| n, empty::<u64>()).unwrap().next().is_none());
    assert!(pool.batch().buffersize(2).map(pow, (empty::<u64>(), 0..)).unwrap().next().is_none());
    assert!(pool.map(|n: u64| n, empty::<u64>()).unwrap().next().is_none());
    assert!(pool.worker_pids().is_empty());
}

fn a014_a_full_buffer_takes_no_further_items(builder: Builder) {
    let pool = pool(builder, 2);
    let taken = AtomicUsize::new(0);
    let source = (0..).inspect(|_: &u64| {
        taken.fetch_add(1, Ordering::SeqCst);
    });
    let mut results = pool.batch().buffersize(4).map(|n: u64| n, source).unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 4);
    assert_eq!(results.next().unwrap().unwrap(), 0);
    assert_eq!(taken.load(Ordering::SeqCst), 5);
}

fn an_endless_input_ends_with_its_pool(builder: Builder) {
    for chunksize in [1, 3] {
        let pool = pool(crate::backends::again(&builder), 2);
        let mut results = pool.batch().buffersize(6).chunksize(chunksize).map(|n: u64| n, 0..).unwrap();
        assert_eq!(results.next().unwrap().unwrap(), 0);
        pool.shutdown();
        let rest: Vec<_> = results.collect();
        let (last, values) = rest.split_last().unwrap();
        assert!(matches!(last, Err(TaskError::ShutDown)), "{last:?}");
        assert!((1..).zip(values).all(|(n, value)| *value.as_ref().unwrap() == n), "{values:?}");
    }
}

static ALIVE: AtomicIsize = AtomicIsize::new(0);

/// Counts those that were decoded, which only the caller does, and are still there.
#[derive(Deserialize)]
#[serde(from = "u64")]
struct Kept {
    value: u64,
    is_decoded: bool,
}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl From<u64> for Kept {
    fn from(value: u64) -> Self {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Self { value, is_decoded: true }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.is_decoded {
            ALIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn a018_results_that_were_given_are_not_kept(builder: Builder) {
    let pool = pool(builder, 2);
    for result in pool.map(|value: u64| Kept { value, is_decoded: false }, 0..10).unwrap() {
        drop(result.unwrap());
    }
    // Other backends' tests count here, too: each of their values is alive for a moment only.
    crate::watchdog::until("all values to be dropped", || {
        let alive = ALIVE.load(Ordering::SeqCst);
        crate::watchdog::when(alive == 0, alive)
    });
}

fn a058_a_chunksize_changes_nothing_but_zero_is_refused(builder: Builder) {
    let pool = pool(builder, 2);
    let expected: Vec<u64> = (0..40).map(|base| pow(base, 2)).collect();
    for chunksize in [1, 6, 40, 50, usize::MAX] {
        assert_eq!(collect(&pool, chunksize, (0..40u64, repeat(2))), expected, "{chunksize}");
    }
    let error = pool.batch().chunksize(0).map(pow, (0..4u64, 0..4u32)).unwrap_err();
    assert!(matches!(error, SubmitError::Option { name: "chunksize", .. }));
}

fn a121_everything_runs_though_nobody_iterates(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 2);
    drop(pool.map(pass, (repeat(gate.name()), 0..10)).unwrap());
    pool.shutdown();
    let mut items: Vec<u32> = (0..10).map(|_| gate.next().item).collect();
    items.sort_unstable();
    assert_eq!(items, (0..10).collect::<Vec<_>>());
}

fn a127_after_a_timeout_neither_the_awaited_nor_the_later_tasks_start(builder: Builder) {
    let (gate, others) = (Gate::new(), Gate::new());
    let pool = pool(builder, 1);
    let busy = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let limit = Duration::from_millis(1);
    let mut results = pool.batch().result_timeout(limit).map(pass, (repeat(others.name()), 0..8)).unwrap();
    assert!(matches!(results.next(), Some(Err(TaskError::WaitTimedOut(_)))));
    assert!(results.next().is_none());
    drop(held);
    assert_eq!(busy.result().unwrap(), 0);
    pool.shutdown();
    assert!(others.is_empty(), "a task started that nobody waited for any more");
}

fn dropping_results_that_were_begun_cancels_what_was_not(builder: Builder) {
    drop_results_after_a_chunk(builder, 1);
}

mod the_tail_of_a_running_chunk_goes_to_a_worker_that_rests {
    test_on!(super::spread_a_chunk: shared_memory, in_process);
}

fn spread_a_chunk(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 2);
    let warm = [0, 1].map(|item| pool.submit(stop_at, (gate.name(), item)).unwrap());
    drop([gate.next(), gate.next()]);
    assert!(warm.iter().all(|future| future.result().is_ok()));
    let results = pool.batch().chunksize(8).map(stop_at, (repeat(gate.name()), 0..8)).unwrap();
    let first = gate.next();
    let second = gate.next();
    assert_eq!((first.item, second.item), (0, 4), "half of what was left went elsewhere");
    drop((first, second));
    (0..6).for_each(|_| drop(gate.next()));
    assert_eq!(results.collect::<Result<Vec<_>, _>>().unwrap(), (0..8).collect::<Vec<_>>());
}

/// Where frames can be recalled, this goes for the items of the very chunk that runs, too.
mod dropping_results_takes_back_the_rest_of_the_chunk_that_runs {
    test_on!(super::drop_results_after_a_chunk_of_4: shared_memory, in_process);
}

fn drop_results_after_a_chunk_of_4(builder: Builder) {
    drop_results_after_a_chunk(builder, 4);
}

fn drop_results_after_a_chunk(builder: Builder, chunksize: usize) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let mut results = pool.batch().chunksize(chunksize).map(stop_at, (repeat(gate.name()), 0..12)).unwrap();
    drop(gate.next());
    assert_eq!(results.next().unwrap().unwrap(), 0);
    let held = gate.next();
    drop(results);
    drop(held);
    pool.shutdown();
    assert!(gate.is_empty(), "a task started that was cancelled");
}

fn results_arrive_while_a_later_item_of_their_chunk_runs(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let mut results = pool.batch().chunksize(8).map(stop_if_late, (repeat(gate.name()), 0..8)).unwrap();
    for item in 0..2 {
        assert_eq!(results.next().unwrap().unwrap(), item);
    }
    drop(gate.next());
    for item in 2..8 {
        assert_eq!(results.next().unwrap().unwrap(), item);
    }
}

fn no_worker_that_is_allowed_goes_without_an_item(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 3);
    let results = pool.map(stop_at, (repeat(gate.name()), [0, 1, 2])).unwrap();
    let held = [gate.next(), gate.next(), gate.next()];
    drop(held);
    assert_eq!(results.collect::<Result<Vec<_>, _>>().unwrap(), [0, 1, 2]);
}
