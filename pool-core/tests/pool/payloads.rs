//! Large bytes: they come back as they were whatever memory they travel in, and that memory is used again only when
//! nobody reads it any more.

use std::sync::Mutex;
use std::time::Duration;

use pool_core::{Builder, Bytes, Future, RetryPolicy, TaskError, task};

use crate::backends::{pool, shared_memory};
use crate::forks::Fork;
use crate::gate::{Gate, stop_at};
use crate::memory::allow_further;
use crate::watchdog::{until, when};

claims! { on_each_backend:
    large_bytes_come_back_as_they_were_around_every_limit,
    large_bytes_of_many_tasks_at_once_are_not_mixed_up,
    bytes_that_a_task_keeps_stay_what_they_are,
    a_part_of_a_large_argument_is_a_result,
    large_bytes_of_cancelled_tasks_leave_the_others_as_they_are,
}

claims! { on_processes:
    a_task_that_crashes_on_large_bytes_harms_no_others,
    a_further_attempt_has_the_same_large_bytes,
    bytes_that_a_fork_of_a_task_has_stay_what_they_are,
}

const KIB: usize = 1 << 10;

/// Bytes that tell whose they are.
fn pattern(seed: usize, size: usize) -> Bytes {
    (0..size).map(|n| (n / 7 + n * seed) as u8).collect::<Vec<_>>().into()
}

fn echo(bytes: Bytes) -> Bytes {
    bytes
}

fn large_bytes_come_back_as_they_were_around_every_limit(builder: Builder) {
    let pool = pool(builder, 1);
    for size in [256, 2048, 4096] {
        for size in [size * KIB - 9, size * KIB - 8, size * KIB, size * KIB + 1, size * KIB] {
            let sent = pattern(size, size);
            assert!(pool.submit(echo, (sent.clone(),)).unwrap().result().unwrap() == sent, "{size}");
            let mut changed = pool.submit(inverted, (sent.clone(),)).unwrap().result().unwrap();
            assert!(changed.iter().zip(&*sent).all(|(changed, sent)| *changed == !sent), "{size}");
            changed[0] = 3;
            assert_eq!(changed.into_vec()[0], 3);
        }
    }
}

fn inverted(mut bytes: Bytes) -> Bytes {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    bytes
}

fn large_bytes_of_many_tasks_at_once_are_not_mixed_up(builder: Builder) {
    let pool = pool(builder, 2);
    let sizes = [300 * KIB, 700 * KIB, 20, 3000 * KIB, 257 * KIB];
    for round in 0..3 {
        let futures: Vec<(Bytes, Future<Bytes>)> = (0..40)
            .map(|n| {
                let sent = pattern(n + round, sizes[n % sizes.len()]);
                (sent.clone(), pool.submit(echo, (sent,)).unwrap())
            })
            .collect();
        assert!(futures.iter().all(|(sent, future)| future.result().unwrap() == *sent));
        // The future keeps what it got, and so does each value that was taken from it.
        let (sent, future) = &futures[3];
        let (mut first, second) = (future.result().unwrap(), future.result().unwrap());
        first[0] ^= 1;
        assert!(second == *sent && future.result().unwrap() == *sent && first != *sent);
    }
}

static KEPT: Mutex<Vec<Bytes>> = Mutex::new(Vec::new());

/// Keeps every other one, and tells whether all that were kept are what they were.
fn keep(number: usize, bytes: Bytes) -> bool {
    let mut kept = KEPT.lock().unwrap();
    kept.push(bytes);
    let sound = kept.iter().all(|bytes| *bytes == pattern(usize::from(bytes[1]), bytes.len()));
    if number % 2 == 1 {
        kept.pop();
    }
    sound
}

fn bytes_that_a_task_keeps_stay_what_they_are(builder: Builder) {
    let pool = pool(builder, 1);
    for number in 0..12 {
        let bytes = pattern(number, 400 * KIB);
        assert!(pool.submit(keep, (number, bytes)).unwrap().result().unwrap(), "{number}");
    }
}

fn a_part_of_a_large_argument_is_a_result(builder: Builder) {
    let pool = pool(builder, 1);
    for _ in 0..4 {
        let (first, second) = (pattern(5, 600 * KIB), pattern(6, 300 * KIB));
        let ends = pool.submit(|first: Bytes, second: Bytes| (second, 7_u8, first), (first.clone(), second.clone()));
        assert!(ends.unwrap().result().unwrap() == (second, 7, first));
    }
}

fn a_task_that_crashes_on_large_bytes_harms_no_others(builder: Builder) {
    let pool = pool(builder, 1);
    let crash = |bytes: Bytes, crashes: bool| if crashes { std::process::abort() } else { bytes };
    for _ in 0..3 {
        let ends: Vec<(Bytes, bool, Future<Bytes>)> = (0..8)
            .map(|n| {
                let (sent, crashes) = (pattern(n, 500 * KIB), n == 4);
                (sent.clone(), crashes, pool.submit(crash, (sent, crashes)).unwrap())
            })
            .collect();
        for (sent, crashes, future) in ends {
            assert_eq!(future.result().is_err(), crashes);
            assert!(crashes || future.result().unwrap() == sent);
        }
    }
}

