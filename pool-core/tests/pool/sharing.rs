//! Shared values: read by every task where they lie, the same for all, and gone with their last owner.

use std::fs;
use std::sync::Mutex;

use pool_core::{Builder, Bytes, Coded, Future, Process, ProcessPoolExecutor, RetryPolicy, SharedBytes, TaskError};
use serde::{Deserialize, Serialize};

use crate::backends::{again, pool, shared_memory};
use crate::descriptors::take_all_descriptors;
use crate::holdings::Holdings;
use crate::losses::await_successor;
use crate::watchdog::{until, when};

claims! { on_each_backend:
    tasks_read_a_shared_value_also_inside_of_others,
    a_shared_value_that_a_task_returns_is_the_callers_own,
    an_empty_shared_value_is_a_value,
    a_shared_value_goes_with_arguments_of_any_size,
    shared_values_of_many_small_tasks_come_along_with_each,
    a_map_of_distinct_shared_values_gives_each_to_its_item,
    a_shared_value_of_an_earlier_task_cannot_be_returned,
    a_task_may_hand_a_shared_value_to_a_pool_of_its_own,
    a_second_attempt_reads_the_same_shared_value,
}

claims! { on_processes:
    each_worker_maps_a_shared_value_once_and_gets_it_once,
    a_shared_value_outlives_the_worker_that_read_it,
    a_shared_value_that_a_task_made_is_returned_by_no_worker,
    a_worker_cannot_change_a_shared_value,
    a_shared_value_is_no_memory_that_a_worker_is_replaced_for,
}

claims! { alone_on_processes:
    workers_give_a_shared_value_back_when_its_last_owner_is_gone,
    without_a_descriptor_a_shared_value_is_not_made,
}

claims! { alone_on_each_backend:
    shared_values_leave_nothing_behind,
}

/// A length that no other mapping of these tests has.
const LENGTH: usize = 12_345_678;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|position| (position * 7 % 251) as u8).collect()
}

fn byte_at(value: SharedBytes, position: usize) -> u8 {
    value[position]
}

#[derive(Clone, Serialize, Deserialize)]
struct Query {
    tables: Vec<SharedBytes>,
    more: Option<SharedBytes>,
    position: usize,
}

fn sum_of(query: Query) -> u32 {
    query.tables.iter().chain(&query.more).map(|table| u32::from(table[query.position])).sum()
}

fn tasks_read_a_shared_value_also_inside_of_others(builder: Builder) {
    let pool = pool(builder, 2);
    let bytes = pattern(100_000);
    let value = SharedBytes::new(&bytes).unwrap();
    let positions: Vec<usize> = (0..1000).map(|n| n * 97).collect();
    let read = pool.map(byte_at, (vec![value.clone(); 1000], positions.clone())).unwrap();
    assert!(read.zip(&positions).all(|(byte, &position)| byte.unwrap() == bytes[position]));
    let other = SharedBytes::new([1; 100_000]).unwrap();
    let query = Query { tables: vec![value.clone(), other, value.clone()], more: Some(value), position: 4711 };
    let expected = 3 * u32::from(bytes[4711]) + 1;
    assert_eq!(pool.submit(sum_of, (query,)).unwrap().result().unwrap(), expected);
}

fn a_shared_value_that_a_task_returns_is_the_callers_own(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(5000)).unwrap();
    let future = pool.submit(|value: SharedBytes| (1, vec![value]), (value.clone(),)).unwrap();
    let (_, back): (i32, Vec<SharedBytes>) = future.result().unwrap();
    assert_eq!(back[0].as_ptr(), value.as_ptr());
    let pointer = value.as_ptr();
    drop((value, back));
    // The result itself keeps it.
    let (_, again): (i32, Vec<SharedBytes>) = future.result().unwrap();
    assert_eq!((again[0].as_ptr(), &again[0][..]), (pointer, &pattern(5000)[..]));
}

fn an_empty_shared_value_is_a_value(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new([]).unwrap();
    let back = pool.submit(|value: SharedBytes| value, (value.clone(),)).unwrap().result().unwrap();
    assert!(back.is_empty() && back == value);
}

fn a_shared_value_goes_with_arguments_of_any_size(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(5000)).unwrap();
    for size in [0, 3000, 100_000, 3 << 20] {
        let echo = |bytes: Bytes, value: SharedBytes| (bytes, value);
        let (bytes, back) = pool.submit(echo, (vec![7; size].into(), value.clone())).unwrap().result().unwrap();
        assert_eq!((bytes.len(), back), (size, value.clone()));
    }
}

/// Those without one share frames, those with one have frames of their own between them.
fn shared_values_of_many_small_tasks_come_along_with_each(builder: Builder) {
    let pool = pool(builder, 2);
    let value = SharedBytes::new(pattern(5000)).unwrap();
    let futures: Vec<(Future<u8>, u8)> = (0..3000)
        .map(|n| match n % 5 {
            0 => (pool.submit(byte_at, (value.clone(), n)).unwrap(), value[n]),
            _ => (pool.submit(|n: usize| n as u8, (n,)).unwrap(), n as u8),
        })
        .collect();
    assert!(futures.iter().all(|(future, expected)| future.result().unwrap() == *expected));
    let back = pool.submit(|value: SharedBytes| value, (value.clone(),)).unwrap().result().unwrap();
    assert_eq!(back.as_ptr(), value.as_ptr());
}

