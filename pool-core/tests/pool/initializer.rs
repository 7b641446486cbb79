//! Initializers: run in each worker before its first task, and breaking the pool when they fail.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pool_core::{Broken, Builder, Future, SubmitError, TaskError};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;

claims! { on_processes:
    a117_each_worker_is_initialized_before_its_first_task,
}

claims! { on_each_backend:
    a117_an_initializer_has_run_when_a_task_runs,
    a118_an_initializer_that_fails_breaks_the_pool,
    a118_an_initializer_that_panics_breaks_the_pool,
}

claims! { alone_on_each_backend:
    a119_a120_a_failed_initializer_leaves_nothing_behind,
}

static WORD: OnceLock<String> = OnceLock::new();
static RUNS: AtomicU32 = AtomicU32::new(0);

fn remember(word: String, times: u32) {
    WORD.set(word).unwrap();
    RUNS.fetch_add(times, Ordering::SeqCst);
}

fn recall(gate: String, item: u32) -> (u32, Option<String>, u32) {
    stop_at(gate, item);
    (std::process::id(), WORD.get().cloned(), RUNS.load(Ordering::SeqCst))
}

fn a117_each_worker_is_initialized_before_its_first_task(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.initializer(remember, ("initialized".to_owned(), 1)), 3);
    let futures: Vec<Future<_>> = (0..3).map(|n| pool.submit(recall, (gate.name(), n)).unwrap()).collect();
    drop([gate.next(), gate.next(), gate.next()]);
    let mut pids = Vec::new();
    for future in futures {
        let (pid, word, runs) = future.result().unwrap();
        assert_eq!((word.as_deref(), runs), (Some("initialized"), 1));
        pids.push(pid);
    }
    pids.dedup();
    assert_eq!(pids.len(), 3);
}

static MARKS: AtomicU32 = AtomicU32::new(0);

fn a117_an_initializer_has_run_when_a_task_runs(builder: Builder) {
    let mark = |bits: u32| -> Result<(), std::fmt::Error> {
        MARKS.fetch_or(bits, Ordering::SeqCst);
        Ok(())
    };
    let pool = pool(builder.initializer(mark, (4,)), 1);
    assert_eq!(pool.submit(|| MARKS.load(Ordering::SeqCst) & 4, ()).unwrap().result().unwrap(), 4);
}

fn fail(reason: String) -> Result<(), Box<dyn std::error::Error>> {
    Err(reason.into())
}

fn a118_an_initializer_that_fails_breaks_the_pool(builder: Builder) {
    let pool = pool(builder.initializer(fail, ("no licence".to_owned(),)), 2);
    let futures: Vec<Future<u32>> = (0..4).filter_map(|n| pool.submit(u32::pow, (n, 2)).ok()).collect();
    assert!(!futures.is_empty());
    for future in futures {
        let Err(TaskError::Broken(broken)) = future.result() else { panic!("{future:?}") };
        assert!(matches!(&*broken, Broken::Initializer { error, .. } if error.to_string() == "no licence"), "{broken}");
    }
    let error = pool.submit(u32::pow, (2, 8)).unwrap_err();
    assert!(matches!(error, SubmitError::Broken(_)), "{error}");
    assert!(error.to_string().contains("no licence"), "{error}");
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn a118_an_initializer_that_panics_breaks_the_pool(builder: Builder) {
    let pool = pool(builder.initializer(|| -> () { panic!("no licence") }, ()), 1);
    let error = pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap_err();
    assert!(matches!(&error, TaskError::Broken(_)), "{error}");
    assert!(error.to_string().contains("no licence"), "{error}");
}

fn a119_a120_a_failed_initializer_leaves_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    a118_an_initializer_that_fails_breaks_the_pool(builder);
    before.assert_as_before();
}
