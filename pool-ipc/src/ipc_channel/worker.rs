//! The far end in a worker process.
//!
//! What holds: an item is announced as begun before it is handed out, so that a death is blamed on the right one; the
//! parent hears the bell after each outcome. The descriptors of the channels have high numbers, like all that a task could
//! close by accident; where one was closed nevertheless, the worker ends, as nobody would hear of its work.

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use rustix::io::Errno;

use super::meeting::{self, FarEnds};
use super::message::{self, Answer, Place, Request, VERSION};
use super::packet::{self, Content, Memory, Packet};
use crate::arrival::Arrived;
use crate::backend::{FarEnd, Job, MAX_SAID};
use crate::clock;
use crate::control::{Control, Received};
use crate::high_fd::move_high;
use crate::memfd;
use crate::shared_value::{SharedValue, SharedValues};
use crate::shelf::{ANNOUNCEMENT, Kept};
use crate::terms::{Assignment, Written};

/// Descriptors below are left to tasks.
const LOW: i32 = 200;

/// How many numbers are left free where the limit on descriptors is below [`LOW`].
const NEEDED: usize = 16;

/// Meets the parent, and stands ready to serve.
///
/// # Errors
/// The parent is of another build, or this process has no descriptors or memory.
pub(crate) fn far_end(arrived: Arrived) -> io::Result<Box<dyn FarEnd>> {
    // The channel stays open for as long as the process lives, also where this fails, as in `arrival::arrive`.
    let arrived = ManuallyDrop::new(arrived);
    let (nonce, door, bell) = receive_welcome(&arrived.control)?;
    let low_numbers = take_low_numbers()?;
    meeting::prepare_crate()?;
    let FarEnds { requests, answers, closer } = meeting::attend(door.as_fd(), nonce)?;
    let bell = move_high(bell.as_fd())?;
    drop((low_numbers, door));
    arrived.control.send_waiting(&message::Control::Knocked.write(), &[])?;
    let close = Packet::bytes(Request::Close.write());
    arrived.watch(Box::new(move || {
        packet::send(&closer, &close).unwrap_or_else(|error| end_broken(&error));
        // Closed with the process.
        std::mem::forget(closer);
    }));
    let arrived = ManuallyDrop::into_inner(arrived);
    let (requests, answers) = (ManuallyDrop::new(requests), ManuallyDrop::new(answers));
    let wire = Wire { requests, answers, bell };
    // Open for as long as the process lives.
    let control: &'static Control = Box::leak(Box::new(arrived.control));
    let values = Arc::new(Values { control, kept: Arc::default() });
    Ok(Box::new(ChannelFarEnd { wire, boot: arrived.boot, assignment: Arc::default(), values }))
}

/// The number to prove, the door, and the doorbell.
fn receive_welcome(control: &Control) -> io::Result<(u64, OwnedFd, OwnedFd)> {
    let mut bytes = Vec::new();
    let fds = match control.receive_waiting(&mut bytes)? {
        Received::Message { fds } => fds,
        other => return Err(io::Error::other(format!("no welcome from the parent: {other:?}"))),
    };
    let nonce = match message::Control::read(&bytes) {
        Some(message::Control::Welcome { version: VERSION, nonce }) => nonce,
        _ => return Err(io::Error::other("the parent's links are of another layout")),
    };
    let [door, bell] = <[OwnedFd; 2]>::try_from(fds)
        .map_err(|fds| io::Error::other(format!("{} of 2 descriptors arrived", fds.len())))?;
    Ok((nonce, door, bell))
}