fn a_further_attempt_has_the_same_large_bytes(builder: Builder) {
    let pool = pool(builder, 1);
    let policy = RetryPolicy::new(3).backoff(Duration::from_millis(1), Duration::from_millis(2));
    let third_time = |bytes: Bytes| if task::attempt() < 2 { std::process::abort() } else { bytes };
    for size in [300 * KIB, 900 * KIB, 900 * KIB, 5000 * KIB] {
        let sent = pattern(size, size);
        // The last of them have recycled memory in their first attempt.
        for _ in 0..2 {
            assert!(pool.submit(echo, (sent.clone(),)).unwrap().result().unwrap() == sent);
        }
        let future = pool.task().retry(policy.clone()).submit(third_time, (sent.clone(),)).unwrap();
        assert!(future.result().unwrap() == sent, "{size}");
    }
}

fn large_bytes_of_cancelled_tasks_leave_the_others_as_they_are(builder: Builder) {
    let pool = pool(builder, 1);
    for round in 0..3 {
        let gate = Gate::new();
        let busy = pool.submit(stop_at, (gate.name(), round)).unwrap();
        let held = gate.next();
        let futures: Vec<(Bytes, Future<Bytes>)> = (0..9)
            .map(|n| {
                let sent = pattern(n, (300 + 100 * n) * KIB);
                (sent.clone(), pool.submit(echo, (sent,)).unwrap())
            })
            .collect();
        let cancelled: Vec<bool> = futures.iter().step_by(2).map(|(_, future)| future.cancel()).collect();
        drop(held);
        assert_eq!(busy.result().unwrap(), round);
        for (number, (sent, future)) in futures.iter().enumerate() {
            match future.result() {
                Ok(bytes) => assert!(bytes == *sent, "{number}"),
                Err(error) => assert!(matches!(error, TaskError::Cancelled) && cancelled[number / 2], "{error}"),
            }
        }
    }
}

/// Leaves its argument to a copy of its worker, which looks at it when it is let go, and says whether it is what it was.
fn leave_to_a_fork(seed: usize, bytes: Bytes, gate: String) {
    Fork::start(move || {
        stop_at(gate.clone(), 0);
        stop_at(gate, if bytes == pattern(seed, bytes.len()) { 1 } else { 2 });
    });
}

fn bytes_that_a_fork_of_a_task_has_stay_what_they_are(builder: Builder) {
    let pool = pool(builder, 1);
    let others = || {
        for n in 0..4 {
            let sent = pattern(100 + n, 700 * KIB);
            assert!(pool.submit(echo, (sent.clone(),)).unwrap().result().unwrap() == sent);
        }
    };
    others();
    let gate = Gate::new();
    pool.submit(leave_to_a_fork, (3, pattern(3, 700 * KIB), gate.name())).unwrap().result().unwrap();
    let held = gate.next();
    others();
    drop(held);
    assert_eq!(gate.next().item, 1);
}

#[test]
fn a_worker_without_room_for_recycled_memory_works_without() {
    let pool = pool(shared_memory().initializer(|| allow_further(24), ()), 1);
    for _ in 0..3 {
        let futures: Vec<_> =
            (0..4).map(|_| pool.submit(|bytes: Bytes| bytes.len(), (pattern(1, 15_000 * KIB),)).unwrap()).collect();
        assert!(futures.iter().all(|future| future.result().unwrap() == 15_000 * KIB));
    }
}

/// How many mappings of recycled memory a process has.
fn recycled(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    maps.lines().filter(|line| line.contains("pool-bulk")).count()
}

#[test]
fn recycled_memory_of_a_pool_that_rests_is_let_go_of() {
    let path = "payloads::recycled_memory_of_a_pool_that_rests_is_let_go_of";
    crate::alone::run(path, || {
        let pool = pool(shared_memory(), 1);
        for _ in 0..2 {
            let sent = pattern(1, 1000 * KIB);
            let pid = pool.submit(|bytes: Bytes| (std::process::id(), bytes), (sent.clone(),)).unwrap();
            assert_eq!(recycled(pid.result().unwrap().0), 0, "the first may be the only one");
            let pid = pool.submit(|bytes: Bytes| (std::process::id(), bytes), (sent,)).unwrap().result().unwrap().0;
            assert_eq!((recycled(pid), recycled(std::process::id())), (2, 2));
            until("the memory to be gone", || {
                let left = (recycled(pid), recycled(std::process::id()));
                when(left == (0, 0), left)
            });
        }
    });
}

#[test]
fn recycled_memory_ends_with_its_worker() {
    crate::alone::run("payloads::recycled_memory_ends_with_its_worker", || {
        let pool = pool(shared_memory(), 1);
        let futures: Vec<_> = (0..3).map(|n| pool.submit(echo, (pattern(n, 1000 * KIB),)).unwrap()).collect();
        assert!(futures.iter().all(|future| future.result().is_ok()));
        assert_eq!(recycled(std::process::id()), 2);
        let crash = |bytes: Bytes| if bytes.len() > KIB { std::process::abort() } else { bytes };
        let crashed = pool.submit(crash, (pattern(4, 1000 * KIB),)).unwrap();
        crashed.result().unwrap_err();
        until("the memory to be gone", || when(recycled(std::process::id()) == 0, recycled(std::process::id())));
        assert!(futures.iter().enumerate().all(|(n, future)| future.result().unwrap() == pattern(n, 1000 * KIB)));
    });
}
