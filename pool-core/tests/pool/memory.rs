//! Memory: what does not fit is an error of that task, and what a task overwrites harms no other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use pool_core::{Broken, Builder, Bytes, Future, PoolError, StartFailure, SubmitError, TaskError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};

use crate::alone;
use crate::backends::{in_process, pool, shared_memory};
use crate::watchdog::Watched;

claims! { alone_on_processes:
    an_argument_that_does_not_fit_is_an_error_of_that_submit,
    a_result_that_does_not_fit_the_worker_fails_that_future,
    a_result_that_does_not_fit_the_caller_fails_that_future,
}

/// Only this backend takes addresses for a worker.
mod without_memory_for_a_worker_the_pool_says_so {
    test_alone_on!(super::start_without_memory: shared_memory);
}

fn start_without_memory(builder: Builder) {
    const ENOMEM: i32 = 12;
    let pool = pool(builder, 1);
    let unlimited = getrlimit(Resource::As);
    allow_further(3);
    let end = pool.submit(u32::pow, (2, 8)).unwrap().result();
    setrlimit(Resource::As, unlimited).unwrap();
    let Err(TaskError::Broken(broken)) = &end else { panic!("{end:?}") };
    let Broken::Start(failure) = &**broken else { panic!("{broken}") };
    assert!(
        matches!(&**failure, StartFailure::System(error) if error.source.raw_os_error() == Some(ENOMEM)),
        "{broken}"
    );
    assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
}

const MIB: usize = 1 << 20;

/// So many mebibytes when it is encoded, and hardly any before.
#[derive(Deserialize)]
#[serde(from = "Vec<String>")]
struct Large(usize);

impl Serialize for Large {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A text: bytes would not be copied.
        let mebibyte = "x".repeat(MIB);
        let mut sequence = serializer.serialize_seq(Some(self.0))?;
        (0..self.0).try_for_each(|_| sequence.serialize_element(&mebibyte))?;
        sequence.end()
    }
}

impl From<Vec<String>> for Large {
    fn from(texts: Vec<String>) -> Self {
        Self(texts.len())
    }
}

/// Lets the calling process have so many mebibytes of addresses more than it has, once its threads are all up: one that
/// finds no memory while it starts ends the process, which is std's doing.
pub(crate) fn allow_further(mebibytes: usize) {
    crate::holdings::await_rest();
    let pages: usize = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').next().unwrap().parse().unwrap();
    let current = (pages * rustix::param::page_size() + mebibytes * MIB).try_into().unwrap();
    setrlimit(Resource::As, Rlimit { current: Some(current), maximum: getrlimit(Resource::As).maximum }).unwrap();
}

fn assert_sound(pool: &Watched) {
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

/// The end of a task that may be refused or fail.
fn end<T: serde::de::DeserializeOwned>(submitted: Result<Future<T>, SubmitError>) -> Result<T, TaskError> {
    submitted.map_err(TaskError::from)?.result()
}

fn an_argument_that_does_not_fit_is_an_error_of_that_submit(builder: Builder) {
    let pool = pool(builder, 1);
    assert_sound(&pool);
    allow_further(200);
    let error = pool.submit(|large: Large| large.0, (Large(2000),)).unwrap_err();
    assert!(matches!(&error, SubmitError::NoMemory(no) if no.size > 100 << 20), "{error}");
    assert!(error.to_string().contains("no room for"), "{error}");
    assert_sound(&pool);
    // As one of many, too.
    let ends: Vec<_> =
        pool.batch().chunksize(2).map(|large: Large| large.0, [1, 2000, 2].map(Large)).unwrap().collect();
    let shape: Vec<_> =
        ends.into_iter().map(|end| end.map_err(|error| matches!(error, TaskError::NoMemory(_)))).collect();
    assert_eq!(shape, [Ok(1), Err(true), Ok(2)]);
}

fn a_result_that_does_not_fit_the_worker_fails_that_future(builder: Builder) {
    let pool = pool(builder.initializer(|| allow_further(200), ()), 1);
    let error = pool.submit(|| Large(2000), ()).unwrap().result().map(drop).unwrap_err();
    assert!(matches!(&error, TaskError::NoMemory(no) if no.size > 100 << 20), "{error}");
    assert_sound(&pool);
}

fn a_result_that_does_not_fit_the_caller_fails_that_future(builder: Builder) {
    let pool = pool(builder, 1);
    assert_sound(&pool);
    allow_further(200);
    let error = pool.submit(|| Large(400), ()).unwrap().result().map(drop).unwrap_err();
    assert!(matches!(&error, TaskError::NoMemory(no) if no.size > 400 << 20), "{error}");
    assert_sound(&pool);
}

mod d11_memory_that_is_refused_while_posting_is_an_error_of_that_submit {
    use super::submit_against_a_size_limit;
    use crate::shortages::in_a_host_with_sigxfsz;

    #[test]
    fn in_a_host_that_is_ended_by_sigxfsz() {
        let path = concat!(module_path!(), "::in_a_host_that_is_ended_by_sigxfsz");
        in_a_host_with_sigxfsz("SIG_DFL", path, submit_against_a_size_limit);
    }

    #[test]
    fn in_a_host_that_ignores_sigxfsz() {
        let path = concat!(module_path!(), "::in_a_host_that_ignores_sigxfsz");
        in_a_host_with_sigxfsz("SIG_IGN", path, submit_against_a_size_limit);
    }
}

fn submit_against_a_size_limit() {
    let pool = pool(shared_memory(), 1);
    assert_sound(&pool);
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = |bytes| setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
    limit(Some(8 << 20));
    let error = end(pool.submit(|large: Large| large.0, (Large(16),))).unwrap_err();
    assert!(matches!(&error, TaskError::NoMemory(no) if no.size > 16 << 20), "{error}");
    assert_sound(&pool);
    // Smaller than what a link has from the start: room that it has not used yet is not to be had.
    limit(Some(4096));
    for kibibytes in [1, 20, 200] {
        let bytes = Bytes::from(vec![1; kibibytes << 10]);
        match end(pool.submit(|bytes: Bytes| bytes.len(), (bytes,))) {
            Ok(length) => assert_eq!(length, kibibytes << 10),
            Err(TaskError::NoMemory(no)) => assert!(no.size > 1 << 10, "{no}"),
            Err(other) => panic!("{other}"),
        }
        assert_sound(&pool);
    }
    limit(maximum);
    assert_eq!(end(pool.submit(|large: Large| large.0, (Large(16),))).unwrap(), 16);
}

/// Writes over all memory of the name that this process shares with its parent, by address and by descriptor. Gives how
/// many pages there were, and how many could be written.
fn overwrite(name: String) -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let page = rustix::param::page_size();
    let (mut pages, mut written) = (0, 0);
    for line in maps.lines().filter(|line| line.contains(&name)) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        for at in (from..to).step_by(page) {
            pages += 1;
            written += usize::from(memory.write_all_at(&vec![0xa5; page], at).is_ok());
        }
    }
    (pages, written + overwrite_by_descriptor(&name))
}