fn a_map_of_distinct_shared_values_gives_each_to_its_item(builder: Builder) {
    let pool = pool(builder, 2);
    let values = (0..100u8).map(|number| SharedBytes::new([number; 300]).unwrap());
    let firsts = pool.batch().chunksize(20).map(|value: SharedBytes| value[299], values).unwrap();
    assert!((0..100).zip(firsts).all(|(number, first)| first.unwrap() == number));
}

static KEPT: Mutex<Vec<SharedBytes>> = Mutex::new(Vec::new());

/// Keeps a value for further tasks of this worker.
fn keep(value: SharedBytes) {
    KEPT.lock().unwrap().push(value);
}

/// What was kept of this length, whatever the argument is.
fn kept(_: SharedBytes, length: usize) -> SharedBytes {
    KEPT.lock().unwrap().iter().find(|value| value.len() == length).cloned().unwrap()
}

fn a_shared_value_of_an_earlier_task_cannot_be_returned(builder: Builder) {
    // The threads of this process share what is kept.
    let length = format!("{builder:?}").len();
    let pool = pool(builder, 1);
    let (first, second) = (SharedBytes::new(vec![1; length]).unwrap(), SharedBytes::new([2]).unwrap());
    pool.submit(keep, (first,)).unwrap().result().unwrap();
    let error = pool.submit(kept, (second, length)).unwrap().result().unwrap_err();
    let TaskError::Decode(error) = error else { panic!("{error}") };
    assert_eq!(error.what, Coded::ResultInCaller);
    assert!(error.to_string().contains("did not come with the task's arguments"), "{error}");
}

fn a_task_may_hand_a_shared_value_to_a_pool_of_its_own(builder: Builder) {
    let backend = if format!("{builder:?}").contains("InProcess") { "threads" } else { "processes" };
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(LENGTH)).unwrap();
    let inner = |value: SharedBytes, backend: String| {
        let builder = if backend == "threads" { crate::backends::in_process() } else { shared_memory() };
        let pool = builder.max_workers(1).build().unwrap();
        let back = pool.submit(|value: SharedBytes| value, (value.clone(),)).unwrap().result().unwrap();
        assert_eq!(back.as_ptr(), value.as_ptr());
        back
    };
    let back = pool.submit(inner, (value.clone(), backend.to_owned())).unwrap().result().unwrap();
    assert_eq!(back.as_ptr(), value.as_ptr());
}

fn a_second_attempt_reads_the_same_shared_value(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(5000)).unwrap();
    let task = |value: SharedBytes| {
        assert!(pool_core::task::attempt() > 0, "once");
        value
    };
    let policy = RetryPolicy::new(2).on_panic(true);
    let back = pool.task().retry(policy).submit(task, (value.clone(),)).unwrap().result().unwrap();
    assert_eq!(back.as_ptr(), value.as_ptr());
}

/// How many mappings and descriptors this process has of sealed memory of this length.
fn holds(length: usize) -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_length = |line: &&str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [range.0, range.1].map(|address| usize::from_str_radix(address, 16).unwrap());
        line.contains("/memfd:pool-frozen") && end - start == length.next_multiple_of(rustix::param::page_size())
    };
    let fds = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let is_sealed = |path: &std::path::Path| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("/memfd:pool-frozen"))
            && fs::metadata(path).is_ok_and(|status| status.len() == length as u64)
    };
    (maps.lines().filter(of_length).count(), fds.filter(|fd| is_sealed(&fd.path())).count())
}

fn each_worker_maps_a_shared_value_once_and_gets_it_once(builder: Builder) {
    let pool = pool(builder, 2);
    let value = SharedBytes::new(pattern(LENGTH)).unwrap();
    let task = |value: SharedBytes, position: usize| {
        assert_eq!(value[position], (position * 7 % 251) as u8);
        holds(value.len())
    };
    for chunksize in [1, 50] {
        let held = pool.batch().chunksize(chunksize).map(task, (vec![value.clone(); 500], 0..500)).unwrap();
        assert!(held.map(Result::unwrap).all(|held| held == (1, 1)));
    }
}

fn a_shared_value_outlives_the_worker_that_read_it(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(LENGTH)).unwrap();
    let pid = pool.submit(|_: SharedBytes| std::process::id(), (value.clone(),)).unwrap().result().unwrap();
    let lost = pool.submit(|_: SharedBytes| -> SharedBytes { std::process::abort() }, (value.clone(),)).unwrap();
    assert!(matches!(lost.result(), Err(TaskError::WorkerDied(_))));
    await_successor(&pool, pid);
    assert_eq!(pool.submit(byte_at, (value.clone(), 1000)).unwrap().result().unwrap(), value[1000]);
    assert_eq!(value[..], pattern(LENGTH)[..]);
}

