//! Shared buffers: handed to a task and back without a copy, to one owner at a time, and lost with the task that had them.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use pool_core::{Builder, Coded, RetryPolicy, SharedBuffer, SharedBufferError, SharedBytes, SubmitError, TaskError};
use serde::{Deserialize, Serialize};

use crate::backends::{again, pool};
use crate::descriptors::take_all_descriptors;
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a_buffer_comes_back_with_what_the_task_wrote,
    a_buffer_comes_back_once,
    buffers_travel_inside_of_other_values,
    an_empty_buffer_travels,
    a_buffer_that_goes_again_and_again_stays_the_same,
    a_buffer_is_refused_where_a_policy_says_to_try_again,
    a_buffer_of_an_earlier_task_cannot_be_returned,
    a_buffer_that_came_to_a_task_is_not_sent_on,
    a_buffer_is_not_taken_for_shared_bytes,
    a_cancelled_task_takes_its_buffer_along,
}

claims! { on_processes:
    a_worker_that_dies_with_a_buffer_takes_it_along_and_nothing_else,
    a_worker_maps_a_buffer_once_however_often_it_comes,
}

claims! { alone_on_processes:
    without_a_descriptor_a_buffer_is_not_made,
}

claims! { alone_on_each_backend:
    buffers_leave_nothing_behind,
}

/// A length that no other mapping of these tests has.
const LENGTH: usize = 7_654_321;

/// A task: adds 1 to every byte.
fn increment(buffer: SharedBuffer) -> SharedBuffer {
    buffer.update(0..buffer.len(), |bytes| bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1))).unwrap();
    buffer
}

fn filled(length: usize, byte: u8) -> SharedBuffer {
    let buffer = SharedBuffer::new(length).unwrap();
    buffer.update(0..length, |bytes| bytes.fill(byte)).unwrap();
    buffer
}

fn a_buffer_comes_back_with_what_the_task_wrote(builder: Builder) {
    let pool = pool(builder, 1);
    let buffer = filled(100_003, 6);
    buffer.write_at(100_000, b"abc").unwrap();
    buffer.words().unwrap()[1].store(u64::MAX, Ordering::Relaxed);
    let back = pool.submit(increment, (buffer,)).unwrap().result().unwrap();
    let bytes = back.to_vec().unwrap();
    assert_eq!(
        (&bytes[..8], &bytes[8..16], &bytes[100_000..]),
        ([7; 8].as_slice(), [0; 8].as_slice(), b"bcd".as_slice())
    );
    assert!(bytes[16..100_000].iter().all(|&byte| byte == 7));
}

fn a_buffer_comes_back_once(builder: Builder) {
    let pool = pool(builder, 1);
    let future = pool.submit(increment, (filled(10, 1),)).unwrap();
    let first = future.result().unwrap();
    let told = |error: TaskError| {
        assert!(matches!(&error, TaskError::Decode(error) if error.what == Coded::ResultInCaller), "{error}");
        error.to_string().contains("a SharedBuffer has come back already")
    };
    assert!(told(future.result().unwrap_err()));
    // Nor does an older result give it while it is away again.
    let again = pool.submit(increment, (first,)).unwrap();
    assert!(told(future.result().unwrap_err()));
    assert_eq!(again.result().unwrap().to_vec().unwrap(), [3; 10]);
}

#[derive(Serialize, Deserialize)]
struct Layers {
    name: String,
    layers: Vec<SharedBuffer>,
    mask: Option<SharedBytes>,
}

