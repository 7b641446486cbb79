//! What workers write to stderr, where the pool keeps it: it comes out unchanged, its last lines are in errors, and
//! whatever a worker does with it harms nobody.
//!
//! Each test has a process of its own, whose stderr is read: nothing but what workers write goes there.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use pool_core::{Broken, Builder, OnWorkerLoss, PoolError, StartFailure, TaskError, WorkerDied, WorkerStderr};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::alone::{Ended, Scene};
use crate::backends::{ipc_channel, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::Holdings;
use crate::hostile::peak_memory;
use crate::losses::kill;
use crate::parent_death;
use crate::watchdog::{until, when};

claims! { alone_on_processes:
    the_last_lines_of_a_worker_that_aborts_are_in_its_error,
    a_panic_that_ends_its_worker_is_in_its_error_with_what_led_to_it,
    the_last_lines_of_a_worker_that_was_stopped_are_in_its_error,
    the_last_lines_of_the_worker_that_a_strict_pool_lost_are_in_its_error,
    what_a_terminal_would_obey_is_escaped_in_the_error,
    a_worker_that_dies_before_its_hello_says_why,
    an_inherited_stderr_is_not_kept,
    a_grandchild_that_holds_stderr_open_delays_nothing,
    a_worker_that_gives_up_its_stderr_goes_on_without,
    a_stderr_that_takes_nothing_stalls_nobody,
    when_a_pool_has_ended_all_is_out,
    a_pool_that_keeps_stderr_leaves_nothing_behind,
}

claims! { alone_on_each_backend:
    a_pool_that_keeps_stderr_runs_tasks,
}

/// Makes a test whose process is looked at from the outside: `here` runs in it, and `there` judges what came of it.
macro_rules! judged {
    ($name:ident: $here:path, $there:path) => {
        mod $name {
            judged!(@ shared_memory, $here, $there);
            judged!(@ ipc_channel, $here, $there);
        }
    };
    (@ $backend:ident, $here:path, $there:path) => {
        #[test]
        fn $backend() {
            let path = concat!(module_path!(), "::", stringify!($backend));
            match super::Scene::of(path) {
                super::Scene::Alone => $here(super::$backend()),
                super::Scene::Outside(host) => $there(host),
            }
        }
    };
}

judged!(what_workers_write_comes_out_unchanged: super::write_all_sorts, super::assert_all_sorts);
judged!(lines_of_several_workers_come_out_whole: super::write_lines_in_pieces, super::assert_whole_lines);
judged!(a_worker_that_floods_its_stderr_harms_nobody: super::flood, super::assert_flooded);
judged!(nobody_who_writes_to_stderr_outlives_a_killed_parent: super::write_for_ever, crate::parent_death::assert_nobody_stays);

fn kept(builder: Builder, lines: usize) -> Builder {
    builder.worker_stderr(WorkerStderr::Kept { lines })
}

/// The death that this error is about.
#[track_caller]
fn death(error: &TaskError) -> &WorkerDied {
    let TaskError::WorkerDied(died) = error else { panic!("{error}") };
    died
}

fn say_and_abort(words: Vec<u8>) {
    std::io::stderr().write_all(&words).unwrap();
    std::process::abort();
}

fn abort_at_three(item: u32) -> u32 {
    if item == 3 {
        say_and_abort(b"three is too much\n".to_vec());
    }
    item
}

fn the_last_lines_of_a_worker_that_aborts_are_in_its_error(builder: Builder) {
    let pool = pool(kept(builder, 2), 1);
    let words = b"one\ntwo\nfree(): invalid pointer".to_vec();
    let error = pool.submit(say_and_abort, (words,)).unwrap().result().unwrap_err();
    assert_eq!(death(&error).stderr.as_deref(), Some("two\nfree(): invalid pointer"));
    let text = "signal 6 (SIGABRT)\n  its last lines on stderr:\n    two\n    free(): invalid pointer";
    assert!(error.to_string().ends_with(text), "{error}");
    // What its predecessor said is not a new worker's.
    let error = pool.submit(|| -> () { std::process::abort() }, ()).unwrap().result().unwrap_err();
    assert_eq!(death(&error).stderr, None);
    assert!(error.to_string().ends_with("signal 6 (SIGABRT)"), "{error}");
    let results: Vec<_> = pool.batch().chunksize(8).map(abort_at_three, 0..8).unwrap().collect();
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(death(&errors[0]).stderr.as_deref(), Some("three is too much"));
}

struct PanicsAgain;

impl Drop for PanicsAgain {
    fn drop(&mut self) {
        panic!("the clean-up");
    }
}

fn panic_twice() {
    let _guard = PanicsAgain;
    panic!("the cause");
}

extern "C" fn panic_under_c() {
    panic!("the callback");
}

fn a_panic_that_ends_its_worker_is_in_its_error_with_what_led_to_it(builder: Builder) {
    let pool = pool(kept(builder.worker_env("RUST_BACKTRACE", "0"), 30), 1);
    let twice = pool.submit(panic_twice, ()).unwrap();
    let under_c = pool.submit(|| panic_under_c(), ()).unwrap();
    for (future, texts) in [(twice, &["the cause", "the clean-up"][..]), (under_c, &["the callback"])] {
        let error = future.result().unwrap_err();
        let said = death(&error).stderr.as_deref().unwrap_or_default();
        assert!(texts.iter().all(|text| said.contains(text)), "{error}");
        assert!(said.contains("panicked at pool-core/tests/pool/stderr.rs:"), "{error}");
    }
    // One that was caught before is not.
    let caught = pool.submit(|| std::panic::catch_unwind(|| panic!("caught")).is_err(), ()).unwrap();
    assert!(caught.result().unwrap());
}

/// Says what it waits for, and waits for ever.
fn say_and_hang(gate: String) {
    eprintln!("waiting for the printer");
    stop_at(gate, 1);
}

fn the_last_lines_of_a_worker_that_was_stopped_are_in_its_error(builder: Builder) {
    let pool = pool(kept(builder, 2).stop_grace(Duration::ZERO), 1);
    let text = "\n  its last lines on stderr:\n    waiting for the printer";
    let late = loop {
        let gate = Gate::new();
        let late = pool.task().timeout(Duration::from_millis(100)).submit(say_and_hang, (gate.name(),)).unwrap();
        let error = late.result().unwrap_err();
        let TaskError::TimedOut(timed_out) = &error else { panic!("{error}") };
        // A busy machine may not have let it come so far.
        if timed_out.stderr.is_some() {
            break error;
        }
    };
    assert!(late.to_string().ends_with(text), "{late}");
    let gate = Gate::new();
    let task = pool.submit(say_and_hang, (gate.name(),)).unwrap();
    let _held = gate.next();
    assert!(task.kill());
    let killed = task.result().unwrap_err();
    assert!(matches!(killed, TaskError::Killed(_)) && killed.to_string().ends_with(text), "{killed}");
    let task = pool.submit(say_and_hang, (gate.name(),)).unwrap();
    let _held = gate.next();
    pool.kill_workers();
    let forced = task.result().unwrap_err();
    assert!(matches!(forced, TaskError::ForcedShutdown(_)) && forced.to_string().ends_with(text), "{forced}");
}

fn the_last_lines_of_the_worker_that_a_strict_pool_lost_are_in_its_error(builder: Builder) {
    let pool = pool(kept(builder, 2).on_worker_loss(OnWorkerLoss::Break), 1);
    let error = pool.submit(say_and_abort, (b"no chance".to_vec(),)).unwrap().result().unwrap_err();
    assert_eq!(death(&error).stderr.as_deref(), Some("no chance"));
    let refused = until("the pool to break", || {
        let error = pool.submit(u32::pow, (2, 8)).err();
        when(error.is_some(), error)
    });
    let text = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(text.ends_with("signal 6 (SIGABRT)\n  its last lines on stderr:\n    no chance"), "{text}");
}

fn what_a_terminal_would_obey_is_escaped_in_the_error(builder: Builder) {
    let pool = pool(kept(builder, 9), 1);
    let words = "\u{1b}]0;title\u{7}\u{1b}[2J\u{202e}\n\u{9b}1m".as_bytes();
    let error = pool.submit(say_and_abort, ([words, b"\xff\n"].concat(),)).unwrap().result().unwrap_err();
    let shown = "\\u{1b}]0;title\\u{7}\\u{1b}[2J\\u{202e}\n\\u{9b}1m\u{fffd}";
    assert_eq!(death(&error).stderr.as_deref(), Some(shown));
    assert!(!error.to_string().contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
}

fn a_worker_that_dies_before_its_hello_says_why(builder: Builder) {
    let pool = pool(kept(builder.worker_command("/bin/sh", ["-c", "echo no libfoo.so >&2; exit 5"]), 3), 1);
    let error = pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap_err();
    let TaskError::Broken(broken) = &error else { panic!("{error}") };
    let Broken::Start(failure) = &**broken else { panic!("{broken}") };
    let StartFailure::EndedEarly { stderr, .. } = &**failure else { panic!("{failure}") };
    assert_eq!(stderr.as_deref(), Some("no libfoo.so"));
    assert!(error.to_string().ends_with("?\n  its last lines on stderr:\n    no libfoo.so"), "{error}");
}

fn an_inherited_stderr_is_not_kept(builder: Builder) {
    let pool = pool(builder, 1);
    let error = pool.submit(say_and_abort, (b"not kept\n".to_vec(),)).unwrap().result().unwrap_err();
    assert_eq!(death(&error).stderr, None);
}

/// Starts a process that no signal to the group reaches, tells its number and dies.
#[expect(clippy::disallowed_methods, reason = "what this task starts is to outlive it")]
fn leave_a_sleeper() {
    let mut sleeper = Command::new("setsid");
    let sleeper = sleeper.args(["sh", "-c", "echo; exec sleep 1000 >&2"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut sleeper = sleeper.spawn().unwrap();
    // It has left the group by the time that it speaks.
    sleeper.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    eprintln!("{}", sleeper.id());
    std::process::abort();
}

fn a_grandchild_that_holds_stderr_open_delays_nothing(builder: Builder) {
    let pool = pool(kept(builder, 1), 1);
    let error = pool.submit(leave_a_sleeper, ()).unwrap().result().unwrap_err();
    let sleeper = death(&error).stderr.as_deref().unwrap().parse().unwrap();
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    pool.shutdown();
    assert!(crate::holdings::is_alive(sleeper), "it was to hold the pipe until now");
    kill(sleeper);
}

fn give_up_stderr() {
    eprintln!("before");
    rustix::stdio::dup2_stderr(std::fs::File::options().write(true).open("/dev/null").unwrap()).unwrap();
}

fn a_worker_that_gives_up_its_stderr_goes_on_without(builder: Builder) {
    let pool = pool(kept(builder, 9), 1);
    pool.submit(give_up_stderr, ()).unwrap().result().unwrap();
    assert!(pool.map(|n: u32| n + 1, 0..100).unwrap().map(Result::unwrap).eq(1..=100));
    let error = pool.submit(say_and_abort, (b"unheard\n".to_vec(),)).unwrap().result().unwrap_err();
    assert_eq!(death(&error).stderr.as_deref(), Some("before"));
}

fn write_until_killed(gate: String) {
    let line = [b'x'; 99];
    stop_at(gate, 0);
    loop {
        eprintln!("{}", String::from_utf8_lossy(&line));
    }
}

/// Whether a write to stderr would not wait.
fn takes_more() -> bool {
    let stderr = rustix::stdio::stderr();
    let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
    rustix::event::poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
}

/// The stderr of this process is a pipe that nobody reads, until that is asked for.
fn a_stderr_that_takes_nothing_stalls_nobody(builder: Builder) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let before = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3).unwrap();
    rustix::stdio::dup2_stderr(&writer).unwrap();
    drop(writer);
    let gate = Gate::new();
    let pool = pool(kept(builder, 3), 2);
    let flood = pool.submit(write_until_killed, (gate.name(),)).unwrap();
    let pid = gate.next().pid;
    // How many bytes fill it depends on the pieces in which they come.
    until("a full pipe", || when(!takes_more(), rustix::io::ioctl_fionread(&reader).unwrap()));
    assert!(pool.map(|n: u32| n + 1, 0..1000).unwrap().map(Result::unwrap).eq(1..=1000));
    assert!(flood.running());
    kill(pid);
    let error = flood.result().unwrap_err();
    let line = "x".repeat(99);
    assert!(death(&error).stderr.as_ref().unwrap().starts_with(&format!("{line}\n{line}\n")), "{error}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    // Which waits a moment for its stderr, and not for ever.
    drop(pool);
    rustix::stdio::dup2_stderr(before).unwrap();
    let mut text = vec![0; rustix::io::ioctl_fionread(&reader).unwrap().try_into().unwrap()];
    reader.read_exact(&mut text).unwrap();
    let (whole, _) = text.as_chunks::<100>();
    assert!(whole.len() > 100 && whole.iter().all(|found| found[..] == *format!("{line}\n").as_bytes()));
}

fn when_a_pool_has_ended_all_is_out(builder: Builder) {
    let (reader, writer) = std::io::pipe().unwrap();
    let before = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3).unwrap();
    rustix::stdio::dup2_stderr(&writer).unwrap();
    let pool = pool(kept(builder, 1), 2);
    let write = |count: usize| std::io::stderr().write_all(&vec![b'x'; count]).unwrap();
    pool.map(write, [8_000; 3]).unwrap().for_each(Result::unwrap);
    pool.shutdown();
    let out = rustix::io::ioctl_fionread(&reader).unwrap();
    rustix::stdio::dup2_stderr(before).unwrap();
    assert_eq!(out, 24_000);
}

fn a_pool_that_keeps_stderr_leaves_nothing_behind(builder: Builder) {
    let before = Holdings::count();
    {
        let pool = pool(kept(builder, 9), 2);
        for _ in 0..5 {
            let error = pool.submit(say_and_abort, (b"again\n".to_vec(),)).unwrap().result().unwrap_err();
            assert_eq!(death(&error).stderr.as_deref(), Some("again"));
        }
    }
    before.assert_as_before();
}

fn a_pool_that_keeps_stderr_runs_tasks(builder: Builder) {
    let error = kept(crate::backends::again(&builder), 0).build().unwrap_err();
    assert!(matches!(error, PoolError::Option { .. }), "{error}");
    assert_eq!(error.to_string(), "the lines of worker_stderr must be at least 1");
    let pool = pool(kept(builder, 9), 2);
    assert!(pool.map(|n: u32| n + 1, 0..100).unwrap().map(Result::unwrap).eq(1..=100));
}

/// Nothing in there is to be changed: not a text, not escapes, not line ends, and the last line has none.
const ALL_SORTS: &[u8] = b"plain\n\x1b[31mred\x1b[0m\r50%\r100%\r\ntab\there\0\n\n\n\xe2\x82\xac and the end";

fn write_all_sorts(builder: Builder) {
    let pool = pool(kept(builder, 1), 1);
    pool.submit(|words: Vec<u8>| std::io::stderr().write_all(&words).unwrap(), (ALL_SORTS.to_vec(),)).unwrap();
    // Longer than what is kept, and than what a pipe takes at once.
    let long = move |letter: u8| std::io::stderr().write_all(&[letter; 200_000]).unwrap();
    pool.submit(long, (b'l',)).unwrap();
}

fn assert_all_sorts(host: crate::alone::Host) {
    let Ended { status, stdout, stderr } = host.start().end();
    assert!(status.success(), "{stdout}\n{stderr}");
    let (head, long) = stderr.split_at(ALL_SORTS.len());
    assert_eq!(head.as_bytes(), ALL_SORTS);
    assert!(long.len() == 200_000 && long.bytes().all(|byte| byte == b'l'), "{} bytes", long.len());
}

const WRITERS: u32 = 4;
const LINES: u32 = 300;

fn write_in_pieces(writer: u32) {
    for line in 0..LINES {
        for piece in ["writer ", &writer.to_string(), " line ", &line.to_string(), "\n"] {
            std::io::stderr().write_all(piece.as_bytes()).unwrap();
        }
    }
}

fn write_lines_in_pieces(builder: Builder) {
    let pool = pool(kept(builder, 1), WRITERS as usize);
    pool.batch().chunksize(1).map(write_in_pieces, 0..WRITERS).unwrap().for_each(Result::unwrap);
}

fn assert_whole_lines(host: crate::alone::Host) {
    let Ended { status, stdout, stderr } = host.start().end();
    assert!(status.success(), "{stdout}\n{stderr}");
    let mut next = [0; WRITERS as usize];
    for line in stderr.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let ["writer", writer, "line", number] = *words else { panic!("{line:?}") };
        let expected = &mut next[writer.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<u32>().unwrap(), *expected, "{line:?}");
        *expected += 1;
    }
    assert_eq!(next, [LINES; WRITERS as usize]);
}

const FLOOD: usize = 48 << 20;

/// How much memory the flood may cost its pool's process: far less than it is, and far more than the pieces and the rest.
const FURTHER_MEMORY: u64 = 16 << 20;

fn write_a_flood(gate: String) {
    let line = "w".repeat(127) + "\n";
    stop_at(gate, 1);
    for _ in 0..FLOOD / line.len() {
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    say_and_abort(b"that was all\n".to_vec());
}

fn flood(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(kept(builder, 1), 2);
    let flood = pool.submit(write_a_flood, (gate.name(),)).unwrap();
    let held = gate.next();
    let before = peak_memory();
    drop(held);
    let mut others = 0;
    while !flood.done() {
        assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        others += 1;
    }
    let error = flood.result().unwrap_err();
    assert_eq!(death(&error).stderr.as_deref(), Some("that was all"));
    let further = peak_memory() - before;
    assert!(further < FURTHER_MEMORY, "{further} bytes more");
    println!("{others} tasks meanwhile");
}

fn assert_flooded(host: crate::alone::Host) {
    let Ended { status, stdout, stderr } = host.start().end();
    assert!(status.success(), "{stdout}");
    let (flood, end) = stderr.split_at(FLOOD);
    assert!(flood.as_bytes().chunks(128).all(|line| line.starts_with(b"www") && line.ends_with(b"w\n")));
    assert_eq!(end, "that was all\n");
}

fn write_for_ever(builder: Builder) {
    let gate = Gate::new();
    let talkers = pool(kept(crate::backends::again(&builder), 1), 1);
    let talk = talkers.submit(write_until_killed, (gate.name(),)).unwrap();
    drop(gate.next());
    parent_death::wait_to_be_killed(kept(builder, 1), || assert!(talk.running()));
}