/// Takes all low descriptor numbers, so that what the crate opens meanwhile has high ones: it offers no way to move them.
fn take_low_numbers() -> io::Result<Vec<OwnedFd>> {
    let mut taken = Vec::new();
    loop {
        match rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 0) {
            Ok(fd) if fd.as_raw_fd() < LOW => taken.push(fd),
            Ok(_) => return Ok(taken),
            Err(Errno::MFILE) => {
                taken.truncate(taken.len().saturating_sub(NEEDED));
                return Ok(taken);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

struct ChannelFarEnd {
    wire: Wire,
    boot: memfd::Frozen,
    assignment: Arc<ChannelAssignment>,
    values: Arc<Values>,
}

/// The shared values that came with frames. Nothing but their channel comes on the control channel after the welcome.
struct Values {
    control: &'static Control,
    kept: Arc<Kept>,
}

impl SharedValues for Values {
    fn take(&self, id: u64) -> io::Result<SharedValue> {
        self.kept.started_with(|| {
            let mut buffer = Vec::new();
            match self.control.receive_waiting(&mut buffer)? {
                Received::Message { mut fds } if buffer == ANNOUNCEMENT => {
                    fds.pop().ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))
                }
                _ => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            }
        })?;
        self.kept.take(id)
    }
}

/// What the parent said of the frame that is run.
#[derive(Default)]
struct ChannelAssignment {
    attempt: AtomicU32,
    timeout: AtomicU64,
    deadline: AtomicU64,
    begun: AtomicU64,
}

impl ChannelAssignment {
    fn set(&self, terms: Written) {
        self.attempt.store(terms.attempt, Ordering::Relaxed);
        self.timeout.store(terms.timeout, Ordering::Relaxed);
        self.deadline.store(terms.deadline, Ordering::Relaxed);
    }

    fn terms(&self) -> Written {
        let [timeout, deadline] = [&self.timeout, &self.deadline].map(|field| field.load(Ordering::Relaxed));
        Written { attempt: self.attempt.load(Ordering::Relaxed), timeout, deadline }
    }
}

impl Assignment for ChannelAssignment {
    fn attempt(&self) -> u32 {
        self.terms().attempt
    }

    fn stops_at(&self) -> Option<Instant> {
        self.terms().stops_at(self.begun.load(Ordering::Relaxed))
    }

    /// No channel tells of it while an item runs.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl FarEnd for ChannelFarEnd {
    fn boot(&self) -> &[u8] {
        self.boot.as_ref()
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MAX_SAID {
            return Err(io::Error::other(format!("a message of {} bytes, {MAX_SAID} are allowed", bytes.len())));
        }
        packet::send(&self.wire.answers, &Packet::bytes(Answer::Said(bytes).write()))?;
        self.wire.ring();
        Ok(())
    }

    fn assignment(&self) -> Arc<dyn Assignment> {
        Arc::<ChannelAssignment>::clone(&self.assignment)
    }

    fn shared_values(&self) -> Arc<dyn SharedValues> {
        Arc::<Values>::clone(&self.values)
    }

    fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job)) {
        while let Some(frame) = self.wire.next_frame() {
            self.assignment.set(frame.terms);
            let mut job = ChannelJob::new(&self.wire, &self.assignment, frame);
            match job.payload {
                Payload::Missing { size, errno } => job.fail(size, errno),
                Payload::Inline(_) | Payload::Memory(_) => work(&mut job),
            }
            job.leave();
            self.assignment.set(Written::default());
        }
    }
}

/// The channels and the doorbell. The crate's ends and the control channel close with the process: the crate panics when
/// it closes a descriptor that a task has closed before.
struct Wire {
    requests: ManuallyDrop<IpcReceiver<Packet>>,
    answers: ManuallyDrop<IpcSender<Packet>>,
    bell: OwnedFd,
}

/// A frame as it arrived.
struct Arrival {
    items: Range<u32>,
    terms: Written,
    payload: Payload,
}

/// Where the request is.
enum Payload {
    /// In a message.
    Inline(Packet),
    /// In shared memory.
    Memory(Memory),
    /// Nowhere: it did not get in.
    Missing { size: u64, errno: i32 },
}

impl Wire {
    /// Waits for the next frame. `None`: nothing more will come.
    fn next_frame(&self) -> Option<Arrival> {
        let mut mail = Err(libc::EMFILE);
        loop {
            let packet = match packet::receive_waiting(&self.requests) {
                packet::Received::Packet(packet) => packet,
                packet::Received::Lost => {
                    mail = Err(libc::ENOMEM);
                    continue;
                }
                packet::Received::Garbage | packet::Received::Nothing | packet::Received::Closed => return None,
            };
            let (items, terms, payload) = match packet.content() {
                Content::Bytes(bytes) => match Request::read(bytes)? {
                    Request::Close => return None,
                    Request::Frame { first, end, terms, payload } => (first..end, terms, in_memory(payload)),
                },
                Content::Memory(_) | Content::Malformed => {
                    mail = packet.into_memory().ok_or(libc::EMFILE);
                    continue;
                }
            };
            let payload = match (payload, mail) {
                (None, _) => Payload::Inline(packet),
                (Some(_), Ok(memory)) => Payload::Memory(memory),
                (Some(size), Err(errno)) => Payload::Missing { size, errno },
            };
            return Some(Arrival { items, terms, payload });
        }
    }

