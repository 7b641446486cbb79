//! Pools in which who waits looks for a moment before it sleeps keep the same promises.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pool_core::{Builder, ProcessPoolExecutor, SharedMemory, TaskError};

use crate::backends::pool;

/// Far longer than a task takes that does next to nothing: nobody sleeps while tasks follow each other.
const LONG: Duration = Duration::from_micros(500);

fn spinning() -> Builder {
    ProcessPoolExecutor::builder().backend(SharedMemory::new().spin(LONG))
}

fn add(a: u32, b: u32) -> u32 {
    a + b
}

#[test]
fn tasks_one_by_one_in_bursts_and_in_a_map_all_have_their_results() {
    let pool = pool(spinning(), 2);
    for n in 0..2_000 {
        assert_eq!(pool.submit(add, (n, 1)).unwrap().result().unwrap(), n + 1);
    }
    let burst: Vec<_> = (0..2_000).map(|n| pool.submit(add, (n, 1)).unwrap()).collect();
    assert!(burst.iter().zip(1..).all(|(future, sum)| future.result().unwrap() == sum));
    assert_eq!(pool.map(u64::from, 0..20_000_u32).unwrap().map(Result::unwrap).sum::<u64>(), 199_990_000);
}

#[test]
fn a_death_is_noticed_though_others_keep_the_manager_from_ever_sleeping() {
    let pool = pool(spinning(), 2);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (begun, has_begun) = mpsc::channel();
        let (done, pool) = (&done, &pool);
        scope.spawn(move || {
            for n in 0.. {
                assert_eq!(pool.submit(add, (n, 1)).unwrap().result().unwrap(), n + 1);
                if n == 100 {
                    begun.send(()).unwrap();
                }
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        has_begun.recv().unwrap();
        for _ in 0..5 {
            let end = pool.submit(|| std::process::abort(), ()).unwrap();
            let end: Result<(), TaskError> = end.result();
            assert!(matches!(end, Err(TaskError::WorkerDied(_))), "{end:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_runs_over_its_time_is_stopped_though_everybody_looks() {
    let pool = pool(spinning(), 1);
    let hang = || loop {
        std::hint::spin_loop();
    };
    let stuck = pool.task().timeout(Duration::from_millis(50)).submit(hang, ()).unwrap();
    let end: Result<(), TaskError> = stuck.result();
    assert!(matches!(end, Err(TaskError::TimedOut(_))), "{end:?}");
    assert_eq!(pool.submit(add, (1, 2)).unwrap().result().unwrap(), 3);
}
