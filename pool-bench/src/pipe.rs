//! The floor of a ping-pong: two pipes and two processes that are asleep in between.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::measure::pin;

/// Set to a core's number in the process that echoes.
const VARIABLE: &str = "POOL_BENCH_ECHO";

/// If this process was started to echo: does so until the pipe is closed.
pub(crate) fn echo_if_asked() -> bool {
    let Some(core) = std::env::var(VARIABLE).ok().and_then(|core| core.parse().ok()) else { return false };
    let _ = pin(&[core]);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut word = [0; 8];
    while input.read_exact(&mut word).is_ok() && output.write_all(&word).and_then(|()| output.flush()).is_ok() {}
    true
}

/// A process that echoes, on a core of its own.
pub(crate) struct Echo(Child);

impl Echo {
    pub(crate) fn start(core: usize) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.env(VARIABLE, core.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "this is the side that the pool is compared with")]
        command.spawn().map(Self)
    }

    /// The time of one round trip.
    pub(crate) fn round_trip(&mut self, times: u32) -> io::Result<Duration> {
        let missing = || io::Error::other("the pipes were taken");
        let input = self.0.stdin.as_mut().ok_or_else(missing)?;
        let output = self.0.stdout.as_mut().ok_or_else(missing)?;
        let mut word = [0; 8];
        let start = Instant::now();
        for _ in 0..times {
            input.write_all(&word)?;
            output.read_exact(&mut word)?;
        }
        Ok(start.elapsed() / times)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