fn a_shared_value_that_a_task_made_is_returned_by_no_worker(builder: Builder) {
    let made = pool(builder, 1).submit(|| SharedBytes::new([1]).unwrap(), ()).unwrap().result();
    let error = made.unwrap_err();
    assert!(matches!(&error, TaskError::Encode(error) if error.what == Coded::ResultInWorker), "{error}");
    assert!(error.to_string().ends_with("return Bytes instead"), "{error}");
}

fn a_worker_cannot_change_a_shared_value(builder: Builder) {
    let pool = pool(builder, 1);
    let value = SharedBytes::new(pattern(LENGTH)).unwrap();
    let task = |value: SharedBytes| {
        let fds = fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
        let fds = fds.filter(|fd| fs::metadata(fd).is_ok_and(|status| status.len() == value.len() as u64));
        let attempts = fds.map(|fd| {
            let file = fs::OpenOptions::new().write(true).open(fd).unwrap();
            let written = std::os::unix::fs::FileExt::write_at(&file, b"x", 0).is_ok();
            let cut = file.set_len(0).is_ok();
            (written, cut)
        });
        attempts.collect::<Vec<_>>()
    };
    assert_eq!(pool.submit(task, (value.clone(),)).unwrap().result().unwrap(), [(false, false)]);
    assert_eq!(value[..], pattern(LENGTH)[..]);
}

fn a_shared_value_is_no_memory_that_a_worker_is_replaced_for(builder: Builder) {
    let pool = pool(builder.soft_memory_limit(128 << 20), 1);
    let value = SharedBytes::new(vec![1; 192 << 20]).unwrap();
    let read = |value: SharedBytes| {
        assert!(value.iter().step_by(4096).all(|&byte| byte == 1));
        std::process::id()
    };
    let pids: Vec<u32> = (0..150).map(|_| pool.submit(read, (value.clone(),)).unwrap().result().unwrap()).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]));
}

fn workers_give_a_shared_value_back_when_its_last_owner_is_gone(builder: Builder) {
    let pool = pool(builder, 2);
    let value = SharedBytes::new(pattern(LENGTH)).unwrap();
    let future = pool.submit(|value: SharedBytes| (holds(value.len()), value), (value.clone(),)).unwrap();
    assert_eq!(future.result().unwrap().0, (1, 1));
    drop(value);
    // The result has it.
    assert_eq!(holds(LENGTH), (1, 1));
    drop(future);
    // The manager may have a hand on the future yet.
    until("this process to have given it back", || when(holds(LENGTH) == (0, 0), holds(LENGTH)));
    until("the workers to have given it back", || {
        let held: Vec<Future<_>> = (0..8).map(|_| pool.submit(holds, (LENGTH,)).unwrap()).collect();
        let held: Vec<_> = held.iter().map(|held| held.result().unwrap()).collect();
        when(held.iter().all(|&held| held == (0, 0)), held)
    });
}

fn without_a_descriptor_a_shared_value_is_not_made(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    let value = SharedBytes::new([3; 10]).unwrap();
    let files = take_all_descriptors();
    let error = SharedBytes::new([1; 100]).unwrap_err();
    let sent = pool.submit(byte_at, (value.clone(), 0)).map_err(TaskError::from).and_then(|future| future.result());
    drop(files);
    assert_eq!((error.size, error.source.raw_os_error()), (100, Some(EMFILE)));
    assert!(error.to_string().starts_with("no room for a shared value of 100 bytes: "), "{error}");
    assert!(matches!(&sent, Err(TaskError::NoMemory(no)) if no.errno == EMFILE), "{sent:?}");
    assert_eq!(pool.submit(byte_at, (value, 0)).unwrap().result().unwrap(), 3);
}

const EMFILE: i32 = 24;

fn shared_values_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    for round in 0..10u8 {
        let pool = pool(again(&builder), 2);
        let values: Vec<_> = (0..10u8).map(|n| SharedBytes::new(vec![n; 10_000]).unwrap()).collect();
        let futures: Vec<_> = values.iter().map(|value| pool.submit(byte_at, (value.clone(), 9)).unwrap()).collect();
        if round % 2 == 0 {
            assert!((0..10).zip(futures).all(|(n, future)| future.result().unwrap() == n));
        }
        if round % 3 == 0 {
            drop(values);
        }
    }
    before.assert_as_before();
}

#[test]
fn a_shared_value_is_sent_to_pools_only_and_as_an_argument() {
    let value = SharedBytes::new([1, 2, 3]).unwrap();
    let told = "a shared value can only be sent to a pool's workers, as an argument of a task";
    assert_eq!(serde_json::to_string(&value).unwrap_err().to_string(), told);
    let error = ProcessPoolExecutor::builder().initializer(|_: SharedBytes| (), (value.clone(),)).build().unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    let error = Process::new(|_: SharedBytes| (), (value,)).start().unwrap_err();
    assert!(error.to_string().contains(told), "{error}");
    let read = serde_json::from_str::<SharedBytes>("17").unwrap_err().to_string();
    assert!(read.starts_with("a shared value can only be read from"), "{read}");
}
