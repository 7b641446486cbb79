//! Submitting: what comes back, what is released, and that futures may be joined in any order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use pool_core::{Builder, Bytes, Future, PoolError, RemoteError, ReturnWhen, TaskError, as_completed, thread, wait};
use serde::{Deserialize, Deserializer, Serialize};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a001_submit_gives_the_result,
    a002_arguments_of_any_names_reach_the_task,
    a015_more_tasks_than_workers_do_not_hold_up_the_shutdown,
    a016_a_task_that_ran_is_released,
    a017_a_pool_of_no_workers_is_refused,
    a059_a_panic_tells_its_place,
    a061_arguments_are_dropped_right_after_the_task,
    a087_an_error_of_the_task_is_its_result,
    b12_running_is_true_only_while_the_task_runs_and_cancel_works_until_then,
    b20_futures_are_joined_in_any_order_from_any_thread,
    a128_an_error_of_the_task_keeps_its_cause,
    a128_tasks_that_wait_for_each_others_messages_finish,
    a128_more_tasks_than_workers_that_wait_for_messages_finish,
    one_submitters_tasks_start_in_order,
}

claims! { on_processes:
    a057_each_future_has_an_error_of_its_own,
    a059_a_backtrace_comes_with_the_panic_where_it_is_asked_for,
    all_frames_come_with_the_panic_where_they_are_asked_for,
    a060_an_abrupt_end_is_named_with_its_exit_code,
}

claims! { alone_on_each_backend:
    b19_100_000_tasks_wait_where_256_descriptors_are_allowed,
}

claims! { on_each_backend:
    b19_a_large_argument_to_a_busy_pool_does_not_block_the_submitter,
}

