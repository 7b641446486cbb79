//! The far end in a worker process.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;

use super::message::{self, Message};
use crate::arrival::Arrived;
use crate::backend::{FarEnd, Job, MAX_SAID};
use crate::control::{Control, Received};
use crate::frame::{Body, Frozen};
use crate::futex;
use crate::high_fd::move_high;
use crate::memfd::{self, Access, Mapping, NotFrozen};
use crate::shared_value::{SharedValue, SharedValues};
use crate::shelf::{ANNOUNCEMENT, Kept};
use crate::slot::layout::{outcome, request};
use crate::slot::parent::Memory;
use crate::slot::region::Region;
use crate::slot::word::Word;
use crate::slot::worker::{Closing, TakenBulk, TakenLarge, WorkerEnd, WorkerSide};
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
    let mail = Arc::new(Mutex::new(Mail {
        control: &arrived.control,
        large: HashMap::new(),
        wanted: 0,
        bulks: HashMap::new(),
        shelf: None,
        buffer: bytes,
    }));
    let values = Arc::new(Values { mail: Arc::clone(&mail), kept: Arc::default() });
    let side = Channel { bell, outcome, control: &arrived.control, mail };
    Ok(Box::new(SharedFarEnd { end: WorkerEnd::new(memory, closing, side), boot: arrived.boot.as_ref(), values }))
}

struct SharedFarEnd {
    end: WorkerEnd<Channel>,
    boot: &'static [u8],
    values: Arc<Values>,
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

    fn shared_values(&self) -> Arc<dyn SharedValues> {
        Arc::<Values>::clone(&self.values)
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
    mail: Arc<Mutex<Mail>>,
}

/// What came on the control channel and was not asked for yet.
struct Mail {
    control: &'static Control,
    /// Payloads that came before the frames that they belong to.
    large: HashMap<u64, Result<Body, i32>>,
    /// Those of lower numbers are not asked for any more.
    wanted: u64,
    /// Recycled memory that came before the frames that it is for.
    bulks: HashMap<u32, Result<Memory, i32>>,
    /// The channel of shared values, or the system's error number where it did not get in.
    shelf: Option<Result<OwnedFd, i32>>,
    buffer: Vec<u8>,
}

impl Mail {
    /// Takes in the next message and waits for it. `None`: the parent is gone.
    fn receive(&mut self) -> Option<()> {
        let Ok(Received::Message { mut fds }) = self.control.receive_waiting(&mut self.buffer) else { return None };
        if self.buffer == ANNOUNCEMENT {
            self.shelf = Some(fds.pop().ok_or(libc::EMFILE));
            return Some(());
        }
        match message::parse(&self.buffer) {
            Some(Message::Large { id, len }) if id >= self.wanted => {
                // No descriptor: this process has no numbers left for one.
                let body = fds.pop().ok_or(libc::EMFILE).and_then(|fd| open(fd, len));
                self.large.insert(id, body);
            }
            Some(Message::Bulk { id, len }) => {
                self.bulks.insert(id, open_bulk(fds, len));
            }
            _ => {}
        }
        Some(())
    }
}

/// The shared values that came with frames, and how to get at the first.
struct Values {
    mail: Arc<Mutex<Mail>>,
    kept: Arc<Kept>,
}

impl SharedValues for Values {
    fn take(&self, id: u64) -> io::Result<SharedValue> {
        self.kept.started_with(|| {
            let mut mail = self.mail.lock();
            loop {
                if let Some(shelf) = mail.shelf.take() {
                    return shelf.map_err(io::Error::from_raw_os_error);
                }
                let Some(()) = mail.receive() else { return Err(io::Error::from(io::ErrorKind::BrokenPipe)) };
            }
        })?;
        self.kept.take(id)
    }
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
        let mut mail = self.mail.lock();
        mail.wanted = wanted;
        mail.large.retain(|&id, _| id >= wanted);
        loop {
            if let Some(body) = mail.large.remove(&wanted) {
                return body.map_or_else(TakenLarge::Failed, TakenLarge::Taken);
            }
            let Some(()) = mail.receive() else { return TakenLarge::Gone };
        }
    }

    fn take_bulk(&mut self, wanted: u32) -> TakenBulk {
        let mut mail = self.mail.lock();
        mail.bulks.retain(|&id, _| id >= wanted);
        loop {
            match mail.bulks.remove(&wanted) {
                Some(Ok(memory)) => return TakenBulk::Taken(memory),
                Some(Err(errno)) => {
                    // Frames that were posted meanwhile ask for it, too, and it comes but once.
                    mail.bulks.insert(wanted, Err(errno));
                    return TakenBulk::Failed(errno);
                }
                None => {}
            }
            let Some(()) = mail.receive() else { return TakenBulk::Gone };
        }
    }

    fn send_large(&mut self, id: u64, pieces: &[&[u8]]) -> Result<(), i32> {
        let errno = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let memory = memfd::freeze_pieces(pieces).map_err(errno)?;
        let len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let message = message::large(id, len as u64);
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

/// Maps recycled memory.
fn open_bulk(fds: Vec<OwnedFd>, len: u64) -> Result<Memory, i32> {
    let [request, outcome] = <[OwnedFd; 2]>::try_from(fds).map_err(|_| libc::EMFILE)?;
    let len = usize::try_from(len).map_err(|_| libc::EOVERFLOW)?;
    let map = |fd: &OwnedFd, access| {
        let mapping = Mapping::map(fd.as_fd(), len, access);
        mapping.map(Region::mapped).map_err(|error| error.raw_os_error().unwrap_or(libc::ENOMEM))
    };
    Ok(Memory { request: map(&request, Access::Read)?, outcome: map(&outcome, Access::ReadWrite)? })
}
