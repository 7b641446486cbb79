//! One cell of the crash table with procspawn: the Rust twin of `peers/crash_cell.py`, which tells the protocol.
//!
//! It gives procspawn its best: handles are joined by a thread each, so that the order of joins does not matter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use procspawn::{JoinHandle, Pool};
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};
use serde::{Deserialize, Serialize, Serializer, ser};

/// What a panic of a task says.
const TOLD: &str = "told to";
/// How long the pool has to answer each question.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    // With backtraces, which it captures by default, its panics do not arrive.
    procspawn::ProcConfig::new().capture_backtraces(false).init();
    let row = std::env::args().nth(1).expect("usage: procspawn_cell ROW");
    let pool = Pool::new(2).expect("a pool of two");
    let ready = [1, 2].map(|number| joined(pool.spawn(number, slow_square)));
    ready.iter().for_each(|ready| drop(ready.recv().expect("a joining thread answers")));
    tell("ready", "done", "");
    let neighbour = joined(pool.spawn(3, slow_square));
    let own = catch_unwind(AssertUnwindSafe(|| joined(pool.spawn(Order { row }, perform))));
    let behind = catch_unwind(AssertUnwindSafe(|| joined(pool.spawn(4, square))));
    ask("own", own.map_err(text_of));
    ask("neighbour", Ok(neighbour));
    ask("behind", behind.map_err(text_of));
    ask("next", catch_unwind(AssertUnwindSafe(|| joined(pool.spawn(5, square)))).map_err(text_of));
    pool.shutdown();
    tell("end", "done", "");
}

type Answered = Receiver<Result<String, String>>;

fn joined<T: Serialize + for<'de> Deserialize<'de> + ToString + Send + 'static>(handle: JoinHandle<T>) -> Answered {
    let (send, receive) = mpsc::channel();
    let join = move || {
        let end = handle.join().map(|value| value.to_string()).map_err(|error| format!("{error}: {error:?}"));
        // Nobody listens any more to what comes late.
        let _ = send.send(end);
    };
    std::thread::Builder::new().spawn(join).expect("a thread to join with");
    receive
}

fn ask(name: &str, submitted: Result<Answered, String>) {
    let answered = match submitted {
        Ok(answered) => answered,
        Err(error) => return tell(name, "error", &error),
    };
    match answered.recv_timeout(PATIENCE) {
        Ok(Ok(value)) => tell(name, "value", &value),
        Ok(Err(error)) => tell(name, "error", &error),
        Err(mpsc::RecvTimeoutError::Disconnected) => tell(name, "error", "the join panicked"),
        Err(mpsc::RecvTimeoutError::Timeout) => tell(name, "late", ""),
    }
}

fn text_of(payload: Box<dyn std::any::Any + Send>) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a payload that is no string").to_owned()
}

/// A JSON list of strings: errors are short enough to be told whole.
fn tell(what: &str, how: &str, text: &str) {
    let text: String = text.chars().flat_map(char::escape_default).filter(|&character| character != '\'').collect();
    let text = text.replace("\\u{", "u{");
    println!("[\"{what}\", \"{how}\", \"{text}\", \"{text}\"]");
}

fn square(number: u64) -> u64 {
    number * number
}

fn slow_square(number: u64) -> u64 {
    std::thread::park_timeout(Duration::from_millis(500));
    number * number
}

/// A row's name, which fails on its way where the row says so.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Order {
    row: String,
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.row != "panics in Serialize of its arguments", "{TOLD}");
        self.row.serialize(serializer)
    }
}

impl TryFrom<String> for Order {
    type Error = &'static str;

    fn try_from(row: String) -> Result<Self, Self::Error> {
        match &*row {
            "gets arguments that the worker cannot decode" => Err(TOLD),
            "panics in Deserialize of its arguments" => panic!("{TOLD}"),
            _ => Ok(Self { row }),
        }
    }
}

/// A task's answer, which does the same.
#[derive(Deserialize)]
#[serde(try_from = "(String, u64)")]
struct Answer {
    row: String,
    value: u64,
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.row {
            "returns what cannot be encoded" => Err(ser::Error::custom(TOLD)),
            "panics in Serialize of its result" => panic!("{TOLD}"),
            _ => (&self.row, self.value).serialize(serializer),
        }
    }
}

impl TryFrom<(String, u64)> for Answer {
    type Error = &'static str;

    fn try_from((row, value): (String, u64)) -> Result<Self, Self::Error> {
        match &*row {
            "returns what the parent cannot decode" => Err(TOLD),
            "panics in Deserialize of its result" => panic!("{TOLD}"),
            _ => Ok(Self { row, value }),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

fn perform(order: Order) -> Answer {
    let mut value = 1;
    match &*order.row {
        "exits with 0" => std::process::exit(0),
        "exits with 1" => std::process::exit(1),
        "aborts" => std::process::abort(),
        "segfaults" => segfault(),
        "is SIGKILLed" => kill_process(getpid(), Signal::KILL).expect("a process may kill itself"),
        "panics" => panic!("{TOLD}"),
        "panics with a payload that is no string" => std::panic::panic_any(7_u32),
        "overflows its stack" => value = overflow(value),
        "exhausts its memory limit" => exhaust_memory(),
        "leaves a running thread" => leave_thread(),
        "leaves a grandchild" => value = leave_grandchild(),
        "closes fds 0 to 9" => close_descriptors(),
        "blocks SIGTERM" => block_sigterm(),
        _ => {}
    }
    Answer { row: order.row, value }
}

fn segfault() {
    // SAFETY: there is none: the process is to end here.
    unsafe { std::hint::black_box(std::ptr::null_mut::<u32>()).write_volatile(1) }
}

fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1) + room[511] }
}

fn exhaust_memory() {
    let text = std::fs::read_to_string("/proc/self/statm").expect("there is /proc");
    let pages: u64 = text.split(' ').next().and_then(|pages| pages.parse().ok()).expect("it begins with a number");
    let limit = pages * 4096 + (64 << 20);
    let limit = Rlimit { current: Some(limit), maximum: getrlimit(Resource::As).maximum };
    setrlimit(Resource::As, limit).expect("a limit may be lowered");
    let mut held = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn leave_thread() {
    std::thread::Builder::new()
        .spawn(|| {
            loop {
                std::thread::park();
            }
        })
        .expect("one more thread is affordable");
}

#[expect(clippy::disallowed_methods, reason = "the grandchild is what the row is about")]
fn leave_grandchild() -> u64 {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("there is a sleep").id().into()
}

fn close_descriptors() {
    for number in 0..10 {
        // SAFETY: the system checks the number; that others may use it is what the row is about.
        unsafe { libc::close(number) };
    }
}

fn block_sigterm() {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` makes the set whole before anything reads it, and the old mask is not asked for.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}
