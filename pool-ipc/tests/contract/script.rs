//! What workers do in these tests: each request begins with a line that says it.
//!
//! The same function runs in worker processes, which are this very test binary and are taken over before `main`, and in
//! worker threads. See [`act`] for the words.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use pool_ipc::{Assignment, Entry, FarEnd, Job, MAX_SAID};
use rustix::process::{Pid, Resource, Rlimit, setpgid, setrlimit};

use crate::{attacks, gate, isolated};

/// The exit code of a worker that could not come up.
pub(crate) const NOT_ENTERED: i32 = 90;

/// Runs before `main` in every process of this test binary.
#[used]
// SAFETY: the section holds pointers to functions that the loader calls one by one before `main`; this is one.
#[unsafe(link_section = ".init_array")]
static HOOK: extern "C" fn() = hook;

extern "C" fn hook() {
    if pool_ipc::awaiting().is_none() {
        return;
    }
    // SAFETY: a watchdog: whatever goes wrong, no worker of a test stays for ever.
    unsafe { libc::alarm(240) };
    match pool_ipc::enter() {
        Ok(Entry::Worker(far)) => script(far),
        Ok(Entry::Process(_)) => std::process::exit(NOT_ENTERED),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "a worker of a test could not come up: {error}");
            std::process::exit(NOT_ENTERED);
        }
    }
    std::process::exit(0);
}

/// The worker: greets as its boot bytes say, then runs what comes.
pub(crate) fn script(mut far: Box<dyn FarEnd>) {
    let boot = far.boot().to_vec();
    match text(&boot).split_once(' ').unwrap_or((text(&boot), "")) {
        ("isolated", name) => return isolated::run_here(&mut *far, name),
        ("greet", times) => {
            for number in 0..times.parse().expect("a number") {
                far.say(format!("greeting {number}").as_bytes()).expect("the parent lives");
            }
        }
        ("boast", _) => {
            far.say(&[b'x'; MAX_SAID]).expect("that is as long as it may be");
            let error = far.say(&[b'x'; MAX_SAID + 1]).expect_err("that is too long");
            far.say(error.to_string().as_bytes()).expect("the parent lives");
        }
        ("tell-boot", _) => far.say(&boot).expect("the parent lives"),
        _ => {}
    }
    let (mut begun, assignment) = (0, far.assignment());
    far.serve(&mut |job| run(job, &mut begun, &*assignment));
}

/// One frame.
fn run(job: &mut dyn Job, begun: &mut u32, assignment: &dyn Assignment) {
    let mut at_most = u32::MAX;
    match words(job.request()).as_slice() {
        ["begin-at-most", number] => at_most = number.parse().expect("a number"),
        ["leave-unpublished"] => {
            job.claim();
            return;
        }
        _ => {}
    }
    let before = *begun;
    while *begun - before < at_most
        && let Some(item) = job.claim()
    {
        let so_far = *begun;
        *begun += 1;
        let outcome = act(item, job.request(), so_far, assignment);
        pool_ipc::forget_soft_stop();
        job.publish(&outcome);
    }
}

