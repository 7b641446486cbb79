//! Runs every scenario and compares what it prints with the shape that it promises.
//!
//! Keeps true: a scenario that can race is run several times; each run ends by itself, with exit code 0 and nothing on
//! stderr, or a test fails. Never asserts how long anything takes.

#![expect(clippy::unwrap_used, reason = "a test that cannot do what it needs has failed")]

mod checksums;
mod program;
mod shape;

use std::fs::File;
use std::io::{BufRead, BufReader, pipe};

use program::{Output, Program, run};
use shape::{anonymous, masked, pids};

/// How often a scenario runs whose lines depend on several processes.
const RUNS: usize = 5;

/// Every demo.
const DEMOS: [&str; 8] = [
    env!("CARGO_BIN_EXE_main-thread"),
    env!("CARGO_BIN_EXE_workers"),
    env!("CARGO_BIN_EXE_helper-threads"),
    env!("CARGO_BIN_EXE_callbacks"),
    env!("CARGO_BIN_EXE_threads-in-processes"),
    env!("CARGO_BIN_EXE_checksums"),
    env!("CARGO_BIN_EXE_crash"),
    env!("CARGO_BIN_EXE_swap-backend"),
];

/// What a program printed that promises to end well.
fn transcript(path: &str) -> String {
    let output = run(Program::new(path));
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr(), "");
    output.stdout()
}

#[test]
fn main_thread_is_one_process_with_one_thread() {
    let text = transcript(env!("CARGO_BIN_EXE_main-thread"));
    assert_eq!(anonymous(&text), "Main pid: P0\nMain thread: MainThread\n");
}

#[test]
fn workers_are_two_processes_with_the_main_process_as_their_parent() {
    for _ in 0..RUNS {
        let text = transcript(env!("CARGO_BIN_EXE_workers"));
        assert_eq!(
            anonymous(&text),
            "Main pid=P0, ppid=P1 thread=MainThread\n\
             Worker pid=P2, ppid=P0 thread=MainThread\n\
             Worker pid=P3, ppid=P0 thread=MainThread\n",
            "{text}"
        );
        assert_eq!(pids(&text)[1], std::process::id().to_string(), "{text}");
    }
}

#[test]
fn helper_threads_are_always_exactly_three() {
    for _ in 0..4 * RUNS {
        let text = transcript(env!("CARGO_BIN_EXE_helper-threads"));
        assert_eq!(text, "MainThread\nThread-1\nQueueFeederThread\n");
    }
}

#[test]
fn callbacks_run_in_the_main_process_on_the_managers_thread() {
    for _ in 0..RUNS {
        let text = transcript(env!("CARGO_BIN_EXE_callbacks"));
        assert_eq!(
            anonymous(&text),
            "Main pid=P0, ppid=P1 thread=MainThread\n\
             Worker pid=P2, ppid=P0 thread=MainThread\n\
             Callback pid=P0, ppid=P1 thread=Thread-1\n",
            "{text}"
        );
    }
}

#[test]
fn threads_in_processes_end_before_their_process_and_processes_before_main() {
    for _ in 0..2 {
        let text = transcript(env!("CARGO_BIN_EXE_threads-in-processes"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 21, "{text}");
        assert_eq!(lines[20], "Main process done.", "{text}");
        let place = |line: String| {
            let found = lines.iter().position(|&printed| printed == line);
            found.unwrap_or_else(|| panic!("no line {line:?} in\n{text}"))
        };
        for process in 1..=5 {
            let end = place(format!("Process Process-{process} done."));
            for thread in 1..=3 {
                assert!(place(format!(">thread Thread-{thread} in process Process-{process} done.")) < end, "{text}");
            }
        }
    }
}

#[test]
fn crash_delivers_every_healthy_result_and_tells_every_failure() {
    for _ in 0..RUNS {
        let text = transcript(env!("CARGO_BIN_EXE_crash"));
        assert_eq!(
            masked(&text),
            "crash::square returned 1\n\
             crash::segfault failed: worker P died while it ran task crash::segfault: signal 11 (SIGSEGV)\n\
             crash::square returned 4\n\
             crash::exit failed: worker P died while it ran task crash::exit: exit code 3\n\
             crash::square returned 9\n\
             crash::panic failed: task crash::panic panicked at pool-demo/src/bin/crash.rs:27:5 \
             (worker P, thread MainThread): cannot serve \"soup\"\n\
             crash::square returned 16\n\
             crash::be_killed failed: worker P died while it ran task crash::be_killed: signal 9 (SIGKILL), \
             which the pool did not send\n\
             crash::square returned 25\n\
             item 0 of the batch: 1\n\
             item 1 of the batch: 0.5\n\
             item 2 of the batch: worker P died while it ran task crash::reciprocal: signal 6 (SIGABRT)\n\
             item 3 of the batch: 0.25\n\
             item 4 of the batch: 0.2\n",
        );
        let deaths = text.lines().filter(|line| line.contains(" died "));
        let mut dead: Vec<String> = deaths.map(|line| pids(line).remove(0)).collect();
        dead.sort();
        dead.dedup();
        assert_eq!(dead.len(), 4, "a worker died twice:\n{text}");
    }
}

#[test]
fn swap_backend_says_the_same_on_every_backend_but_where_it_ran() {
    let backends = [
        ("shared_memory", "other processes"),
        ("ipc_channel", "other processes"),
        ("in_process", "threads of this process"),
    ];
    let lines = |(name, place): (&str, &str)| {
        format!(
            "{name}: the workers are {place}\n\
             {name}: \"one\" has 3 letters\n\
             {name}: \"\" made the task panic: there is no word\n\
             {name}: \"three\" has 5 letters\n"
        )
    };
    let expected: String = backends.into_iter().map(lines).collect();
    for _ in 0..RUNS {
        assert_eq!(transcript(env!("CARGO_BIN_EXE_swap-backend")), expected);
    }
}

#[test]
fn a_reader_that_leaves_ends_no_demo_with_noise() {
    let programs = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin")).unwrap();
    assert_eq!(programs.count(), DEMOS.len(), "a demo is missing here");
    for demo in DEMOS {
        let (line, output) = read_first_line(demo);
        assert!(line.ends_with('\n'), "{demo}: {line:?}");
        assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""), "{demo}");

        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = run(Program::new(demo).stdout(writer));
        assert_eq!((output.code, output.stderr().as_str()), (Some(0), ""), "{demo} whose reader left before");
    }
}

#[test]
fn a_full_disk_is_told_by_every_demo() {
    for demo in DEMOS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(Program::new(demo).stdout(full));
        assert_eq!(output.code, Some(1), "{demo}: {output:?}");
        assert!(output.stderr().contains("No space left on device"), "{demo}: {output:?}");
        assert!(!output.stderr().contains("panicked"), "{demo}: {output:?}");
    }
}

/// Reads one line of a program and goes, as `head -1` does.
fn read_first_line(path: &str) -> (String, Output) {
    let (reader, writer) = pipe().unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut line = String::new();
            BufReader::new(reader).read_line(&mut line).map(|_| line)
        });
        let output = run(Program::new(path).stdout(writer));
        (reading.join().unwrap().unwrap(), output)
    })
}