fn buffers_travel_inside_of_other_values(builder: Builder) {
    let pool = pool(builder, 2);
    let layers = (0..5).map(|byte| filled(1000, byte)).collect();
    let picture = Layers { name: "picture".to_owned(), layers, mask: Some(SharedBytes::new([9; 10]).unwrap()) };
    let reverse = |mut picture: Layers| {
        picture.layers.reverse();
        picture.layers = picture.layers.into_iter().map(increment).collect();
        Ok::<Layers, String>(picture)
    };
    let back = pool.submit(reverse, (picture,)).unwrap().result().unwrap().unwrap();
    let firsts: Vec<u8> = back.layers.iter().map(|layer| layer.to_vec().unwrap()[999]).collect();
    assert_eq!((back.name.as_str(), firsts, back.mask.unwrap()[0]), ("picture", vec![5, 4, 3, 2, 1], 9));
    let mapped = pool.batch().chunksize(3).map(increment, back.layers).unwrap();
    let firsts: Vec<u8> = mapped.map(|layer| layer.unwrap().to_vec().unwrap()[0]).collect();
    assert_eq!(firsts, [6, 5, 4, 3, 2]);
}

fn an_empty_buffer_travels(builder: Builder) {
    let pool = pool(builder, 1);
    let back = pool.submit(increment, (SharedBuffer::new(0).unwrap(),)).unwrap().result().unwrap();
    assert!(back.is_empty() && back.to_vec().unwrap().is_empty() && back.words().unwrap().is_empty());
    let error = back.write_at(0, b"x").unwrap_err();
    assert_eq!(error.to_string(), "1 bytes from 0 on of a shared buffer that has 0");
}

fn a_buffer_that_goes_again_and_again_stays_the_same(builder: Builder) {
    let pool = pool(builder, 2);
    let mut buffer = filled(5000, 0);
    let words = buffer.words().unwrap().as_ptr();
    for _ in 0..200 {
        buffer = pool.submit(increment, (buffer,)).unwrap().result().unwrap();
    }
    assert_eq!((buffer.words().unwrap().as_ptr(), buffer.to_vec().unwrap()), (words, vec![200; 5000]));
}

fn a_buffer_is_refused_where_a_policy_says_to_try_again(builder: Builder) {
    let pool = pool(builder, 1);
    let policy = RetryPolicy::new(2).on_panic(true);
    let error = pool.task().retry(policy.clone()).submit(increment, (filled(10, 1),)).unwrap_err();
    let SubmitError::Encode(error) = error else { panic!("{error}") };
    assert!(error.to_string().contains("a SharedBuffer cannot go to a task with a retry policy"), "{error}");
    let mapped = pool.batch().retry(policy).map(increment, [filled(10, 1)]).unwrap();
    assert!(mapped.map(Result::unwrap_err).all(|error| matches!(error, TaskError::Encode(_))));
}

static KEPT: Mutex<Vec<SharedBuffer>> = Mutex::new(Vec::new());

fn a_buffer_of_an_earlier_task_cannot_be_returned(builder: Builder) {
    // The threads of this process share what is kept.
    let length = format!("{builder:?}").len();
    let pool = pool(builder, 1);
    let keep = |buffer: SharedBuffer| KEPT.lock().unwrap().push(buffer);
    let kept = |_: SharedBuffer, length: usize| {
        let mut kept = KEPT.lock().unwrap();
        let position = kept.iter().position(|buffer| buffer.len() == length).unwrap();
        kept.swap_remove(position)
    };
    pool.submit(keep, (filled(length, 1),)).unwrap().result().unwrap();
    let error = pool.submit(kept, (filled(10, 2), length)).unwrap().result().unwrap_err();
    assert!(error.to_string().contains("did not come with the task's arguments"), "{error}");
}

fn a_buffer_that_came_to_a_task_is_not_sent_on(builder: Builder) {
    let pool = pool(builder, 1);
    let send_on = |buffer: SharedBuffer| {
        let inner = crate::backends::in_process().max_workers(1).build().unwrap();
        inner.submit(increment, (buffer,)).map(drop).unwrap_err().to_string()
    };
    let told = pool.submit(send_on, (filled(10, 1),)).unwrap().result().unwrap();
    assert!(told.contains("a SharedBuffer that came to a task can only be returned by it"), "{told}");
}