fn a001_submit_gives_the_result(builder: Builder) {
    let pool = pool(builder, 2);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Named {
    self_: u32,
    r#fn: String,
    args: Vec<u8>,
}

fn a002_arguments_of_any_names_reach_the_task(builder: Builder) {
    let pool = pool(builder, 1);
    let named = || Named { self_: 1, r#fn: "fn".to_owned(), args: vec![2, 3] };
    let future = pool.submit(|named: Named, more: Option<char>| (named, more), (named(), Some('ö'))).unwrap();
    assert_eq!(future.result().unwrap(), (named(), Some('ö')));
    assert_eq!(pool.submit(|| 7, ()).unwrap().result().unwrap(), 7);
}

fn a015_more_tasks_than_workers_do_not_hold_up_the_shutdown(builder: Builder) {
    let pool = pool(builder, 3);
    let futures: Vec<Future<i64>> = (0..4).map(|n: i64| pool.submit(i64::abs, (-n,)).unwrap()).collect();
    pool.shutdown();
    let results: Vec<i64> = futures.iter().map(|future| future.result().unwrap()).collect();
    assert_eq!(results, [0, 1, 2, 3]);
}

/// An argument that tells, by a channel, when it is dropped in the process that made it.
#[derive(Serialize, Deserialize)]
struct Reported {
    #[serde(skip)]
    _dropped: Option<mpsc::Sender<()>>,
}

fn a016_a_task_that_ran_is_released(builder: Builder) {
    let pool = pool(builder, 1);
    let (argument, argument_dropped) = mpsc::channel();
    let (callback, callback_dropped) = mpsc::channel::<()>();
    let future = pool.submit(|_: Reported| 1, (Reported { _dropped: Some(argument) },)).unwrap();
    // Encoded, so nobody needs it any more.
    assert_eq!(argument_dropped.recv(), Err(mpsc::RecvError));
    future.add_done_callback(move |_| drop(callback));
    drop(future);
    assert_eq!(callback_dropped.recv(), Err(mpsc::RecvError));
}

fn a017_a_pool_of_no_workers_is_refused(builder: Builder) {
    let error = builder.max_workers(0).build().unwrap_err();
    assert!(matches!(error, PoolError::ZeroWorkers));
    assert_eq!(error.to_string(), "max_workers must be at least 1");
}

fn crash(code: i32) {
    std::process::exit(code)
}

fn a057_each_future_has_an_error_of_its_own(builder: Builder) {
    let pool = pool(builder, 2);
    let first = pool.task().name("first").submit(crash, (1,)).unwrap();
    let second = pool.task().name("second").submit(crash, (2,)).unwrap();
    let (Err(TaskError::WorkerDied(first)), Err(TaskError::WorkerDied(second))) = (first.result(), second.result())
    else {
        panic!("{first:?} {second:?}")
    };
    assert_eq!((&*first.task, first.cause.code()), ("first", Some(1)));
    assert_eq!((&*second.task, second.cause.code()), ("second", Some(2)));
    assert_ne!(first.pid, second.pid);
}

fn divide(dividend: u32, divisor: u32) -> u32 {
    dividend / divisor
}

fn a059_a_panic_tells_its_place(builder: Builder) {
    let pool = pool(builder, 1);
    let Err(TaskError::Panicked(panic)) = pool.submit(divide, (1, 0)).unwrap().result() else { panic!("it divided") };
    assert!(panic.message.contains("divide by zero"), "{panic}");
    assert!(panic.location.as_ref().unwrap().contains("tests/pool/executor.rs:"), "{panic}");
    assert!(panic.task.contains("divide"), "{panic}");
    assert_eq!((&*panic.thread, panic.pid), ("MainThread", pool.worker_pids()[0]));
    // The worker goes on.
    assert_eq!(pool.submit(divide, (6, 2)).unwrap().result().unwrap(), 3);
}

fn a059_a_backtrace_comes_with_the_panic_where_it_is_asked_for(builder: Builder) {
    let pool = pool(builder.worker_env("RUST_BACKTRACE", "1"), 1);
    let alone = pool.submit(divide, (1, 0)).unwrap().result();
    let in_a_row = pool.batch().chunksize(3).map(divide, ([1, 1, 1], [1, 1, 0])).unwrap().last().unwrap();
    for result in [alone, in_a_row] {
        let Err(TaskError::Panicked(panic)) = result else { panic!("it divided") };
        let backtrace = panic.backtrace.as_ref().unwrap();
        let frames: Vec<&str> = backtrace.lines().filter(|line| !line.trim_start().starts_with("at ")).collect();
        assert!(matches!(*frames, [only] if only.starts_with("   0: ") && only.ends_with("divide")), "{backtrace}");
        assert!(panic.to_string().contains("tests/pool/executor.rs:"), "{panic}");
    }
}

fn all_frames_come_with_the_panic_where_they_are_asked_for(builder: Builder) {
    let pool = pool(builder.worker_env("RUST_BACKTRACE", "full"), 1);
    let Err(TaskError::Panicked(panic)) = pool.submit(divide, (1, 0)).unwrap().result() else { panic!("it divided") };
    let backtrace = panic.backtrace.as_ref().unwrap();
    for part in ["rust_begin_unwind", "divide", "pool_core::worker"] {
        assert!(backtrace.contains(part), "{backtrace}");
    }
}

fn a060_an_abrupt_end_is_named_with_its_exit_code(builder: Builder) {
    let pool = pool(builder, 1);
    let error = pool.submit(crash, (99,)).unwrap().result().unwrap_err();
    assert!(error.to_string().ends_with("exit code 99"), "{error}");
    assert!(error.to_string().contains("executor::crash"), "{error}");
}

fn a061_arguments_are_dropped_right_after_the_task(builder: Builder) {
    let pool = pool(builder, 1);
    let inside = pool.submit(count_with, (Made(None),)).unwrap().result().unwrap();
    let after = pool.submit(count, ()).unwrap().result().unwrap();
    assert_eq!((inside, after), (1, 0));
}

static MADE: AtomicUsize = AtomicUsize::new(0);

/// Holds a live token only where it was decoded.
struct Made(Option<Token>);

struct Token;

impl Drop for Token {
    fn drop(&mut self) {
        MADE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Serialize for Made {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0.is_none());
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Made {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer)?;
        MADE.fetch_add(1, Ordering::SeqCst);
        Ok(Self(Some(Token)))
    }
}

fn count_with(_made: Made) -> usize {
    MADE.load(Ordering::SeqCst)
}

fn count() -> usize {
    MADE.load(Ordering::SeqCst)
}

fn a087_an_error_of_the_task_is_its_result(builder: Builder) {
    let pool = pool(builder, 1);
    let parse = |text: String| text.parse::<i32>().map_err(|error| RemoteError::new(&error));
    let error = pool.submit(parse, ("seven".to_owned(),)).unwrap().result().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "invalid digit found in string");
    assert_eq!(pool.submit(parse, ("7".to_owned(),)).unwrap().result().unwrap().unwrap(), 7);
}

/// An error with a cause.
#[derive(Debug)]
struct NoOrder(std::num::ParseIntError);

impl std::fmt::Display for NoOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this is no order")
    }
}

