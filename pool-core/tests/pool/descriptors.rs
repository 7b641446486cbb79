//! Descriptors, threads and processes: pools give back what they took, and go on where the system has no more of them.

use std::fs::File;
use std::time::Duration;

use pool_core::{Broken, Builder, Bytes, Future, PoolError, StartFailure, SubmitError, TaskError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::backends::{again, pool};
use crate::gate::{Gate, stop_at};
use crate::holdings::{Holdings, descriptor_count};
use crate::losses::kill;
use crate::watchdog::{Watchdog, until, when};

claims! { alone_on_each_backend:
    b11_a_thousand_pools_leave_nothing_behind,
}

claims! { alone_on_processes:
    b11_pools_that_worked_leave_nothing_behind,
    b11_results_that_nobody_reads_leave_nothing_behind,
    without_descriptors_the_workers_that_there_are_do_the_work,
    without_descriptors_and_workers_the_pool_says_so,
    without_descriptors_a_pool_is_not_made,
}

mod a_worker_costs_the_program_three_descriptors {
    test_alone_on!(super::a_worker_costs_the_program_three_descriptors: shared_memory);
}

fn b11_a_thousand_pools_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    {
        let _watchdog = Watchdog::new(|| "a thousand pools".to_owned());
        for number in 0..1000 {
            let pool = again(&builder).max_workers(2).build().unwrap();
            if number % 50 == 0 {
                assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
            }
        }
    }
    before.assert_as_before();
}

fn b11_pools_that_worked_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    for round in 0..10 {
        let pool = pool(again(&builder), 2);
        let future = pool.submit(|bytes: Bytes| bytes, (Bytes::from(vec![3; 1 << 20]),)).unwrap();
        assert_eq!(future.result().unwrap().len(), 1 << 20);
        let lost = pool.submit(|| -> () { std::process::exit(3) }, ()).unwrap();
        if round % 2 == 0 {
            assert!(lost.result().is_err());
        }
    }
    before.assert_as_before();
}

fn b11_results_that_nobody_reads_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    for read in [0, 1, 60] {
        let pool = pool(again(&builder), 2);
        let mut results = pool.batch().chunksize(50).map(u64::swap_bytes, 0..500).unwrap();
        assert_eq!(results.by_ref().take(read).filter(Result::is_ok).count(), read);
        pool.shutdown();
        drop(results);
    }
    before.assert_as_before();
}

fn a_worker_costs_the_program_three_descriptors(builder: Builder) {
    let gate = Gate::new();
    let taken = |workers: usize| {
        let before = descriptor_count();
        let pool = pool(again(&builder), workers);
        let futures: Vec<_> = (0..workers).map(|_| pool.submit(stop_at, (gate.name(), 0)).unwrap()).collect();
        drop((0..workers).map(|_| gate.next()).collect::<Vec<_>>());
        // More of the memory for arguments is in use, too.
        for size in [100, 10_000, 200_000] {
            let future = pool.submit(|bytes: Bytes| bytes.len(), (Bytes::from(vec![1; size]),)).unwrap();
            assert_eq!(future.result().unwrap(), size);
        }
        assert!(futures.into_iter().all(|future| future.result().is_ok()));
        assert_eq!(pool.worker_pids().len(), workers);
        descriptor_count() - before
    };
    // What a pool has for itself, it has with any number of workers.
    let each = (taken(7) - taken(2)) / 5;
    // Its pidfd, its channel and its doorbell; before Linux 5.14 its memory, too.
    assert!((3..=3 + u64::from(kernel() < (5, 14))).contains(&each), "{each}");
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Takes all descriptors that this process may have.
pub(crate) fn take_all_descriptors() -> Vec<File> {
    let limit = Rlimit { current: Some(descriptor_count() + 32), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(EMFILE));
                return files;
            }
        }
    }
}

const EMFILE: i32 = 24;

fn without_descriptors_the_workers_that_there_are_do_the_work(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 4);
    // One connection of the gate's at a time fits into the room that is made here.
    let busy = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let files = take_all_descriptors();
    let more: Vec<Future<u32>> = (0..20).map(|n| pool.submit(u32::pow, (n, 2)).unwrap()).collect();
    let before = processor_time();
    std::thread::park_timeout(Duration::from_millis(400));
    let spent = processor_time() - before;
    assert!(spent < Duration::from_millis(200), "{spent:?} went into attempts to start workers, again and again");
    drop(held);
    assert_eq!(busy.result().unwrap(), 0);
    assert!((0..).zip(&more).all(|(n, future)| future.result().unwrap() == n * n));
    // The gate has given one back.
    let files = (files, File::open("/dev/null"));
    // What is too large for the room that there is needs a descriptor.
    let error = match pool.submit(|bytes: Bytes| bytes.len(), (Bytes::from(vec![1; 8 << 20]),)) {
        Ok(future) => future.result().map(drop),
        Err(error) => Err(error.into()),
    };
    assert!(matches!(&error, Err(TaskError::NoMemory(no)) if no.errno == EMFILE && no.size >= 8 << 20), "{error:?}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    drop(files);
    let future = pool.submit(|bytes: Bytes| bytes.len(), (Bytes::from(vec![1; 8 << 20]),)).unwrap();
    assert_eq!(future.result().unwrap(), 8 << 20);
}

/// How much time this process has used so far.
fn processor_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.try_into().unwrap(), used.tv_nsec.try_into().unwrap())
}

fn without_descriptors_and_workers_the_pool_says_so(builder: Builder) {
    let pool = pool(builder, 1);
    let pid = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    let files = take_all_descriptors();
    kill(pid);
    until("the worker to be lost", || {
        let pids = pool.worker_pids();
        when(!pids.contains(&pid), pids)
    });
    let error = match pool.submit(u32::pow, (2, 8)) {
        Ok(future) => future.result().unwrap_err(),
        Err(error) => error.into(),
    };
    // The descriptors of the lost worker may be enough for its successor.
    drop(files);
    match error {
        TaskError::Broken(broken) => {
            let Broken::Start(failure) = &*broken else { panic!("{broken}") };
            assert!(matches!(&**failure, StartFailure::System(error) if error.source.raw_os_error() == Some(EMFILE)));
            assert!(matches!(pool.submit(u32::pow, (2, 8)), Err(SubmitError::Broken(_))));
        }
        other => panic!("{other}"),
    }
}

fn without_descriptors_a_pool_is_not_made(builder: Builder) {
    let files = take_all_descriptors();
    let error = builder.max_workers(1).build().unwrap_err();
    drop(files);
    assert!(matches!(&error, PoolError::Backend(_)), "{error}");
    assert!(error.to_string().contains("Too many open files"), "{error}");
}
