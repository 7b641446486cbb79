//! The worker against a far end that is a list of frames.

mod fixed;

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::*;
use crate::error::{Coded, Panic, TaskError};
use crate::task::{Arguments, Initializer, Task};
use crate::wire::{BatchWriter, PackWriter, encode_single, read_reply};

/// What a test sees of a worker.
#[derive(Default)]
struct Seen {
    said: Vec<Vec<u8>>,
    replies: Vec<(u32, Vec<u8>)>,
}

/// A link that holds some frames and is closed behind them.
struct Frames<'a> {
    boot: Vec<u8>,
    frames: VecDeque<(Vec<u8>, std::ops::Range<u32>)>,
    seen: &'a Mutex<Seen>,
}

struct OneFrame<'a> {
    request: Vec<u8>,
    window: std::ops::Range<u32>,
    claimed: Option<u32>,
    seen: &'a Mutex<Seen>,
}

impl FarEnd for Frames<'_> {
    fn boot(&self) -> &[u8] {
        &self.boot
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seen.lock().unwrap().said.push(bytes.to_vec());
        Ok(())
    }

    fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job)) {
        while let Some((request, window)) = self.frames.pop_front() {
            work(&mut OneFrame { request, window, claimed: None, seen: self.seen });
        }
    }
}

impl Job for OneFrame<'_> {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn claim(&mut self) -> Option<u32> {
        assert_eq!(self.claimed, None, "an item is published before the next is claimed");
        self.claimed = self.window.next();
        self.claimed
    }

    fn publish(&mut self, outcome: &[u8]) {
        let item = self.claimed.take().expect("only what was claimed is published");
        self.seen.lock().unwrap().replies.push((item, outcome.to_vec()));
    }
}

fn boot(initializer: Option<Vec<u8>>) -> Vec<u8> {
    let name = "SpawnProcess-7".to_owned();
    let boot = Boot { name, parent_name: "MainProcess".to_owned(), parent_pid: 3, initializer, ..Boot::default() };
    boot.encode(task::fingerprint()).unwrap()
}

/// Runs a worker on a thread of its own, as a backend does.
fn run_worker(boot: Vec<u8>, frames: Vec<(Vec<u8>, std::ops::Range<u32>)>) -> (Vec<Greeting>, Vec<(u32, Vec<u8>)>) {
    let seen = Mutex::new(Seen::default());
    std::thread::scope(|scope| {
        let far = Frames { boot, frames: frames.into(), seen: &seen };
        std::thread::Builder::new().spawn_scoped(scope, || work_at(&mut { far }, Place::Thread)).unwrap();
    });
    let Seen { said, replies } = seen.into_inner().unwrap();
    (said.iter().map(|bytes| Greeting::decode(bytes).unwrap()).collect(), replies)
}

fn request<F: Task<Args>, Args: Arguments>(_: F, args: Args) -> Vec<u8> {
    encode_single(task::id_of::<F, Args>(), &args, 0).unwrap()
}

fn id_of_value<F: Task<Args>, Args: Arguments>(_: F) -> TaskId {
    task::id_of::<F, Args>()
}

fn initializer<F: Initializer<Args>, Args: Arguments>(_: F, args: Args) -> Option<Vec<u8>> {
    Some(encode_single(task::initializer_id_of::<F, Args>(), &args, 0).unwrap())
}

fn value<T: DeserializeOwned>(reply: &[u8]) -> Result<T, TaskError> {
    let start = read_reply("work", 9, reply)?;
    Ok(task::decode(&reply[start..]).unwrap())
}

/// The outcome of one call in a worker.
fn outcome<F: Task<Args>, Args: Arguments>(function: F, args: Args) -> Result<F::Output, TaskError> {
    let (greetings, replies) = run_worker(boot(None), vec![(request(function, args), 0..1)]);
    assert_eq!(greetings, [Greeting::Ready { fingerprint: task::fingerprint() }]);
    let [(0, reply)] = &replies[..] else { panic!("{} replies", replies.len()) };
    value(reply)
}