fn a_buffer_is_not_taken_for_shared_bytes(builder: Builder) {
    let pool = pool(builder, 1);
    let swap = |_: Typed<SharedBuffer>| ();
    let error = pool.submit(swap, (Typed::Confused(SharedBytes::new([1]).unwrap()),)).unwrap().result().unwrap_err();
    assert!(matches!(&error, TaskError::Decode(error) if error.what == Coded::ArgumentsInWorker), "{error}");
    assert!(error.to_string().contains("a shared value that is no SharedBuffer"), "{error}");
}

/// What is written as shared bytes and a number, and read as a `T`.
enum Typed<T> {
    Confused(SharedBytes),
    Read(T),
}

impl<T> Serialize for Typed<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Confused(bytes) => (bytes, 1u64).serialize(serializer),
            Self::Read(_) => Err(serde::ser::Error::custom("it was read")),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Typed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Read)
    }
}

fn a_cancelled_task_takes_its_buffer_along(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let busy = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let future = pool.submit(increment, (filled(LENGTH, 1),)).unwrap();
    assert!(future.cancel());
    drop(held);
    assert_eq!(busy.result().unwrap(), 0);
    assert!(matches!(future.result(), Err(TaskError::Cancelled)));
    assert_eq!(pool.submit(increment, (filled(3, 1),)).unwrap().result().unwrap().to_vec().unwrap(), [2; 3]);
}

/// How many mappings this process has of buffers of this length.
fn mapped(length: usize) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let of_length = |line: &&str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [range.0, range.1].map(|address| usize::from_str_radix(address, 16).unwrap());
        line.contains("/memfd:pool-buffer") && end - start == length.next_multiple_of(rustix::param::page_size())
    };
    maps.lines().filter(of_length).count()
}

fn a_worker_that_dies_with_a_buffer_takes_it_along_and_nothing_else(builder: Builder) {
    let pool = pool(builder, 1);
    let kept = filled(10, 5);
    let die = |buffer: SharedBuffer| -> SharedBuffer {
        buffer.write_at(0, b"half").unwrap();
        std::process::abort()
    };
    let lost = pool.submit(die, (filled(LENGTH, 1),)).unwrap();
    assert!(matches!(lost.result(), Err(TaskError::WorkerDied(_))));
    // The link to the dead worker is what held it last.
    until("the lost buffer's memory to be given back", || when(mapped(LENGTH) == 0, mapped(LENGTH)));
    assert_eq!(pool.submit(increment, (kept,)).unwrap().result().unwrap().to_vec().unwrap(), [6; 10]);
}

fn a_worker_maps_a_buffer_once_however_often_it_comes(builder: Builder) {
    const LENGTH: usize = 6_543_210;
    let pool = pool(builder, 1);
    let mut buffer = filled(LENGTH, 1);
    for _ in 0..50 {
        let task = |buffer: SharedBuffer| (mapped(buffer.len()), buffer);
        let (count, back) = pool.submit(task, (buffer,)).unwrap().result().unwrap();
        assert_eq!(count, 1);
        buffer = back;
    }
    drop(buffer);
    until("the worker to have given it back", || {
        let count = pool.submit(mapped, (LENGTH,)).unwrap().result().unwrap();
        when(count == 0, count)
    });
}

fn without_a_descriptor_a_buffer_is_not_made(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    let files = take_all_descriptors();
    let error = SharedBuffer::new(100).unwrap_err();
    drop(files);
    let SharedBufferError::NoMemory { size: 100, source } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(24));
    // More than any machine has, which is not tried.
    let error = SharedBuffer::new(usize::MAX).unwrap_err();
    assert!(matches!(error, SharedBufferError::NoMemory { .. }), "{error}");
}

fn buffers_leave_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    for round in 0..10u8 {
        let pool = pool(again(&builder), 2);
        let futures: Vec<_> = (0..10).map(|n| pool.submit(increment, (filled(10_000, n),)).unwrap()).collect();
        if round % 2 == 0 {
            assert!((1..11).zip(futures).all(|(n, future)| future.result().unwrap().to_vec().unwrap()[0] == n));
        }
    }
    before.assert_as_before();
}
