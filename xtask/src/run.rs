//! The one place where xtask starts programs.
//!
//! Keeps true: every child is reaped, also when we return early or panic; a child stays in our process group, so that
//! Ctrl-C and a signal to the group reach it as they reach us. Where nothing is left to do afterwards we become the
//! program instead of starting it, and then there is no child at all.
//! Never lets a program read our standard input, except the one that we become.

use std::error::Error;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Runs it to its end; it writes where we write.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, RunError> {
    Running::start(command)?.wait()
}

/// Runs it to its end and hands over each piece of its stdout as it comes.
///
/// A process that it left behind may hold its stdout open for ever; that is an error, and never a hang.
pub(crate) fn stream(command: &mut Command, piece: impl FnMut(&[u8])) -> Result<ExitStatus, RunError> {
    stream_until_closed(command, CLOSED_WITHIN, piece)
}

fn stream_until_closed(
    command: &mut Command,
    closed_within: Duration,
    mut piece: impl FnMut(&[u8]),
) -> Result<ExitStatus, RunError> {
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let pieces = read_on_a_thread(running.child.stdout.take().expect("stdout was piped just above"));
    let mut ended: Option<Instant> = None;
    loop {
        match pieces.recv_timeout(LOOK) {
            Ok(Ok(bytes)) => piece(&bytes),
            Ok(Err(error)) => return Err(running.error(Failing::Read, error)),
            Err(RecvTimeoutError::Disconnected) => return running.wait(),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ended.is_none() && running.ended()?.is_some() {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|ended| ended.elapsed() > closed_within) {
            let source = io::Error::other("a process that it left behind still holds its output open");
            return Err(running.error(Failing::Read, source));
        }
    }
}

/// How often we look whether a silent program has ended.
const LOOK: Duration = Duration::from_millis(100);
/// How long after its exit a program's output may stay open. A leak never ends; a killed worker is torn down within
/// seconds also on a machine that is busy.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// The pieces of a stream, in order; the channel closes at the stream's end.
fn read_on_a_thread(mut stream: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    // A bound, so that a caller whose own output is slow slows the program down and does not fill memory.
    let (sender, receiver) = mpsc::sync_channel(64);
    let reading = thread::Builder::new().name("xtask-reader".to_owned()).spawn(move || {
        let mut buffer = [0; 8192];
        loop {
            let piece = match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(buffer[..length].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            if sender.send(piece).is_err() || failed {
                return;
            }
        }
    });
    reading.expect("one more thread is affordable");
    receiver
}

/// Runs it to its end and returns its whole stdout.
pub(crate) fn output(command: &mut Command) -> Result<(ExitStatus, String), RunError> {
    let mut bytes = Vec::new();
    let status = stream(command, |piece| bytes.extend_from_slice(piece))?;
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Runs it to its end and returns its whole stderr; what it writes to stdout is lost.
pub(crate) fn complaint(command: &mut Command) -> Result<(ExitStatus, String), RunError> {
    let mut running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let mut text = Vec::new();
    let mut stderr = running.child.stderr.take().expect("stderr was piped just above");
    stderr.read_to_end(&mut text).map_err(|error| running.error(Failing::Read, error))?;
    Ok((running.wait()?, String::from_utf8_lossy(&text).into_owned()))
}

/// Replaces this program by that one; returns only if that fails.
pub(crate) fn become_program(command: &mut Command) -> RunError {
    let program = command.get_program().to_string_lossy().into_owned();
    RunError { program, failing: Failing::Start, source: command.exec() }
}

/// The exit code as a shell tells it: 128 and the signal's number for a program that a signal ended.
pub(crate) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// A started program, ended and reaped when dropped.
pub(crate) struct Running {
    program: String,
    child: Child,
}

impl Running {
    /// Starts it with nothing to read.
    #[expect(clippy::disallowed_methods, reason = "this is xtask's one place; it may not depend on pool_ipc::launch")]
    pub(crate) fn start(command: &mut Command) -> Result<Self, RunError> {
        let program = command.get_program().to_string_lossy().into_owned();
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Ok(Self { program, child }),
            Err(source) => Err(RunError { program, failing: Failing::Start, source }),
        }
    }

    /// Its streams, and the rest of the standard library's view of it.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, RunError> {
        self.child.try_wait().map_err(|error| self.error(Failing::Wait, error))
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, RunError> {
        self.child.wait().map_err(|error| self.error(Failing::Wait, error))
    }

    fn error(&self, failing: Failing, source: io::Error) -> RunError {
        RunError { program: self.program.clone(), failing, source }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended and been reaped already, which is the usual case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that could not be run.
#[derive(Debug)]
pub(crate) struct RunError {
    program: String,
    failing: Failing,
    source: io::Error,
}

#[derive(Debug)]
enum Failing {
    Start,
    Read,
    Wait,
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failing = match self.failing {
            Failing::Start => "start",
            Failing::Read => "read from",
            Failing::Wait => "wait for",
        };
        write!(formatter, "cannot {failing} `{}`: {}", self.program, self.source)
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn exit_codes_are_those_of_the_program() {
        assert_eq!(code(status(&mut shell("exit 7")).unwrap()), 7);
        assert_eq!(code(status(&mut shell("kill -9 $$")).unwrap()), 137);
        assert_eq!(code(status(&mut shell("true")).unwrap()), 0);
    }

    #[test]
    fn output_is_whole_and_comes_with_the_exit_code() {
        let (status, text) = output(&mut shell("printf 'a\\nb'; exit 3")).unwrap();
        assert_eq!((text.as_str(), code(status)), ("a\nb", 3));
    }

    #[test]
    fn output_of_any_length_is_whole_and_in_order() {
        let (status, text) = output(&mut shell("seq 1 200000")).unwrap();
        assert!(status.success());
        assert!(text.lines().zip(1..).all(|(line, number)| line == number.to_string()));
        assert_eq!(text.lines().count(), 200_000);
    }

    #[test]
    fn a_process_left_behind_is_an_error_and_no_hang() {
        let (sender, receiver) = mpsc::channel();
        let waiting = thread::Builder::new().spawn(move || {
            let mut leaky = shell("sleep 10 2>/dev/null & echo started");
            let ending = stream_until_closed(&mut leaky, Duration::from_millis(50), |_| {});
            let _ = sender.send(ending.map_err(|error| error.to_string()));
        });
        waiting.unwrap();
        let error = receiver.recv_timeout(Duration::from_secs(60)).expect("it hangs").unwrap_err();
        assert_eq!(error, "cannot read from `sh`: a process that it left behind still holds its output open");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = status(&mut Command::new("/no/such/program")).unwrap_err();
        assert!(error.to_string().starts_with("cannot start `/no/such/program`: "), "{error}");
    }

    #[test]
    fn a_dropped_child_is_ended_and_reaped() {
        let running = Running::start(&mut shell("exec sleep 1000")).unwrap();
        let entry = format!("/proc/{}", running.child.id());
        assert!(std::path::Path::new(&entry).exists());
        drop(running);
        assert!(!std::path::Path::new(&entry).exists(), "{entry} is still there");
    }
}