fn panic_of<T: std::fmt::Debug>(outcome: Result<T, TaskError>) -> Panic {
    match outcome {
        Err(TaskError::Panicked(panic)) => (*panic).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a001_a_call_gives_what_the_function_returns() {
    assert_eq!(outcome(u32::pow, (2, 8)).unwrap(), 256);
    outcome(|| (), ()).unwrap();
    let sum = |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8| {
        [a, b, c, d, e, f, g, h, i, j, k, l].iter().map(|&part| u32::from(part)).sum::<u32>()
    };
    assert_eq!(outcome(sum, (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)).unwrap(), 78);
}

#[test]
fn a_result_of_the_task_nests() {
    let parse = |text: String| text.parse::<u8>().map_err(|error| RemoteError::new(&error));
    assert_eq!(outcome(parse, ("7".to_owned(),)).unwrap(), Ok(7));
    let error = outcome(parse, ("x".to_owned(),)).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "invalid digit found in string");
}

#[test]
fn a059_a_panic_says_what_and_where_and_on_which_thread() {
    let panic = panic_of(outcome(|number: u32| -> u32 { panic!("no {number}") }, (7,)));
    assert_eq!(panic.message, "no 7");
    assert_eq!((panic.task.as_str(), panic.pid, panic.thread.as_str()), ("work", 9, "MainThread"));
    let location = panic.location.unwrap();
    assert!(location.starts_with(file!()), "{location}");
    assert_eq!(location.split(':').count(), 3, "{location}");
}

#[test]
fn what_a_panic_says_is_cut_and_escaped_and_keeps_its_place() {
    let panic = panic_of(outcome(|| -> () { panic!("\x1b[2J\n{}", "x".repeat(1 << 20)) }, ()));
    assert!(panic.message.starts_with("\\u{1b}[2J\nx") && panic.message.len() <= 64 << 10, "{}", panic.message.len());
    assert!(panic.location.is_some(), "it is the panic that was heard");
}

#[test]
fn a087_an_error_in_a_task_is_its_result_and_the_next_task_runs() {
    let frames = vec![(request(|| -> u8 { panic!("first") }, ()), 0..1), (request(|| 2_u8, ()), 0..1)];
    let (_, replies) = run_worker(boot(None), frames);
    assert_eq!(panic_of(value::<u8>(&replies[0].1)).message, "first");
    assert_eq!(value::<u8>(&replies[1].1).unwrap(), 2);
}

#[test]
fn a_payload_that_is_no_string_is_said_to_be_none() {
    let panic = panic_of(outcome(|| -> () { std::panic::panic_any(7_u8) }, ()));
    assert_eq!(panic.message, "a payload that is no string");
    assert!(panic.location.is_some());
}

#[test]
fn a_payload_that_panics_when_dropped_costs_its_own_task_only() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }
    let frames = vec![(request(|| -> () { std::panic::panic_any(Bomb) }, ()), 0..1), (request(|| 2_u8, ()), 0..1)];
    let (_, replies) = run_worker(boot(None), frames);
    panic_of(value::<()>(&replies[0].1));
    assert_eq!(value::<u8>(&replies[1].1).unwrap(), 2);
}

#[test]
fn a_panic_that_the_task_catches_is_not_its_result() {
    let caught = || std::panic::catch_unwind(|| panic!("inside")).is_err();
    assert!(outcome(caught, ()).unwrap());
}

#[test]
fn the_panic_that_ends_the_task_is_reported_and_not_one_that_it_caught_before() {
    let panic = panic_of(outcome(
        || -> u8 {
            let _caught = std::panic::catch_unwind(|| panic!("first"));
            panic!("second")
        },
        (),
    ));
    assert_eq!(panic.message, "second");
}

#[test]
fn a_panic_brought_over_from_another_thread_keeps_its_message() {
    let panic = panic_of(outcome(
        || {
            let thread =
                std::thread::Builder::new().spawn(|| -> () { std::panic::resume_unwind(Box::new("over there")) });
            if let Err(payload) = thread.unwrap().join() {
                std::panic::resume_unwind(payload);
            }
        },
        (),
    ));
    assert_eq!((panic.message.as_str(), panic.location), ("over there", None));
}

