//! The parent's end of one worker's stderr.
//!
//! What holds: whoever reads does so under the stream's lock, and writes after it let go of that; a pipe that another
//! process holds open is read as far as it is full and no further. What never happens here: a read that waits.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::repeater::Desk;
use super::tail::Tail;
use crate::backend::LinkId;

/// How much is read at a time: what a pipe holds, unless somebody made it larger.
pub(super) const PIECE: usize = 64 * 1024;

/// How much may be left in the pipe of a worker that has ended: what a pipe can hold that was made larger. More would
/// come from somebody who goes on writing.
const MOST_LEFT: usize = 1024 * 1024;

/// A line that is longer goes on in pieces.
const LONG_LINE: usize = 8 * 1024;

/// Hears a worker. Dropped, it is deaf.
#[derive(Debug)]
pub(crate) struct Ear {
    id: LinkId,
    stream: Arc<Mutex<Stream>>,
    desk: Arc<Desk>,
}

/// What comes from a worker.
#[derive(Debug)]
pub(super) struct Stream {
    /// None after its end.
    pipe: Option<OwnedFd>,
    tail: Tail,
    /// The beginning of a line, not passed on yet.
    line: Vec<u8>,
}

impl Ear {
    /// Listens to the worker of this link. Gives the worker's end.
    ///
    /// # Errors
    /// No descriptor was to be had.
    pub(super) fn open(desk: &Arc<Desk>, id: LinkId, lines: usize) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = io::pipe()?;
        // Of our end only: the worker's writes wait as they do elsewhere.
        rustix::io::ioctl_fionbio(&ours, true)?;
        let stream = Stream { pipe: Some(ours.into()), tail: Tail::new(lines), line: Vec::new() };
        let ear = Self { id, stream: Arc::new(Mutex::new(stream)), desk: Arc::clone(desk) };
        if let Some(pipe) = &ear.stream.lock().pipe {
            desk.listen(id, Arc::clone(&ear.stream), pipe.as_fd())?;
        }
        Ok((ear, theirs.into()))
    }

    /// Hears what the worker, which has ended, left, has it passed on, and gives the last lines of all that it wrote.
    pub(crate) fn last_lines(&self) -> Option<String> {
        let (mut said, mut buffer, mut heard) = (Vec::new(), vec![0; PIECE], 0);
        let mut stream = self.stream.lock();
        while heard < MOST_LEFT
            && let Heard::Bytes(count) = stream.hear(&mut buffer, &mut said)
        {
            heard += count;
        }
        stream.close(&self.desk);
        said.append(&mut stream.line);
        let lines = stream.tail.text();
        drop(stream);
        self.desk.forget(self.id);
        self.desk.leave(said);
        lines
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // In a fork of the program, locks may be held by threads that are not there.
        if !self.desk.is_foreign() {
            self.stream.lock().close(&self.desk);
            self.desk.forget(self.id);
        }
    }
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Bytes(usize),
    Nothing,
    /// Nobody writes there any more.
    End,
}

impl Stream {
    /// Reads once, and appends what is to be passed on.
    pub(super) fn hear(&mut self, buffer: &mut [u8], said: &mut Vec<u8>) -> Heard {
        let Some(pipe) = &self.pipe else { return Heard::End };
        match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut *buffer)) {
            Ok(0) => Heard::End,
            Ok(count) => {
                self.take(&buffer[..count], said);
                Heard::Bytes(count)
            }
            Err(Errno::AGAIN) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }

    fn take(&mut self, bytes: &[u8], said: &mut Vec<u8>) {
        self.tail.push(bytes);
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        if whole > 0 {
            said.append(&mut self.line);
            said.extend_from_slice(&bytes[..whole]);
        }
        self.line.extend_from_slice(&bytes[whole..]);
        if self.line.len() >= LONG_LINE {
            said.append(&mut self.line);
        }
    }

    pub(super) fn close(&mut self, desk: &Desk) {
        if let Some(pipe) = self.pipe.take() {
            desk.unlisten(pipe.as_fd());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_passed_on_whole_and_nothing_is_lost_of_them() {
        let mut stream = Stream { pipe: None, tail: Tail::new(9), line: Vec::new() };
        let mut after = |bytes: &[u8]| {
            let mut said = Vec::new();
            stream.take(bytes, &mut said);
            said
        };
        assert_eq!(after(b"on"), b"");
        assert_eq!(after(b"e\ntwo\nth"), b"one\ntwo\n");
        assert_eq!(after(b"ree\n"), b"three\n");
        assert_eq!(after(&[b'x'; LONG_LINE - 1]), b"");
        assert_eq!(after(b"xyz"), [&[b'x'; LONG_LINE][..], b"yz"].concat());
    }
}
