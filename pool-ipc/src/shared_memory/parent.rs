//! The parent's end of a worker process.
//!
//! What comes from the worker is judged where it enters: messages here, words and records in the slots. A worker that
//! breaks the protocol is killed; its end is then told like any other, with what it did.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::message::{self, Message};
use crate::backend::{Corrupt, Link, LinkEvent, LinkId, Load, Refused, Share, Ticket};
use crate::child::Child;
use crate::control::{Control, Received, Sent};
use crate::frame::{Body, Frame, Frozen, Undelivered};
use crate::futex;
use crate::hub::{ProcessLink, Source};
use crate::look::Next;
use crate::memfd::{self, Access, Mapping, NotFrozen};
use crate::shared_value::SharedValue;
use crate::shelf::Shelf;
use crate::slot::layout::SLOTS;
use crate::slot::parent::{Memory, ParentEnd, ParentSide, SentLarge};
use crate::slot::region::Region;
use crate::slot::worker::LARGE_A_FRAME;
use crate::stderr::Ear;
use crate::terms::Running;

/// How many outcomes in memory of their own may wait to be taken: what an honest worker can have under way.
const MAX_MAIL: usize = SLOTS * (LARGE_A_FRAME + 1);

/// How many messages a worker may have said without being heard. An honest one says one.
const MAX_UNHEARD: usize = 64;

/// A link over shared memory.
#[derive(Debug)]
pub(super) struct SharedLink {
    pid: u32,
    slots: ParentEnd<Channel>,
    bell: OwnedFd,
    child: Mutex<Child>,
    /// Whether the log has been told that it is not believed any more.
    accused: AtomicBool,
    ear: Option<Ear>,
}

impl SharedLink {
    pub(super) fn new(
        id: LinkId,
        memory: Memory,
        growth: Growth,
        bell: OwnedFd,
        child: Child,
        control: Control,
        ear: Option<Ear>,
    ) -> Self {
        let slots = ParentEnd::new(id, Arc::new(memory), Channel::new(growth, control));
        Self { pid: child.pid(), slots, bell, child: Mutex::new(child), accused: AtomicBool::new(false), ear }
    }

    fn hear(&self, events: &mut Vec<LinkEvent>) {
        let link = self.slots.id();
        let said = self.slots.side().take_said();
        events.extend(said.into_iter().map(|bytes| LinkEvent::Said { link, bytes }));
    }

    /// Ends a worker that is not to be believed. Its end comes as an event.
    fn condemn(&self, corrupt: Corrupt) {
        if !self.accused.swap(true, Ordering::Relaxed) {
            crate::tell!(Error, "worker {} is stopped: {corrupt}", self.pid);
        }
        self.slots.condemn(corrupt);
        self.child.lock().signal(libc::SIGKILL, true);
    }
}

impl Link for SharedLink {
    fn id(&self) -> LinkId {
        self.slots.id()
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        self.slots.post(frame)
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        self.slots.recall(ticket)
    }

    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        self.slots.recall_tail(share)
    }

    fn unclaimed(&self) -> usize {
        self.slots.unclaimed()
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.slots.is_running(ticket, item)
    }

    fn running(&self) -> Option<Running> {
        self.slots.running()
    }

    fn load(&self) -> Load {
        self.slots.load()
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.slots.shortest_timeout()
    }

    fn resident(&self) -> Option<u64> {
        self.child.lock().resident()
    }

    fn cancel(&self, ticket: Ticket) {
        self.slots.cancel(ticket);
    }

    fn outstanding(&self) -> usize {
        self.slots.outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        if let Err(corrupt) = self.slots.collect(events) {
            self.condemn(corrupt);
        }
        // Taking a large outcome may have read other messages, too.
        self.hear(events);
    }

    fn close(&self) {
        self.slots.close();
        self.slots.side().control.close_sending();
    }

    fn signal(&self, signal: i32, group: bool) -> bool {
        self.child.lock().signal(signal, group)
    }
}

impl ProcessLink for SharedLink {
    fn peek(&self, events: &mut Vec<LinkEvent>) {
        if let Err(corrupt) = self.slots.peek(events) {
            self.condemn(corrupt);
        }
    }

    fn disarm(&self) {
        self.slots.disarm();
    }

    fn rests_at(&self) -> Option<Instant> {
        self.slots.rests_at()
    }

    fn rest(&self, now: Instant) {
        self.slots.release(now);
    }

    fn on_bell(&self, events: &mut Vec<LinkEvent>) -> Next {
        let next = self.slots.collect_by_turns(events).unwrap_or_else(|corrupt| {
            self.condemn(corrupt);
            Next::Ring
        });
        self.hear(events);
        next
    }

    fn on_control(&self, events: &mut Vec<LinkEvent>) {
        let drained = self.slots.side().drain();
        self.hear(events);
        match drained {
            Ok(Drained::Empty) => {}
            // It has ended, or has closed the channel under its own feet and cannot work any more.
            Ok(Drained::Eof) => self.child.lock().kill_on_hang_up(),
            Err(corrupt) => self.condemn(corrupt),
        }
    }