/// Counts its drops, and what a drop is seen to come after.
#[derive(Serialize, Deserialize)]
struct Counted(u8);

static DROPS: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a061_arguments_and_results_are_dropped_before_the_next_item_begins() {
    let work = |_: Counted| (DROPS.load(Ordering::Relaxed), Counted(0));
    let mut batch = None;
    let items: Vec<_> = (0..3).map(|number| (Counted(number),)).collect();
    for args in &items {
        batch_of(work, args, &mut batch);
    }
    let (_, replies) = run_worker(boot(None), vec![(batch.unwrap().finish(), 0..3)]);
    let seen: Vec<usize> = replies.iter().map(|(_, reply)| value::<(usize, u8)>(reply).unwrap().0).collect();
    assert_eq!(seen, [0, 2, 4], "each item sees the two drops of every item before it");
}

fn batch_of<F: Task<Args>, Args: Arguments>(_: F, args: &Args, batch: &mut Option<BatchWriter>) {
    let batch = batch.get_or_insert_with(|| BatchWriter::new(task::id_of::<F, Args>(), 0).unwrap());
    batch.push(args).unwrap();
}

#[test]
fn only_the_window_of_a_batch_is_run_and_items_keep_their_numbers() {
    let mut batch = None;
    (0..10_u32).for_each(|number| batch_of(|number: u32| number * 2, &(number,), &mut batch));
    let (_, replies) = run_worker(boot(None), vec![(batch.unwrap().finish(), 4..7)]);
    let seen: Vec<(u32, u32)> = replies.iter().map(|(item, reply)| (*item, value(reply).unwrap())).collect();
    assert_eq!(seen, [(4, 8), (5, 10), (6, 12)]);
}

#[test]
fn calls_in_a_row_come_each_to_its_own_end() {
    fn moody(number: u8, trouble: Option<Awkward>) -> (u8, Option<Awkward>) {
        assert!(number != 2, "at 2");
        if number == 4 {
            std::panic::catch_unwind(|| panic!("at 4")).unwrap_err();
        }
        (number, trouble.or((number == 6).then_some(Awkward(Trouble::EncodePanics))))
    }
    let mut batch = BatchWriter::new(id_of_value(moody), 0).unwrap();
    for number in 0..10_u8 {
        batch.push(&(number, (number == 8).then_some(Trouble::DecodePanics))).unwrap();
    }
    let (_, replies) = run_worker(boot(None), vec![(batch.finish(), 0..10)]);
    let ends: Vec<String> = replies
        .iter()
        .map(|(item, reply)| match value::<(u8, Option<Trouble>)>(reply) {
            Ok((number, None)) => format!("{item}: {number}"),
            Err(TaskError::Panicked(panic)) => format!("{item}: {}", panic.message),
            Err(TaskError::Encode(_)) => format!("{item}: unencoded"),
            Err(TaskError::Decode(_)) => format!("{item}: undecoded"),
            other => panic!("{item}: {other:?}"),
        })
        .collect();
    let expected = ["0: 0", "1: 1", "2: at 2", "3: 3", "4: 4", "5: 5", "6: unencoded", "7: 7", "8: undecoded", "9: 9"];
    assert_eq!(ends, expected);
}

