//! Whatever the system runs out of, and at whatever point of what a pool does: a typed error, no hang, and nothing left.
//!
//! Each claim goes through all points, as it allows the process ever more of the thing, until all goes well.

use std::fs::File;

use pool_core::{
    Broken, Builder, Bytes, Future, PoolError, SharedBuffer, SharedBufferError, SharedBytes, StartFailure, SubmitError,
    TaskError,
};
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

/// Makes tests of a limit on the sizes of files, each in a host that minds SIGXFSZ in one way. Most programs do not, and would
/// be ended by it; Python ignores it.
macro_rules! claims_of_file_sizes {
    ($($name:ident: $body:path),+ $(,)?) => {$(
        mod $name {
            claims_of_file_sizes! { $body, on shared_memory, ipc_channel }
        }
    )+};
    ($body:path, on $($backend:ident),+) => {$(
        mod $backend {
            #[test]
            fn in_a_host_that_is_ended_by_sigxfsz() {
                let path = concat!(module_path!(), "::in_a_host_that_is_ended_by_sigxfsz");
                crate::shortages::in_a_host_with_sigxfsz("SIG_DFL", path, || $body(crate::backends::$backend()));
            }

            #[test]
            fn in_a_host_that_ignores_sigxfsz() {
                let path = concat!(module_path!(), "::in_a_host_that_ignores_sigxfsz");
                crate::shortages::in_a_host_with_sigxfsz("SIG_IGN", path, || $body(crate::backends::$backend()));
            }
        }
    )+};
}

claims_of_file_sizes! {
    b18_a_pool_short_of_memory_for_files_at_any_point_says_so_and_leaves_nothing: crate::shortages::sweep_file_sizes,
    d11_memory_that_is_refused_to_a_worker_is_an_error_of_that_result: crate::shortages::limit_results,
    shared_memory_that_is_refused_is_an_error_and_takes_nothing: crate::shortages::limit_shared_memory,
}

/// Runs a body in a host for which the signal has that action. One that handles it would do, too.
pub(crate) fn in_a_host_with_sigxfsz(action: &str, path: &str, body: impl FnOnce()) {
    match Scene::of(path) {
        Scene::Alone => body(),
        Scene::Outside(host) => {
            let program = "import os, signal, sys\nsignal.signal(signal.SIGXFSZ, getattr(signal, sys.argv[1]))\n\
                           os.execv(sys.argv[2], sys.argv[2:])";
            host.through(["python3", "-c", program, action]).start().assert_success();
        }
    }
}

fn sweep_file_sizes(builder: Builder) {
    // From nothing at all over a page, an arena and the largest value to more than enough.
    let limits = (0..26).step_by(2).chain([26]).map(|bits| (1 << bits) - 1);
    sweep(&builder, Resource::Fsize, limits, 10 << 20);
}

/// The limit is the worker's own, by a task.
fn limit_results(builder: Builder) {
    let pool = pool(builder, 1);
    let worker = pool.submit(limit_file_sizes, (1 << 20,)).unwrap().result().unwrap();
    for size in [100, 20_000, 500_000] {
        assert_eq!(pool.submit(zeroes, (size,)).unwrap().result().unwrap().len(), size);
    }
    let error = pool.submit(zeroes, (2 << 20,)).unwrap().result().unwrap_err();
    assert!(matches!(&error, TaskError::NoMemory(no) if no.size > 1 << 20), "{error}");
    assert_eq!(pool.submit(zeroes, (2,)).unwrap().result().unwrap().len(), 2);
    assert_eq!(pool.worker_pids(), [worker]);
}

/// The limit is the host's.
fn limit_shared_memory(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    limit_file_sizes(1 << 20);
    let used = descriptor_count();
    let error = SharedBytes::new(vec![1; 2 << 20]).unwrap_err();
    assert_eq!((error.size, error.source.raw_os_error()), (2 << 20, Some(EFBIG)));
    let error = SharedBuffer::new(2 << 20).unwrap_err();
    let SharedBufferError::NoMemory { size, source } = &error else { panic!("{error}") };
    assert_eq!((*size, source.raw_os_error()), (2 << 20, Some(EFBIG)));
    assert_eq!(descriptor_count(), used);
    let (bytes, buffer) = (SharedBytes::new([1; 1000]).unwrap(), SharedBuffer::new(1000).unwrap());
    let sizes = |bytes: SharedBytes, buffer: SharedBuffer| (bytes.len(), buffer.len());
    assert_eq!(pool.submit(sizes, (bytes, buffer)).unwrap().result().unwrap(), (1000, 1000));
}

const EFBIG: i32 = 27;

fn limit_file_sizes(bytes: u64) -> u32 {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum }).unwrap();
    std::process::id()
}

fn zeroes(size: usize) -> Bytes {
    vec![0; size].into()
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
            // A line each: who looks at this process from outside takes it for hung if it says nothing for a minute.
            println!("{limit}: {end:?}");
            ends.push((limit, end));
        }
        before.assert_as_before();
    }
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