fn overwrite_by_descriptor(name: &str) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let memories =
        descriptors.filter(|path| std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains(name)));
    let opened = memories.flat_map(|path| OpenOptions::new().write(true).open(path));
    opened.filter(|file: &File| file.write_all_at(&[0x5a; 4096], 0).is_ok()).count()
}

/// It has to exit: the words that it writes over are those by which it would tell that it is done.
fn overwrite_all_and_exit() {
    let (_, written) = overwrite("/memfd:".to_owned());
    std::process::exit(if written > 0 { 0 } else { 101 });
}

/// A pool of one worker that has seen many short tasks, so that further ones are posted ahead, into its memory.
fn busy_pool() -> Watched {
    let pool = pool(shared_memory(), 1);
    (0..500).for_each(|_| assert_sound(&pool));
    pool
}

fn submit_many(pool: &Watched, round: u32) -> Vec<Future<u32>> {
    (0..40).map(|n| pool.submit(u32::wrapping_add, (n, round)).unwrap()).collect()
}

#[test]
fn d02_a_task_cannot_overwrite_the_arguments_of_others() {
    let pool = busy_pool();
    for round in 0..5 {
        let before = submit_many(&pool, round);
        let vandal = pool.submit(overwrite, ("/memfd:pool-requests".to_owned(),)).unwrap();
        let after = submit_many(&pool, round);
        let (pages, written) = vandal.result().unwrap();
        assert!(pages > 0 && written == 0, "{written} of {pages} pages were written");
        for futures in [before, after] {
            assert!((0..).zip(&futures).all(|(n, future)| future.result().unwrap() == n + round));
        }
    }
    assert_eq!(pool.worker_pids().len(), 1);
}

#[test]
fn d02_a_task_that_overwrites_all_that_it_can_reach_falsifies_nothing() {
    let pool = busy_pool();
    for round in 0..5 {
        let before = submit_many(&pool, round);
        assert!((0..).zip(&before).all(|(n, future)| future.result().unwrap() == n + round));
        let vandal = pool.submit(overwrite_all_and_exit, ()).unwrap();
        let after = submit_many(&pool, round);
        let end = vandal.result();
        assert!(matches!(&end, Err(TaskError::WorkerDied(_))), "{end:?}");
        for (n, future) in (0..).zip(&after) {
            match future.result() {
                Ok(sum) => assert_eq!(sum, n + round),
                // It was posted to that worker: whether it ran is written where the task has written.
                Err(TaskError::WorkerDied(died)) if died.corrupt.is_some() => {}
                other => panic!("{n}: {other:?}"),
            }
        }
    }
    assert_sound(&pool);
}

#[test]
fn a073_a_thread_that_cannot_be_started_is_a_typed_error() {
    alone::run("memory::a073_a_thread_that_cannot_be_started_is_a_typed_error", || {
        let unlimited = getrlimit(Resource::As);
        let mut refused = Vec::new();
        // A thread's stack takes 2 MiB: room for none, and for one of the two.
        for mebibytes in [1, 3] {
            allow_further(mebibytes);
            let error = in_process().max_workers(1).build().unwrap_err();
            setrlimit(Resource::As, unlimited).unwrap();
            let PoolError::Thread { name, .. } = &error else { panic!("{error}") };
            assert!(error.to_string().contains("could not be started"), "{error}");
            refused.push(name.clone());
        }
        assert_eq!(refused, ["manager", "QueueFeederThread"]);
        assert_sound(&pool(in_process(), 1));
    });
}