#[test]
fn calls_of_several_tasks_in_a_pack_are_run_in_their_order() {
    let (one, other) = (|n: u8| n, |n: u8| u32::from(n) + 1000);
    let mut pack = PackWriter::default();
    for number in 0..9_u8 {
        pack.push(&if number % 4 < 2 { request(one, (number,)) } else { request(other, (number,)) });
    }
    pack.push(&encode_single(TaskId::from_wire(u32::MAX - 1), &(), 0).unwrap());
    pack.push(&request(one, (10,)));
    let (_, replies) = run_worker(boot(None), vec![(pack.finish(), 0..11)]);
    for (item, reply) in &replies {
        match item {
            9 => assert!(matches!(value::<()>(reply), Err(TaskError::NotFound(_)))),
            item if item % 4 < 2 || *item == 10 => assert_eq!(u32::from(value::<u8>(reply).unwrap()), *item),
            item => assert_eq!(value::<u32>(reply).unwrap(), item + 1000),
        }
    }
    assert_eq!(replies.iter().map(|(item, _)| *item).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
}

/// A job whose publication fails the second time.
struct Breaking {
    request: Vec<u8>,
    published: u32,
}

impl Job for Breaking {
    fn request(&self) -> &[u8] {
        &self.request
    }

    fn claim(&mut self) -> Option<u32> {
        Some(self.published)
    }

    fn publish(&mut self, _outcome: &[u8]) {
        if self.published == 1 {
            std::panic::resume_unwind(Box::new("the pool's own"));
        }
        self.published += 1;
    }
}

#[test]
fn a_panic_of_the_pools_own_between_two_calls_is_not_taken_for_a_tasks() {
    let mut batch = None;
    (0..3_u32).for_each(|number| batch_of(|number: u32| number, &(number,), &mut batch));
    let mut job = Breaking { request: batch.unwrap().finish(), published: 0 };
    let work = std::panic::AssertUnwindSafe(|| Desk::new().work(&mut job));
    let payload = std::panic::catch_unwind(work).unwrap_err();
    assert_eq!((payload.downcast_ref(), job.published), (Some(&"the pool's own"), 1));
}

/// Fails on one side of its journey.
#[derive(Debug)]
struct Awkward(Trouble);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Trouble {
    EncodeFails,
    EncodePanics,
    DecodeFails,
    DecodePanics,
}

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Trouble::EncodeFails => Err(serde::ser::Error::custom("no")),
            Trouble::EncodePanics => panic!("in Serialize"),
            trouble => trouble.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Trouble::deserialize(deserializer)? {
            Trouble::DecodeFails => Err(serde::de::Error::custom("no")),
            Trouble::DecodePanics => panic!("in Deserialize"),
            trouble => Ok(Self(trouble)),
        }
    }
}

#[test]
fn a083_arguments_that_cannot_be_decoded_fail_that_task_only() {
    for (trouble, reason) in [
        (Trouble::DecodeFails, "its Deserialize returned an error: no"),
        (Trouble::DecodePanics, "its Deserialize panicked at "),
    ] {
        let frames = vec![(request(|_: Awkward| (), (Awkward(trouble),)), 0..1), (request(|| 2_u8, ()), 0..1)];
        let (_, replies) = run_worker(boot(None), frames);
        let Err(TaskError::Decode(codec)) = value::<()>(&replies[0].1) else { panic!("{trouble:?}") };
        assert_eq!(codec.what, Coded::ArgumentsInWorker);
        assert!(codec.type_name.contains("Awkward"), "{codec}");
        assert!(codec.reason.starts_with(reason), "{codec}");
        assert_eq!(value::<u8>(&replies[1].1).unwrap(), 2);
    }
}

#[test]
fn a090_a_result_that_cannot_be_encoded_fails_that_task_only() {
    for (trouble, reason) in [
        (Trouble::EncodeFails, "its Serialize returned an error: no"),
        (Trouble::EncodePanics, "its Serialize panicked at "),
    ] {
        let frames = vec![(request(Awkward, (trouble,)), 0..1), (request(|| 2_u8, ()), 0..1)];
        let (_, replies) = run_worker(boot(None), frames);
        let Err(TaskError::Encode(codec)) = value::<()>(&replies[0].1) else { panic!("{trouble:?}") };
        assert_eq!(codec.what, Coded::ResultInWorker);
        assert!(codec.reason.starts_with(reason), "{codec}");
        assert_eq!(value::<u8>(&replies[1].1).unwrap(), 2);
    }
}

