//! Pools inside tasks: each level is a pool as any other, and a task that makes a pool to run itself there comes to an end.

use pool_core::{Builder, PoolError, Process, ProcessPoolExecutor};
use pool_ipc::IpcChannel;

use crate::backends::{again, in_process, pool, shared_memory};

claims! { on_each_backend:
    b22_a_task_may_have_a_pool_of_its_own,
    b22_a_pool_that_is_too_deep_is_refused_with_its_depth_and_the_limit,
}

#[test]
fn b22_a_depth_of_none_is_refused() {
    let error = shared_memory().max_depth(0).build().unwrap_err();
    assert_eq!(error.to_string(), "max_depth must be at least 1");
}

#[test]
fn b22_a_process_in_between_counts() {
    let child = Process::new(
        || {
            let error = shared_memory().max_workers(1).max_depth(1).build().unwrap_err();
            assert!(matches!(error, PoolError::TooDeep { depth: 2, limit: 1, .. }), "{error}");
            let pool = shared_memory().max_workers(1).max_depth(2).build().unwrap();
            let inner = pool.submit(deepest, (backend(&in_process()), 2)).unwrap().result().unwrap();
            assert_eq!(inner, 2);
        },
        (),
    );
    child.start().unwrap();
    child.join().unwrap();
    assert_eq!(child.exitcode(), Some(0));
}

fn b22_a_task_may_have_a_pool_of_its_own(builder: Builder) {
    let backend = backend(&builder);
    let pool = pool(builder, 2);
    let sums: Vec<u64> = (0..4)
        .map(|n| pool.submit(sum_of_squares, (backend.clone(), n)).unwrap())
        .map(|sum| sum.result().unwrap())
        .collect();
    assert_eq!(sums, [0, 0, 1, 5]);
}

fn b22_a_pool_that_is_too_deep_is_refused_with_its_depth_and_the_limit(builder: Builder) {
    let backend = backend(&builder);
    assert_eq!(deepest(backend.clone(), 3), 3);
    let pool = pool(again(&builder).max_depth(1), 1);
    let told = pool.submit(refusal, (backend,)).unwrap().result().unwrap();
    assert_eq!(
        told,
        "a pool here would have workers at depth 2, and the limit is 1: does a task make a pool that runs it again?"
    );
}

/// A task: the squares below `n`, by workers of its own.
fn sum_of_squares(backend: String, n: u64) -> u64 {
    let pool = builder_of(&backend).max_workers(2).build().unwrap();
    pool.map(|n: u64| n * n, 0..n).unwrap().map(Result::unwrap).sum()
}

/// A task that makes a pool and runs itself there, until that is refused. Gives how many processes, or threads in their
/// place, it got to.
fn deepest(backend: String, limit: u32) -> u32 {
    match builder_of(&backend).max_workers(1).max_depth(limit).build() {
        Ok(pool) => pool.submit(deepest, (backend, limit)).unwrap().result().unwrap(),
        Err(PoolError::TooDeep { depth, limit, .. }) if depth == limit + 1 => limit,
        Err(error) => panic!("{error}"),
    }
}

/// A task: what a pool inside it answers.
fn refusal(backend: String) -> String {
    builder_of(&backend).max_workers(1).max_depth(1).build().unwrap_err().to_string()
}

/// A name that a task can be given.
fn backend(builder: &Builder) -> String {
    ["InProcess", "IpcChannel"]
        .into_iter()
        .find(|name| format!("{builder:?}").contains(name))
        .unwrap_or_default()
        .to_owned()
}

fn builder_of(backend: &str) -> Builder {
    match backend {
        "InProcess" => in_process(),
        "IpcChannel" => ProcessPoolExecutor::builder().backend(IpcChannel::new()),
        _ => shared_memory(),
    }
}