    fn on_exit(&self, events: &mut Vec<LinkEvent>) {
        // A channel that another process holds open never reports its end: read what is there.
        if let Err(corrupt) = self.slots.side().drain() {
            self.slots.condemn(corrupt);
        }
        self.hear(events);
        let (corrupt, lost) = self.slots.finish(events);
        let child = self.child.lock();
        child.end_group();
        let (link, cause, postmortem) = (self.slots.id(), child.reap(), child.postmortem());
        drop(child);
        let stderr = self.ear.as_ref().and_then(Ear::last_lines);
        events.push(LinkEvent::Ended { link, pid: self.pid, cause, corrupt, postmortem, lost, stderr });
    }

    fn register(&self, add: &mut dyn FnMut(Source, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        add(Source::Bell, self.bell.as_fd())?;
        add(Source::Control, self.slots.side().control.as_fd())?;
        add(Source::Exit, self.child.lock().as_fd())
    }
}

/// The control channel, and what came on it and was not asked for yet.
#[derive(Debug)]
struct Channel {
    growth: Growth,
    control: Control,
    inbox: Mutex<Inbox>,
    /// Something was said and not told yet. Changed under the lock of the inbox, and looked at without.
    unheard: AtomicBool,
    shelf: Arc<Shelf>,
}

/// How more of the request memory is committed.
#[derive(Debug)]
pub(super) enum Growth {
    /// By the mapping, so that a link has no descriptor for this.
    ByMapping,
    /// By this descriptor of it, where the kernel knows no other way.
    ByDescriptor(OwnedFd),
}

impl Growth {
    /// The best way that there is for the memory of that descriptor.
    pub(super) fn of(memory: OwnedFd) -> Self {
        if memfd::commits_mappings() { Self::ByMapping } else { Self::ByDescriptor(memory) }
    }

    fn commit(&self, memory: &Region, offset: u64, len: u64) -> io::Result<()> {
        match self {
            // Memory that is mapped is counted in usize.
            Self::ByMapping => memory.commit(offset as usize, len as usize),
            Self::ByDescriptor(memory) => memfd::commit(memory.as_fd(), offset, len),
        }
    }
}

#[derive(Debug, Default)]
struct Inbox {
    /// Outcomes in memory of their own, checked and mapped on arrival so that no descriptors pile up.
    mail: HashMap<u64, (u64, Result<Body, i32>)>,
    said: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

/// How reading the channel to its end went.
enum Drained {
    Empty,
    Eof,
}

impl Channel {
    fn new(growth: Growth, control: Control) -> Self {
        Self { growth, control, inbox: Mutex::default(), unheard: AtomicBool::new(false), shelf: Shelf::new() }
    }

    fn drain(&self) -> Result<Drained, Corrupt> {
        let mut inbox = self.inbox.lock();
        let mut buffer = std::mem::take(&mut inbox.buffer);
        let result = loop {
            match self.control.receive(&mut buffer) {
                Ok(Received::Message { fds }) => {
                    if let Err(corrupt) = inbox.accept(&buffer, fds) {
                        break Err(corrupt);
                    }
                }
                Ok(Received::Nothing) => break Ok(Drained::Empty),
                Ok(Received::Eof) => break Ok(Drained::Eof),
                Ok(Received::Malformed(what)) => break Err(Corrupt::Message { what }),
                Err(error) => {
                    crate::tell!(Warn, "reading a control channel: {error}");
                    break Ok(Drained::Empty);
                }
            }
        };
        inbox.buffer = buffer;
        self.unheard.store(!inbox.said.is_empty(), Ordering::Release);
        result
    }

    /// What was said since this was asked last.
    fn take_said(&self) -> Vec<Vec<u8>> {
        if !self.unheard.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut inbox = self.inbox.lock();
        self.unheard.store(false, Ordering::Release);
        std::mem::take(&mut inbox.said)
    }
}

impl Inbox {
    fn accept(&mut self, message: &[u8], mut fds: Vec<OwnedFd>) -> Result<(), Corrupt> {
        match message::parse(message) {
            Some(Message::Said(bytes)) if fds.is_empty() && self.said.len() < MAX_UNHEARD => {
                self.said.push(bytes.to_vec());
                Ok(())
            }
            // Numbers are never used twice, so what is kept here stays bounded whatever a worker sends.
            Some(Message::Large { id, len })
                if self.mail.len() < MAX_MAIL && fds.len() <= 1 && !self.mail.contains_key(&id) =>
            {
                let body = match fds.pop().map(|fd| memfd::Frozen::open(fd, len)) {
                    Some(Ok(frozen)) => Ok(Body::frozen(Frozen::Memfd(frozen))),
                    Some(Err(NotFrozen::Unfit(what))) => return Err(Corrupt::Descriptor { what }),
                    Some(Err(NotFrozen::System(error))) => Err(error.raw_os_error().unwrap_or(libc::ENOMEM)),
                    // This process has no descriptor numbers left, so it did not get in.
                    None => Err(libc::EMFILE),
                };
                self.mail.insert(id, (len, body));
                Ok(())
            }
            _ => Err(Corrupt::Message { what: "it has no meaning here" }),
        }
    }
}

impl ParentSide for Channel {
    fn wake(&self, word: &AtomicU64) {
        futex::wake(word);
    }