#[test]
fn an_unknown_task_is_not_found_and_a_malformed_request_is_undecodable() {
    let unknown = encode_single(TaskId::from_wire(u32::MAX - 1), &(), 0).unwrap();
    let (_, replies) = run_worker(boot(None), vec![(unknown, 0..1), (vec![], 0..1), (request(|| 2_u8, ()), 1..2)]);
    assert!(matches!(value::<()>(&replies[0].1), Err(TaskError::NotFound(missing)) if missing.pid == 9));
    assert!(matches!(value::<()>(&replies[1].1), Err(TaskError::Decode(_))));
    assert!(matches!(value::<()>(&replies[2].1), Err(TaskError::Decode(_))), "the item does not exist");
}

#[test]
fn another_build_runs_nothing_and_says_so() {
    let boot = Boot { initializer: initializer(|| -> () { panic!("must not run") }, ()), ..Boot::default() };
    for bytes in [boot.encode(task::fingerprint() ^ 1).unwrap(), vec![], vec![0; 12]] {
        let (greetings, replies) = run_worker(bytes, vec![(request(|| 2_u8, ()), 0..1)]);
        assert_eq!((greetings.as_slice(), replies.len()), (&[Greeting::OtherBuild][..], 0));
    }
}

#[test]
fn a117_the_initializer_runs_before_the_first_task() {
    thread_local!(static PREPARED: RefCell<String> = const { RefCell::new(String::new()) });
    let prepare = |text: String| PREPARED.set(text);
    let boot = boot(initializer(prepare, ("ready".to_owned(),)));
    let (_, replies) = run_worker(boot, vec![(request(|| PREPARED.with_borrow(Clone::clone), ()), 0..1)]);
    assert_eq!(value::<String>(&replies[0].1).unwrap(), "ready");
}

#[test]
fn a118_a_failing_initializer_is_said_and_no_task_runs() {
    let fails = || Err::<(), _>("x".parse::<u8>().unwrap_err());
    let boxed = || Err::<(), Box<dyn std::error::Error>>("a text".into());
    let cases = [
        (initializer(fails, ()), "invalid digit found in string"),
        (initializer(boxed, ()), "a text"),
        (initializer(|| -> () { panic!("in it") }, ()), "panicked at pool-core/src/worker/tests.rs"),
        (initializer(|_: Awkward| (), (Awkward(Trouble::DecodeFails),)), "its arguments could not be decoded"),
        (Some(encode_single(TaskId::from_wire(u32::MAX), &(), 0).unwrap()), "it could not be called"),
    ];
    for (initializer, text) in cases {
        let (greetings, replies) = run_worker(boot(initializer), vec![(request(|| 2_u8, ()), 0..1)]);
        let [Greeting::InitializerFailed(error)] = &greetings[..] else { panic!("{greetings:?}") };
        assert!(error.to_string().starts_with(text), "{error}");
        assert!(replies.is_empty());
    }
}

#[test]
fn workers_that_are_threads_have_names_and_panics_of_their_own() {
    let name = || identity().map(|identity| (identity.name, identity.parent_name, identity.parent_pid));
    let own = ("SpawnProcess-7".to_owned(), "MainProcess".to_owned(), 3);
    std::thread::scope(|scope| {
        for number in 0..4_u32 {
            std::thread::Builder::new()
                .spawn_scoped(scope, move || {
                    let panic = panic_of(outcome(|number: u32| -> () { panic!("{number}") }, (number,)));
                    assert_eq!(panic.message, number.to_string());
                })
                .unwrap();
        }
    });
    assert_eq!(outcome(name, ()).unwrap(), Some(own));
    assert_eq!(identity(), None);
}

#[test]
fn room_for_a_large_reply_is_given_back() {
    let mut desk = Desk::new();
    let seen = Mutex::new(Seen::default());
    for size in [10_usize, ROOM_KEPT + 1] {
        let request = request(|size: usize| vec![0_u8; size], (size,));
        desk.work(&mut OneFrame { request, window: 0..1, claimed: None, seen: &seen });
        assert!(desk.reply.capacity() <= ROOM_KEPT);
    }
    assert_eq!(seen.into_inner().unwrap().replies.len(), 2);
}