impl std::error::Error for NoOrder {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn a128_an_error_of_the_task_keeps_its_cause(builder: Builder) {
    let pool = pool(builder, 1);
    let order = |text: String| text.parse::<u32>().map_err(|error| RemoteError::new(&NoOrder(error)));
    let error = pool.submit(order, ("soup".to_owned(),)).unwrap().result().unwrap().unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!((&*error.to_string(), &*cause.to_string()), ("this is no order", "invalid digit found in string"));
}

fn b12_running_is_true_only_while_the_task_runs_and_cancel_works_until_then(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let first = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let second = pool.submit(stop_at, (gate.name(), 2)).unwrap();
    let held = gate.next();
    assert_eq!((first.running(), second.running(), first.done()), (true, false, false));
    assert!(!first.cancel() && !first.cancelled());
    assert!(second.cancel() && second.cancelled() && second.done() && !second.running());
    drop(held);
    assert_eq!(first.result().unwrap(), 1);
    assert!(!first.running() && !first.cancel());
    assert!(matches!(second.result(), Err(TaskError::Cancelled)));
    pool.shutdown();
    assert!(gate.is_empty(), "a cancelled task ran");
}

fn b20_futures_are_joined_in_any_order_from_any_thread(builder: Builder) {
    let pool = pool(builder, 1);
    let futures: Vec<Future<u32>> = (0..24).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let joins: Vec<_> = futures
        .chunks(6)
        .map(|chunk| {
            let chunk = chunk.to_vec();
            thread::spawn(move || chunk.iter().rev().map(|future| future.result().unwrap()).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(futures[23].result().unwrap(), 23 * 23);
    for (number, join) in (0u32..).zip(joins) {
        let expected: Vec<u32> = (number * 6..number * 6 + 6).rev().map(|n| n * n).collect();
        assert_eq!(join.join().unwrap(), expected);
    }
    assert_eq!(as_completed(&futures, None).count(), 24);
    assert!(wait(&futures, None, ReturnWhen::AllCompleted).unwrap().not_done.is_empty());
}

/// Waits for a message of one task, and sends another one.
fn relay(from: String, to: String, item: u32) -> u32 {
    stop_at(from, item);
    stop_at(to, item);
    item
}

fn a128_tasks_that_wait_for_each_others_messages_finish(builder: Builder) {
    let (one, two) = (Gate::new(), Gate::new());
    let pool = pool(builder, 2);
    let first = pool.submit(relay, (one.name(), two.name(), 1)).unwrap();
    let second = pool.submit(relay, (one.name(), two.name(), 2)).unwrap();
    let both = [one.next(), one.next()];
    drop(both);
    let both = [two.next(), two.next()];
    drop(both);
    assert_eq!((first.result().unwrap(), second.result().unwrap()), (1, 2));
}

fn a128_more_tasks_than_workers_that_wait_for_messages_finish(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 4);
    let futures: Vec<Future<u32>> = (0..10).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    for _ in &futures {
        drop(gate.next());
    }
    let items: Vec<u32> = futures.iter().map(|future| future.result().unwrap()).collect();
    assert_eq!(items, (0..10).collect::<Vec<u32>>());
}

fn one_submitters_tasks_start_in_order(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let futures: Vec<Future<u32>> = (0..40).map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap()).collect();
    let order: Vec<u32> = (0..40).map(|_| gate.next().item).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(futures.iter().all(|future| future.result().is_ok()));
}

fn b19_100_000_tasks_wait_where_256_descriptors_are_allowed(builder: Builder) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).unwrap();
    let pool = pool(builder, 2);
    let futures: Vec<Future<u32>> =
        (0..100_000).map(|n: u32| pool.submit(u32::wrapping_add, (n, 1)).unwrap()).collect();
    for (number, future) in (0u32..).zip(&futures) {
        assert_eq!(future.result().unwrap(), number + 1);
    }
}

fn length(bytes: Bytes) -> usize {
    bytes.len()
}

fn b19_a_large_argument_to_a_busy_pool_does_not_block_the_submitter(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let busy = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let futures: Vec<Future<usize>> =
        (0..2).map(|_| pool.submit(length, (Bytes::from(vec![1; 64 << 20]),)).unwrap()).collect();
    assert!(busy.running());
    drop(held);
    assert!(futures.iter().all(|future| future.result().unwrap() == 64 << 20));
    until("the pool to be idle", || when(!busy.running(), ()));
}