    fn commit(&self, requests: &Region, offset: u64, len: u64) -> bool {
        self.growth.commit(requests, offset, len).is_ok()
    }

    fn freeze(&self, payload: Body) -> Result<Body, (Body, i32)> {
        if descriptor(&payload).is_some() {
            return Ok(payload);
        }
        let len = payload.len() as u64;
        let frozen = memfd::freeze_pieces(&payload.pieces()).map_err(NotFrozen::System);
        match frozen.and_then(|fd| memfd::Frozen::keep(fd, len)) {
            Ok(frozen) => Ok(Body::frozen(Frozen::Memfd(frozen))),
            Err(NotFrozen::System(error)) => Err((payload, error.raw_os_error().unwrap_or(libc::ENOMEM))),
            Err(NotFrozen::Unfit(_)) => Err((payload, libc::EINVAL)),
        }
    }

    fn send_large(&self, id: u64, payload: &Body) -> SentLarge {
        // One for the arena, which is full, may be no memfd yet, and one that came from a worker has kept no descriptor.
        let payload = match self.freeze(payload.clone()) {
            Ok(payload) => payload,
            Err((_, errno)) => return SentLarge::Failed(errno),
        };
        let Some(fd) = descriptor(&payload) else { return SentLarge::Failed(libc::EINVAL) };
        match self.control.send(&message::large(id, payload.len() as u64), &[fd]) {
            Ok(Sent::Whole) => SentLarge::Sent,
            Ok(Sent::Full) => SentLarge::Full,
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => SentLarge::Gone,
                errno => SentLarge::Failed(errno.map_or(libc::EIO, Errno::raw_os_error)),
            },
        }
    }

    fn bring(&self, values: &[SharedValue]) -> SentLarge {
        self.shelf.bring(&self.control, values)
    }

    fn take_large(&self, id: u64, len: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
        self.drain()?;
        let mail = self.inbox.lock().mail.remove(&id).filter(|&(sent, _)| sent == len);
        let (_, body) = mail.ok_or(Corrupt::Message { what: "an outcome was announced and not sent" })?;
        Ok(body.map_err(|errno| Undelivered { size: len, errno }))
    }

    fn make_bulk(&self, id: u32, len: usize) -> Option<Memory> {
        // What there is no room for goes another way, which has an error where that is none either.
        bulk(&self.control, id, len).ok()
    }
}

/// What a payload that lies in a memfd of its own can be sent by.
fn descriptor(payload: &Body) -> Option<BorrowedFd<'_>> {
    if let Frozen::Memfd(frozen) = &*payload.memory()?.0 { frozen.fd() } else { None }
}

/// Makes the two memories, and sends them to the worker.
fn bulk(control: &Control, id: u32, len: usize) -> io::Result<Memory> {
    let request = memfd::create("pool-bulk-requests", len)?;
    let outcome = memfd::create("pool-bulk-outcomes", len)?;
    memfd::commit(request.as_fd(), 0, len as u64)?;
    memfd::commit(outcome.as_fd(), 0, len as u64)?;
    let map = |fd| Mapping::map(fd, len, Access::ReadWrite).map(Region::mapped);
    let memory = Memory { request: map(request.as_fd())?, outcome: map(outcome.as_fd())? };
    // As with all requests: ours stays the only writable view of it.
    memfd::seal(request.as_fd(), SealFlags::FUTURE_WRITE)?;
    match control.send(&message::bulk(id, len as u64), &[request.as_fd(), outcome.as_fd()])? {
        Sent::Whole => Ok(memory),
        Sent::Full => Err(io::Error::other("the channel is full")),
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may come along with a message.
    fn descriptor(kind: u8) -> OwnedFd {
        match kind {
            0 => std::fs::File::open("/dev/null").expect("it is there").into(),
            1 => memfd::create("open", 3).expect("there is memory"),
            _ => memfd::freeze(b"abc").expect("there is memory"),
        }
    }

    proptest! {
        /// Whatever a worker sends is taken or judged, and what is kept of it is bounded.
        #[test]
        fn random_messages_are_judged_without_a_panic(
            messages in prop::collection::vec(
                (
                    prop_oneof![
                        any::<Vec<u8>>(),
                        (0u64..40, 0u64..5).prop_map(|(id, len)| message::large(id, len)),
                        any::<Vec<u8>>().prop_map(|said| message::said(&said)),
                    ],
                    prop::collection::vec(0u8..3, 0..3),
                ),
                0..200,
            ),
        ) {
            let mut inbox = Inbox::default();
            for (bytes, kinds) in messages {
                let verdict = inbox.accept(&bytes, kinds.iter().map(|&kind| descriptor(kind)).collect());
                prop_assert!(verdict.is_err() || message::parse(&bytes).is_some());
                prop_assert!(inbox.said.len() <= MAX_UNHEARD && inbox.mail.len() <= MAX_MAIL);
            }
            for (len, body) in inbox.mail.into_values() {
                prop_assert!(body.map_or(true, |body| body.len() as u64 == len));
            }
        }
    }
}
