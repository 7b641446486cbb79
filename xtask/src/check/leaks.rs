//! The leak criterion: one process a test, and its output is closed right after its exit.
//!
//! A worker or a grandchild that outlives the test holds the test's stdout open, so end of file that does not come is
//! the sign of a process left behind. Keeps true: every test of every test program is run, and each under a limit.

use std::io::Read;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::binaries::{self, TestProgram};
use super::failed;
use super::steps::Verdict;
use crate::run::{self, RunError, Running};
use crate::task::TaskError;

/// How many tests run at a time.
const PARALLEL: usize = 2;
/// How long after the exit the output may stay open. A leak never ends; a killed worker is torn down within seconds also on
/// a machine that is busy.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// How long a test may run.
const LIMIT: Duration = Duration::from_secs(300);
/// How often we look whether the test has ended.
const LOOK: Duration = Duration::from_millis(3);

/// Runs every test in a process of its own.
pub(super) fn check() -> Result<Verdict, TaskError> {
    let programs = binaries::build()?;
    let mut tests = Vec::new();
    for program in &programs {
        tests.extend(program.tests()?.into_iter().map(|name| (program, name)));
    }
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((program, name)) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(complaint) = complaint(program, name) {
                        let name = format!("{}::{name}", program.name());
                        eprintln!("{name} {complaint}");
                        failed.lock().expect("no thread panics while it pushes").push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no thread panics while it pushes");
    Ok(match (tests.len(), failed.len()) {
        (0, _) => Verdict::Failed("no test program lists a test".to_owned()),
        (tests, 0) => Verdict::Good(format!("{tests} tests, one process each")),
        (tests, count) => Verdict::Failed(failed::summary(&failed, count, tests)),
    })
}

/// What is wrong with a test, if anything is.
fn complaint(program: &TestProgram, name: &str) -> Option<String> {
    let mut command = program.command();
    match run_alone(command.args(["--exact", name]), LIMIT, CLOSED_WITHIN) {
        Ok(Alone::Clean) => None,
        Ok(Alone::Failed(status, output)) => Some(format!("failed with exit code {}\n{output}", run::code(status))),
        Ok(Alone::Leaky) => Some(format!("left a process: its output is still open {CLOSED_WITHIN:?} after its exit")),
        Ok(Alone::TimedOut) => Some(format!("did not end within {LIMIT:?}")),
        Err(error) => Some(format!("could not be run: {error}")),
    }
}

/// What a test alone in its process came to.
enum Alone {
    Clean,
    Failed(ExitStatus, String),
    Leaky,
    TimedOut,
}

fn run_alone(command: &mut std::process::Command, limit: Duration, closed_within: Duration) -> Result<Alone, RunError> {
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stdout = to_the_end(running.child().stdout.take());
    let stderr = to_the_end(running.child().stderr.take());
    let Some(status) = wait(&mut running, limit)? else { return Ok(Alone::TimedOut) };
    let deadline = Instant::now() + closed_within;
    let mut output = String::new();
    for stream in [stdout, stderr] {
        match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => output.push_str(&text),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(Alone::Leaky),
        }
    }
    Ok(if status.success() { Alone::Clean } else { Alone::Failed(status, output) })
}

/// The exit, or nothing when the limit passed; the drop of `running` then ends the test.
fn wait(running: &mut Running, limit: Duration) -> Result<Option<ExitStatus>, RunError> {
    let start = Instant::now();
    loop {
        if let Some(status) = running.ended()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// Reads a stream to its end on a thread that nobody waits for: a leaked process may hold it open for ever.
fn to_the_end(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let mut stream = stream.expect("both streams were piped");
    let reading = thread::Builder::new().name("leaks-reader".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        if stream.read_to_end(&mut bytes).is_ok() {
            // Nobody listens any more once the verdict is out.
            let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    reading.expect("two more threads are affordable");
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const PATIENT: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    fn alone(script: &str, closed_within: Duration) -> Alone {
        run_alone(Command::new("sh").args(["-c", script]), PATIENT, closed_within).unwrap()
    }

    #[test]
    fn a_test_that_leaves_a_process_is_leaky() {
        assert!(matches!(alone("sleep 3 & exit 0", SHORT), Alone::Leaky));
        assert!(matches!(alone("sleep 3 >/dev/null & exit 0", SHORT), Alone::Leaky), "stderr counts too");
    }

    #[test]
    fn a_test_that_leaves_nothing_is_clean() {
        assert!(matches!(alone("echo done", PATIENT), Alone::Clean));
        assert!(matches!(alone("sleep 0.1 & wait; exit 0", PATIENT), Alone::Clean));
    }

    #[test]
    fn a_failing_test_is_told_with_its_output() {
        let Alone::Failed(status, output) = alone("echo why; exit 101", PATIENT) else { panic!("it passed") };
        assert_eq!((status.code(), output.as_str()), (Some(101), "why\n"));
    }

    #[test]
    fn a_test_that_never_ends_is_ended() {
        let ending = run_alone(Command::new("sleep").arg("1000"), SHORT, SHORT).unwrap();
        assert!(matches!(ending, Alone::TimedOut));
    }
}
