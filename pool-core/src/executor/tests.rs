//! Pools whose turns callers take: whatever anybody looks at comes without the lease, which never ends here.

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};

use pool_ipc::InProcess;

use super::*;
use crate::error::TaskError;
use crate::future::{RetryPolicy, ReturnWhen, as_completed, wait};
use crate::thread;

/// Long enough for a loaded machine; reached only when something hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn double(n: u64) -> u64 {
    2 * n
}

fn pool(max_workers: usize) -> Arc<ProcessPoolExecutor> {
    let builder = ProcessPoolExecutor::builder().max_workers(max_workers).backend(InProcess::new());
    let pool = builder.build().unwrap();
    pool.pool.orders.let_leases_last();
    Arc::new(pool)
}

/// Runs on a thread of its own, for whose end the test waits no longer than anything may take.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let tested = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(LIMIT) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => tested.join().unwrap(),
    }
}

#[test]
fn a_caller_that_waits_alone_takes_the_turns() {
    watched(|| {
        let pool = pool(2);
        for n in 0..100 {
            assert_eq!(pool.submit(double, (n,)).unwrap().result().unwrap(), 2 * n);
        }
        let leaves = pool.pool.orders.leaves();
        assert!(leaves >= 50, "the turns were left {leaves} times");
    });
}

#[test]
fn a_caller_whose_result_came_before_the_turns_takes_none() {
    watched(|| {
        let pool = pool(1);
        for round in 1..=100 {
            while !pool.pool.orders.is_left() {
                assert_eq!(pool.submit(double, (1,)).unwrap().result().unwrap(), 2);
            }
            let leaves = pool.pool.orders.leaves();
            // Nothing is away: a turn would have no end.
            pool.pool.take_turns(&|| true, None);
            assert_eq!(pool.pool.orders.leaves(), leaves + 1, "in round {round}");
        }
    });
}

/// Wakes the thread that polls.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn await_it(future: Future<u64>) -> Result<u64, TaskError> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match std::future::Future::poll(future.as_mut(), &mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Submits a task, and comes to its end in one of all ways. Whether it may have been cancelled.
fn come_to_an_end(pool: &ProcessPoolExecutor, way: u64, n: u64) -> Result<u64, TaskError> {
    let future = pool.submit(double, (n,)).unwrap();
    match way % 11 {
        0 => return future.result_timeout(LIMIT),
        1 => {
            while !future.done() {
                std::thread::yield_now();
            }
        }
        2 => {
            let (sender, receiver) = mpsc::channel();
            future.add_done_callback(move |future| sender.send(future.result()).unwrap());
            return receiver.recv_timeout(LIMIT).unwrap();
        }
        3 => assert_eq!(wait([&future], None, ReturnWhen::AllCompleted).unwrap().done.len(), 1),
        4 => assert_eq!(as_completed([&future], None).count(), 1),
        5 => return await_it(future),
        6 => {
            let mut items = pool.map(double, [n, n + 1, n + 2]).unwrap();
            assert_eq!(items.next().unwrap().unwrap(), 2 * n);
            assert_eq!(items.last().unwrap().unwrap(), 2 * n + 4);
        }
        7 => {
            let next = pool.submit(double, (n + 1,)).unwrap();
            assert_eq!(next.result().unwrap(), 2 * n + 2);
        }
        8 => while matches!(future.exception_timeout(Duration::ZERO), Some(TaskError::WaitTimedOut(_))) {},
        9 => {
            let other = future.clone();
            let waiting = thread::spawn(move || other.result());
            let cancelled = future.cancel();
            let result = waiting.join().unwrap();
            assert_eq!(matches!(result, Err(TaskError::Cancelled)), cancelled, "{result:?}");
            return result;
        }
        _ => {}
    }
    future.result()
}

fn nothing_that_is_looked_at_waits(workers: usize, callers: u64, rounds: u64) {
    watched(move || {
        let pool = pool(workers);
        let call = move |seed: u64, pool: &ProcessPoolExecutor| {
            let mut dice = seed + 1;
            for n in 0..rounds {
                // Xorshift.
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                // Results are waited for most of the time, so that the turns are left.
                let way = if dice.is_multiple_of(3) { dice >> 8 } else { 0 };
                match come_to_an_end(pool, way, n) {
                    Ok(result) => assert_eq!(result, 2 * n),
                    Err(error) => assert!(way % 11 == 9 && matches!(error, TaskError::Cancelled), "{error}"),
                }
            }
        };
        let spawn = |seed| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || call(seed, &pool))
        };
        let threads: Vec<_> = (0..callers).map(spawn).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(pool.pool.orders.leaves() > 0, "nobody ever took a turn");
    });
}

#[test]
fn nothing_that_one_caller_looks_at_waits_for_the_lease() {
    nothing_that_is_looked_at_waits(1, 1, 3000);
}

#[test]
fn nothing_that_several_callers_look_at_waits_for_the_lease() {
    nothing_that_is_looked_at_waits(2, 3, 1000);
}

#[test]
fn a_shutdown_in_whatever_state_needs_no_lease() {
    watched(|| {
        for round in 0..200 {
            let pool = pool(1 + round % 2);
            for n in 0..3 {
                assert_eq!(pool.submit(double, (n,)).unwrap().result().unwrap(), 2 * n);
            }
            let last = pool.submit(double, (3,)).unwrap();
            let waiting = (round % 3 == 0).then(|| thread::spawn(move || last.result().unwrap()));
            pool.shutdown();
            assert!(waiting.is_none_or(|waiting| waiting.join().unwrap() == 6));
        }
    });
}

/// A policy's predicate is called in the turn that a caller takes.
#[test]
fn who_waits_in_the_middle_of_his_own_turn_is_refused() {
    watched(|| {
        let pool = pool(1);
        for n in 0..3 {
            assert_eq!(pool.submit(double, (n,)).unwrap().result().unwrap(), 2 * n);
        }
        let (sender, receiver) = mpsc::channel();
        let (inner, caller) = (pool.handle(), std::thread::current().id());
        let policy = RetryPolicy::new(2).on_value(move |_: &u64| {
            let waited = inner.submit(double, (1,)).unwrap().result();
            let is_refused = matches!(waited, Err(TaskError::WouldDeadlock));
            sender.send((is_refused, std::thread::current().id() == caller)).unwrap();
            false
        });
        assert_eq!(pool.task().retry(policy).submit(double, (4,)).unwrap().result().unwrap(), 8);
        assert_eq!(receiver.recv_timeout(LIMIT), Ok((true, true)));
    });
}