/// One item: does what the request's first line says, and gives the outcome.
fn act(item: u32, request: &[u8], begun: u32, assignment: &dyn Assignment) -> Vec<u8> {
    match words(request).as_slice() {
        ["stop", gate] => gate::stop_at(gate, item),
        ["stop-at", at, gate] if *at == item.to_string() => gate::stop_at(gate, item),
        ["stop-and-die-at", at, gate, how] if *at == item.to_string() => {
            gate::stop_at(gate, item);
            die(how);
        }
        ["die-at", at, how] if *at == item.to_string() => die(how),
        ["tell-terms"] => {
            let left = assignment.stops_at().map(|stop| stop.saturating_duration_since(Instant::now()).as_secs());
            return format!("{} {left:?}", assignment.attempt()).into_bytes();
        }
        ["until-cancelled", gate] => {
            assert!(!pool_ipc::heed_soft_stop() && !assignment.is_cancelled());
            gate::stop_at(gate, item);
            while !assignment.is_cancelled() && !pool_ipc::heed_soft_stop() {
                std::thread::yield_now();
            }
        }
        ["thread"] => return rustix::thread::gettid().as_raw_nonzero().get().to_le_bytes().to_vec(),
        // How many items this worker has begun before this one.
        ["begun"] => return begun.to_le_bytes().to_vec(),
        ["fill", size] => return pattern(item, size.parse().expect("a number")),
        ["sum"] => return sum(data(request)).to_le_bytes().to_vec(),
        ["odd-blocks", byte] => return odd_blocks(byte.parse().expect("a number"), data(request)),
        // For the model: the item, the data's sum, and as many bytes as were asked for.
        ["sum-and-fill", size] => {
            let size = size.parse().expect("a number");
            return [&item.to_le_bytes(), sum(data(request)).to_le_bytes().as_slice(), &pattern(item, size)].concat();
        }
        ["give-up-descriptors"] => {
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            setrlimit(Resource::Nofile, none).expect("limits may be lowered");
        }
        ["attack", how] => return attacks::attack(how),
        ["leave-group"] => {
            let mut other = attacks::start_in_a_group_of_its_own();
            setpgid(None, Some(Pid::from_child(&other))).expect("both are of one session");
            other.kill().expect("it is our child");
            other.wait().expect("it is our child");
        }
        ["count-signals", gate] => return vec![count_signals(gate, item)],
        ["child"] => return attacks::start_sleeper(),
        ["give", size] => return vec![7; size.parse().expect("a number")],
        _ => {}
    }
    [&item.to_le_bytes(), data(request)].concat()
}

/// The first line's words.
fn words(request: &[u8]) -> Vec<&str> {
    let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.len() > 200 { Vec::new() } else { text(line).split(' ').collect() }
}

/// What follows the first line.
pub(crate) fn data(request: &[u8]) -> &[u8] {
    request.iter().position(|byte| *byte == b'\n').map_or(request, |line| &request[line + 1..])
}

/// A request of a line and data.
pub(crate) fn request(line: &str, data: &[u8]) -> Vec<u8> {
    [line.as_bytes(), b"\n", data].concat()
}

/// Bytes that depend on a seed and on their place, and take no long to make.
pub(crate) fn pattern(seed: u32, size: usize) -> Vec<u8> {
    let mut bytes = vec![seed as u8; size];
    for (index, chunk) in bytes.chunks_mut(4096).enumerate() {
        chunk[0] = chunk[0].wrapping_add(index as u8);
    }
    bytes
}

/// What [`odd_blocks`] compares at a time, at the speed of memcmp.
pub(crate) const BLOCK: usize = 1 << 20;

/// How many blocks there are, and the numbers of those that do not consist of this byte alone.
pub(crate) fn odd_blocks(byte: u8, bytes: &[u8]) -> Vec<u8> {
    let block = vec![byte; BLOCK];
    let (count, blocks) = (bytes.len().div_ceil(BLOCK) as u32, bytes.chunks(BLOCK));
    let odd = (0u32..).zip(blocks).filter(|(_, found)| **found != block[..found.len()]).map(|(index, _)| index);
    std::iter::once(count).chain(odd).flat_map(u32::to_le_bytes).collect()
}

/// Depends on every byte, and on the order of all words.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(bytes.len() as u64, |sum, word| sum.rotate_left(1) ^ u64::from_le_bytes(*word));
    rest.iter().fold(words, |sum, byte| sum.rotate_left(9) ^ u64::from(*byte))
}

/// Ends the worker. A thread can only do so by a panic, here one without a message.
fn die(how: &str) {
    // Worker processes run their items on the main thread.
    if !pool_ipc::on_main_thread() {
        std::panic::resume_unwind(Box::new(()));
    }
    match how {
        "by-abort" => std::process::abort(),
        "by-kill" => raise(libc::SIGKILL),
        "by-segv" => raise(libc::SIGSEGV),
        code => std::process::exit(code.parse().expect("a number")),
    }
}

/// How often the first of the real-time signals comes to this process while it stops at the gate.
fn count_signals(gate: &str, item: u32) -> u8 {
    static COUNT: AtomicU8 = AtomicU8::new(0);
    extern "C" fn count(_: libc::c_int) {
        COUNT.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler adds to an atomic, and does nothing else.
    unsafe { libc::signal(libc::SIGRTMIN(), count as *const () as libc::sighandler_t) };
    gate::stop_at(gate, item);
    COUNT.load(Ordering::SeqCst)
}

fn raise(signal: i32) {
    // SAFETY: ends this process.
    unsafe { libc::raise(signal) };
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}
