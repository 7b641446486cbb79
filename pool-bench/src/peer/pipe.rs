//! The floor of a ping-pong: two pipes and two processes that are asleep in between.

use std::io::{self, Read, Write};
use std::process::Stdio;

use super::RoundTrip;
use crate::case::Failure;
use crate::children::{self, Held};
use crate::cores;

/// The role: gives back what comes, until no more comes.
pub(crate) fn echo(core: usize) -> Result<(), Failure> {
    cores::pin(core)?;
    // Without the buffers of the standard streams.
    let mut input = std::fs::File::from(rustix::io::dup(io::stdin())?);
    let mut output = std::fs::File::from(rustix::io::dup(io::stdout())?);
    let mut word = [0; 8];
    while input.read_exact(&mut word).is_ok() {
        output.write_all(&word)?;
    }
    Ok(())
}

/// A process that echoes on that core, and what goes to it and back.
pub(crate) fn round_trip(core: usize) -> Result<RoundTrip, Failure> {
    let mut command = children::role(&["pipe-echo", &core.to_string()]);
    let mut child = Held::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let (mut input, mut output) = child.streams().ok_or("the streams were not piped")?;
    let mut word = [0; 8];
    Ok(Box::new(move || {
        // It lives as long as this does.
        let _child = &child;
        input.write_all(&word)?;
        Ok(output.read_exact(&mut word)?)
    }))
}
