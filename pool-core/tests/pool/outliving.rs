//! What a killed task's own processes come to: those that stayed in the worker's group end with it, those that left it go
//! on, exactly as the README says.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use pool_core::{Builder, TaskError};
use rustix::process::{Pid, Signal, kill_process};

use crate::backends::pool;
use crate::gate::{Gate, stop_at};
use crate::holdings::is_alive;
use crate::watchdog::{until, when};

claims! { on_processes:
    d03_what_outlives_a_killed_task_is_what_left_its_process_group,
}

/// In a shell's words. Each prints the pid of what is to be looked at, once that is where it belongs.
const STAYING: [&str; 2] = ["sleep 1000 & echo $!; wait", "nohup sleep 1000 & echo $!; wait"];

/// GNU timeout, a shell with job control, a daemon.
const LEAVING: [&str; 3] = [
    "timeout 1000 sh -c 'echo $$; exec sleep 1000'",
    "set -m; sleep 1000 & echo $!; wait",
    "setsid sh -c 'echo $$; exec sleep 1000'",
];

fn d03_what_outlives_a_killed_task_is_what_left_its_process_group(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let started = pool.submit(start_all, ()).unwrap().result().unwrap();
    let left = Left(started.iter().map(|(_, pid)| *pid).collect());
    let task = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let _held = gate.next();
    assert!(task.kill());
    assert!(matches!(task.result(), Err(TaskError::Killed(_))), "{task:?}");
    for (command, pid) in &started {
        if STAYING.contains(&command.as_str()) {
            until(&format!("the end of `{command}`"), || when(!is_alive(*pid), *pid));
        }
    }
    for (command, pid) in &started {
        assert_eq!(is_alive(*pid), LEAVING.contains(&command.as_str()), "{command}");
    }
    drop(left);
}

/// A task: starts everything, and leaves it running. Gives what was started, with the pid of what stays of it.
fn start_all() -> Vec<(String, u32)> {
    STAYING.into_iter().chain(LEAVING).map(|command| (command.to_owned(), start(command))).collect()
}

#[expect(clippy::disallowed_methods, reason = "these children are what the test is about")]
fn start(command: &str) -> u32 {
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", command]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let stdout = shell.spawn().unwrap().stdout.unwrap();
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    line.trim_end().parse().unwrap()
}

/// Processes that are ended with the test, however that ends. Each is a `sleep` of this test's, or what runs one.
struct Left(Vec<u32>);

impl Drop for Left {
    fn drop(&mut self) {
        for pid in self.0.iter().filter(|&&pid| is_alive(pid)) {
            let pid = Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
            // It may end by itself just now.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
