//! Whatever the system runs out of, and at whatever point of what a pool does: a typed error, no hang, and nothing left.
//!
//! Each claim goes through all points, as it allows the process ever more of the thing, until all goes well.

use std::fs::File;

use pool_core::{Broken, Builder, Bytes, Future, PoolError, StartFailure, SubmitError, TaskError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::alone::Scene;
use crate::backends::{again, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::{Holdings, descriptor_count};
use crate::losses::kill;
use crate::watchdog::{Watchdog, Watched, until, when};

claims! { alone_on_processes:
    b18_a_pool_short_of_descriptors_at_any_point_says_so_and_leaves_nothing,
    b18_tasks_that_wait_when_descriptors_and_workers_are_gone_have_an_error,
}

/// Its host ignores SIGXFSZ, as Python does, or the system would end it before it could say anything.
mod b18_a_pool_short_of_memory_for_files_at_any_point_says_so_and_leaves_nothing {
    #[test]
    fn shared_memory() {
        super::in_a_host_that_ignores_sigxfsz(concat!(module_path!(), "::shared_memory"));
    }
}

fn in_a_host_that_ignores_sigxfsz(path: &str) {
    match Scene::of(path) {
        Scene::Alone => {
            // From nothing at all over a page, an arena and the largest value to more than enough.
            let limits = (0..26).step_by(2).chain([26]).map(|bits| (1 << bits) - 1);
            sweep(&shared_memory(), Resource::Fsize, limits, 10 << 20);
        }
        Scene::Outside(host) => {
            let wrapper = ["python3", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"];
            host.through(wrapper).start().assert_success();
        }
    }
}

fn b18_a_pool_short_of_descriptors_at_any_point_says_so_and_leaves_nothing(builder: Builder) {
    let used = descriptor_count();
    sweep(&builder, Resource::Nofile, used..used + 60, 1 << 20);
}

/// Makes a pool and has it work under each limit, the last of which has to be enough.
fn sweep(builder: &Builder, resource: Resource, limits: impl Iterator<Item = u64>, largest: usize) {
    let unlimited = getrlimit(resource);
    let mut ends = Vec::new();
    // What is made once and kept is made before anything is counted.
    work(again(builder), largest).unwrap();
    let before = Holdings::count();
    for limit in limits {
        {
            let _watchdog = Watchdog::new(move || format!("a pool under a limit of {limit}"));
            setrlimit(resource, Rlimit { current: Some(limit), maximum: unlimited.maximum }).unwrap();
            let end = work(again(builder), largest);
            setrlimit(resource, unlimited).unwrap();
            ends.push((limit, end));
        }
        before.assert_as_before();
    }
    println!("{ends:?}");
    assert!(ends[0].1.is_err() && ends.last().unwrap().1.is_ok(), "{ends:?}");
}

/// All that a pool does: starts, takes small and large tasks, gives small and large results, and ends. Gives what went
/// wrong first; anything that is no matter of room is a failure.
fn work(builder: Builder, largest: usize) -> Result<(), String> {
    let pool = match builder.max_workers(2).build() {
        Ok(pool) => Watched::new(pool),
        Err(error @ (PoolError::Backend(_) | PoolError::Thread { .. })) => return Err(error.to_string()),
        Err(other) => panic!("{other}"),
    };
    let mut first = Ok(());
    for size in [10, 100_000, largest] {
        let ends: Vec<_> = (0..3).map(|_| pool.submit(echo, (Bytes::from(vec![7; size]),))).collect();
        for end in ends {
            match end.map_err(TaskError::from).and_then(|future: Future<Bytes>| future.result()) {
                Ok(bytes) => assert!(bytes.len() == size && bytes.iter().all(|&byte| byte == 7)),
                Err(error @ (TaskError::NoMemory(_) | TaskError::WorkerDied(_))) => {
                    first = first.and(Err(error.to_string()))
                }
                Err(error @ TaskError::Broken(_)) => {
                    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))), "{error}");
                    first = first.and(Err(error.to_string()));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    pool.shutdown();
    first
}

fn echo(bytes: Bytes) -> Bytes {
    bytes
}

fn b18_tasks_that_wait_when_descriptors_and_workers_are_gone_have_an_error(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let blamed = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let waiting: Vec<Future<u32>> = (0..50).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(descriptor_count() + 8), maximum: limit.maximum }).unwrap();
    let files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    // No number is left, and none comes free when the worker goes that a new one could do with.
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: limit.maximum }).unwrap();
    kill(held.pid);
    assert!(matches!(blamed.result(), Err(TaskError::WorkerDied(_))), "{blamed:?}");
    for future in &waiting {
        let Err(TaskError::Broken(broken)) = future.result() else { panic!("{future:?}") };
        let Broken::Start(failure) = &*broken else { panic!("{broken}") };
        assert!(
            matches!(&**failure, StartFailure::System(error) if error.source.raw_os_error() == Some(24)),
            "{broken}"
        );
    }
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
    setrlimit(Resource::Nofile, limit).unwrap();
    drop(files);
    until("no worker", || when(pool.worker_pids().is_empty(), pool.worker_pids()));
    // The process goes on, and so does another pool.
    assert_eq!(shared_memory().build().unwrap().submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}
