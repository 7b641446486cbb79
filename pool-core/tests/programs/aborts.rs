//! A program in which every panic aborts: its tasks' panics are told like any other, and the pool goes on.

use pool_core::{ExitCause, ProcessPoolExecutor, TaskError};

fn divide(dividend: u32, divisor: u32) -> u32 {
    dividend / divisor
}

fn main() {
    pool_core::init();
    assert!(cfg!(panic = "abort"));
    let pool = ProcessPoolExecutor::new(1).unwrap();
    for _ in 0..3 {
        match pool.submit(divide, (1, 0)).unwrap().result() {
            Err(TaskError::Panicked(panic)) => {
                assert!(panic.message.contains("divide by zero"), "{panic}");
                assert!(panic.location.as_ref().unwrap().contains("aborts.rs:6"), "{panic}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.submit(divide, (6, 2)).unwrap().result().unwrap(), 3);
    }
    // An abort without a panic is still one.
    match pool.submit(|| -> () { std::process::abort() }, ()).unwrap().result() {
        Err(TaskError::WorkerDied(died)) => assert_eq!(died.cause, ExitCause::Signal(6)),
        other => panic!("{other:?}"),
    }
    let items: Vec<_> = pool.batch().chunksize(4).map(|n: u32| 12 / n, [1, 2, 0, 3]).unwrap().collect();
    let shape: Vec<Option<u32>> = items.into_iter().map(Result::ok).collect();
    assert_eq!(shape, [Some(12), Some(6), None, Some(4)]);
    println!("passed");
}