    /// Sends an answer; ends this process if that fails, as nobody would hear of it any more.
    fn answer(&self, answer: &Answer<'_>) {
        packet::send(&self.answers, &Packet::bytes(answer.write())).unwrap_or_else(|error| end_broken(&error));
    }

    /// Sends what came of an item, and rings.
    fn finish(&self, item: u32, bytes: &[u8]) {
        if packet::needs_memory(bytes.len()) {
            let size = bytes.len() as u64;
            match self.send_memory(bytes) {
                Ok(()) => self.answer(&Answer::Finished { item, result: Place::Memory(size) }),
                Err(errno) => self.answer(&Answer::Failed { item, size, errno }),
            }
        } else {
            self.answer(&Answer::Finished { item, result: Place::Inline(bytes) });
        }
        self.ring();
    }

    fn send_memory(&self, bytes: &[u8]) -> Result<(), i32> {
        let memory = packet::memory_of(bytes)?;
        packet::send(&self.answers, &Packet::memory(memory))
            .map_err(|error| packet::want(&error).unwrap_or_else(|| end_broken(&error)))
    }

    fn ring(&self) {
        match rustix::io::write(&self.bell, &1u64.to_ne_bytes()) {
            // As good as rung, 2^64 times over.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(errno) => end_broken(&errno.into()),
        }
    }
}

/// The size of a payload that is not in the message itself.
fn in_memory(payload: Place<'_>) -> Option<u64> {
    match payload {
        Place::Inline(_) => None,
        Place::Memory(size) => Some(size),
    }
}

/// A task closed a descriptor that was not its own, or the parent is gone.
fn end_broken(error: &io::Error) -> ! {
    crate::tell!(Error, "this worker's way to its parent is broken: {error}");
    std::process::exit(1)
}

/// One frame in the worker's hands.
struct ChannelJob<'a> {
    wire: &'a Wire,
    assignment: &'a ChannelAssignment,
    payload: Payload,
    /// What was not begun yet.
    items: Range<u32>,
    /// What was begun and not ended.
    claimed: Option<u32>,
}

impl<'a> ChannelJob<'a> {
    fn new(wire: &'a Wire, assignment: &'a ChannelAssignment, arrival: Arrival) -> Self {
        let Arrival { items, payload, .. } = arrival;
        Self { wire, assignment, payload, items, claimed: None }
    }

    /// Ends every item of a frame whose payload found no room here.
    fn fail(&mut self, size: u64, errno: i32) {
        while let Some(item) = self.claim() {
            self.wire.answer(&Answer::Failed { item, size, errno });
            self.wire.ring();
            self.claimed = None;
        }
    }

    /// Gives back what nobody claimed, and the memory.
    fn leave(self) {
        if !self.items.is_empty() {
            self.wire.answer(&Answer::Declined { from: self.items.start });
            self.wire.ring();
        }
        // It panics where a task has closed the descriptor of the memory.
        let _dropped = packet::guarded(|| drop(self.payload));
    }
}

impl Job for ChannelJob<'_> {
    fn request(&self) -> &[u8] {
        match &self.payload {
            Payload::Memory(memory) => memory,
            Payload::Missing { .. } => &[],
            Payload::Inline(packet) => match packet.content() {
                Content::Bytes(bytes) => match Request::read(bytes) {
                    Some(Request::Frame { payload: Place::Inline(payload), .. }) => payload,
                    _ => &[],
                },
                Content::Memory(_) | Content::Malformed => &[],
            },
        }
    }

    fn claim(&mut self) -> Option<u32> {
        if self.claimed.is_some() {
            return None;
        }
        let item = self.items.next()?;
        let at = if self.assignment.terms().is_timed() { clock::ticks() } else { 0 };
        self.assignment.begun.store(at, Ordering::Relaxed);
        // Not rung: nobody waits for it, and who asks reads it.
        self.wire.answer(&Answer::Begun { item, at });
        self.claimed = Some(item);
        Some(item)
    }

    fn publish(&mut self, outcome: &[u8]) {
        if let Some(item) = self.claimed.take() {
            self.wire.finish(item, outcome);
        }
    }
}
