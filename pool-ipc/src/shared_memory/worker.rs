//! The far end in a worker process.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::message::{self, Message};
use crate::arrival::Arrived;
use crate::backend::{FarEnd, Job, MAX_SAID};
use crate::control::{Control, Received};
use crate::frame::{Body, Frozen};
use crate::futex;
use crate::high_fd::move_high;
use crate::memfd::{self, Access, Mapping, NotFrozen};
use crate::slot::layout::{outcome, request};
use crate::slot::parent::Memory;
use crate::slot::region::Region;
use crate::slot::word::Word;
use crate::slot::worker::{Closing, TakenLarge, WorkerEnd, WorkerSide};
use crate::terms::Assignment;
use std::sync::atomic::AtomicU64;

/// Takes the memories that the parent sent, and stands ready to serve.
///
/// # Errors
/// The parent is of another build, or this process has no descriptors or memory.
pub(crate) fn far_end(arrived: Arrived) -> io::Result<Box<dyn FarEnd>> {
    // The channel stays open for as long as the process lives, also where this fails: to the parent its end means that
    // the worker is gone or beyond help, and a worker on its way to an orderly exit would be killed before its exit code.
    let arrived: &'static Arrived = Box::leak(Box::new(arrived));
    let mut bytes = Vec::new();
    let fds = match arrived.control.receive_waiting(&mut bytes)? {
        Received::Message { fds } => fds,
        other => return Err(io::Error::other(format!("no memory from the parent: {other:?}"))),
    };
    match message::parse(&bytes) {
        Some(Message::Welcome { version }) if message::is_ours(version) => {}
        _ => return Err(io::Error::other("the parent's links are of another layout")),
    }
    let [request, outcome, bell] = <[OwnedFd; 3]>::try_from(fds)
        .map_err(|fds| io::Error::other(format!("{} of 3 descriptors arrived", fds.len())))?;
    let memory = Arc::new(Memory {
        request: Region::mapped(Mapping::map(request.as_fd(), request::SIZE, Access::Read)?),
        outcome: Region::mapped(Mapping::map(outcome.as_fd(), outcome::SIZE, Access::ReadWrite)?),
    });
    drop(request);
    let closing = Closing::new(Arc::clone(&memory));
    let closer = Arc::clone(&closing);
    arrived.watch(Box::new(move || closer.close(futex::wake)));
    let (bell, outcome) = (move_high(bell.as_fd())?, move_high(outcome.as_fd())?);
    let side = Channel { bell, outcome, control: &arrived.control, mail: HashMap::new(), buffer: bytes };
    Ok(Box::new(SharedFarEnd { end: WorkerEnd::new(memory, closing, side), boot: arrived.boot.as_ref() }))
}

struct SharedFarEnd {
    end: WorkerEnd<Channel>,
    boot: &'static [u8],
}

impl FarEnd for SharedFarEnd {
    fn boot(&self) -> &[u8] {
        self.boot
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MAX_SAID {
            return Err(io::Error::other(format!("a message of {} bytes, {MAX_SAID} are allowed", bytes.len())));
        }
        self.end.side().control.send_waiting(&message::said(bytes), &[])
    }

    fn assignment(&self) -> Arc<dyn Assignment> {
        self.end.assignment()
    }

    fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job)) {
        self.end.serve(work);
    }
}

/// The worker's doorbell, outcome memory and control channel, at descriptors that tasks do not close by accident.
struct Channel {
    bell: OwnedFd,
    outcome: OwnedFd,
    control: &'static Control,
    /// Payloads that came before the frames that they belong to.
    mail: HashMap<u64, Result<Body, i32>>,
    buffer: Vec<u8>,
}

impl WorkerSide for Channel {
    fn sleep(&self, word: &AtomicU64, seen: Word) {
        futex::sleep(word, seen);
    }

    fn ring(&self) {
        // It can only fail when a task closed the doorbell; then nobody would hear of anything, so the worker ends.
        if let Err(errno) = rustix::io::write(&self.bell, &1u64.to_ne_bytes())
            && errno != rustix::io::Errno::AGAIN
        {
            crate::tell!(Error, "this worker's doorbell is broken: {errno}");
            std::process::exit(1);
        }
    }

    fn commit(&self, offset: u64, len: u64) -> bool {
        memfd::commit(self.outcome.as_fd(), offset, len).is_ok()
    }

    fn take_large(&mut self, wanted: u64) -> TakenLarge {
        self.mail.retain(|&id, _| id >= wanted);
        loop {
            if let Some(body) = self.mail.remove(&wanted) {
                return body.map_or_else(TakenLarge::Failed, TakenLarge::Taken);
            }
            let Ok(Received::Message { mut fds }) = self.control.receive_waiting(&mut self.buffer) else {
                return TakenLarge::Gone;
            };
            if let Some(Message::Large { id, len }) = message::parse(&self.buffer)
                && id >= wanted
            {
                // No descriptor: this process has no numbers left for one.
                let body = fds.pop().ok_or(libc::EMFILE).and_then(|fd| open(fd, len));
                self.mail.insert(id, body);
            }
        }
    }

    fn send_large(&mut self, id: u64, bytes: &[u8]) -> Result<(), i32> {
        let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let memory = memfd::freeze(bytes).map_err(errno)?;
        let message = message::large(id, bytes.len() as u64);
        self.control.send_waiting(&message, &[memory.as_fd()]).map_err(errno)
    }
}

/// Maps a payload, or says why not, as a number of the system's.
fn open(fd: OwnedFd, len: u64) -> Result<Body, i32> {
    memfd::Frozen::open(fd, len).map(|frozen| Body::frozen(Frozen::Memfd(frozen))).map_err(
        |not_frozen| match not_frozen {
            NotFrozen::System(error) => error.raw_os_error().unwrap_or(libc::ENOMEM),
            NotFrozen::Unfit(_) => libc::EINVAL,
        },
    )
}
