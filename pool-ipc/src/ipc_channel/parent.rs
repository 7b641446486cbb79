//! The parent's end of a worker process on channels.
//!
//! What holds: nothing here waits for the worker. A send finds room because the worker has read the former frame before it
//! answered it; a receive takes what is there. What comes from the worker is judged by the [`Ledger`]; a worker that
//! breaks the protocol is killed, and its end is then told like any other, with what it did.
//!
//! A worker rings after what there is to report, and not when it begins an item: that is read with the next report, or
//! when somebody asks for it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipc_channel::ipc::IpcSharedMemory;
use parking_lot::Mutex;

use super::ledger::Ledger;
use super::meeting::{Ends, Meeting, Missed};
use super::message::{self, Answer, Place, Request};
use super::packet::{self, Content, Packet, Received};
use crate::backend::{Corrupt, Link, LinkEvent, LinkId, Refused, RefusedWhy, Ticket};
use crate::child::Child;
use crate::control::{self, Control};
use crate::frame::{Body, Frame, MAX_ITEMS};
use crate::hub::{ProcessLink, Source};

/// How many messages a worker may have said without being heard. An honest one says one.
const MAX_UNHEARD: usize = 64;

/// A link over channels.
pub(super) struct ChannelLink {
    id: LinkId,
    pid: u32,
    bell: OwnedFd,
    control: Control,
    child: Mutex<Child>,
    state: Mutex<State>,
}

/// What changes.
struct State {
    passage: Passage,
    ledger: Ledger,
    /// Set by `close`, or by the worker's end.
    closed: bool,
    /// Set once the worker broke the protocol; nothing more is read from it.
    corrupt: Option<Corrupt>,
    /// Read from the channel, and not reported yet. Bounded by the items of one frame and [`MAX_UNHEARD`].
    ready: Vec<LinkEvent>,
}

/// How far the worker has come. Moves down only.
enum Passage {
    /// It has not knocked yet. What was posted waits here: one frame, or nothing.
    Awaited { meeting: Meeting, waiting: Vec<Packet> },
    /// The channels are there.
    Open(Ends),
    /// The worker has ended, or could not be met.
    Shut,
}

/// A worker that is to be killed once no lock is held.
#[must_use]
enum Verdict {
    GoOn,
    Kill,
}

impl ChannelLink {
    pub(super) fn new(id: LinkId, meeting: Meeting, bell: OwnedFd, child: Child, control: Control) -> Self {
        let passage = Passage::Awaited { meeting, waiting: Vec::new() };
        let (ledger, ready) = (Ledger::new(id), Vec::new());
        let state = State { passage, ledger, closed: false, corrupt: None, ready };
        Self { id, pid: child.pid(), bell, control, child: Mutex::new(child), state: Mutex::new(state) }
    }

    /// Reads what the worker has sent, looks, and kills the worker if it broke the protocol.
    fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let (verdict, seen) = {
            let mut state = self.state.lock();
            (state.pump(), look(&mut state))
        };
        self.carry_out(verdict);
        seen
    }

    fn carry_out(&self, verdict: Verdict) {
        if let Verdict::Kill = verdict {
            self.child.lock().signal(libc::SIGKILL, true);
        }
    }

    /// Reads the control channel until it is empty. What came on the other one before, counts before.
    fn hear(&self, state: &mut State) -> Verdict {
        if let Verdict::Kill = state.pump() {
            return Verdict::Kill;
        }
        let mut buffer = Vec::new();
        loop {
            match self.control.receive(&mut buffer) {
                Ok(control::Received::Message { fds }) => {
                    let knocked = message::Control::read(&buffer) == Some(message::Control::Knocked);
                    let verdict = if knocked && fds.is_empty() { state.meet() } else { state.condemn(NO_KNOCK) };
                    if let Verdict::Kill = verdict {
                        return Verdict::Kill;
                    }
                    self.pass_on_close(state);
                }
                Ok(control::Received::Nothing) => return Verdict::GoOn,
                // It has ended, or has closed the channel under its own feet and cannot work any more.
                Ok(control::Received::Eof) => return Verdict::Kill,
                Ok(control::Received::Malformed(what)) => return state.condemn(Corrupt::Message { what }),
                Err(error) => {
                    log::warn!("reading a control channel: {error}");
                    return Verdict::GoOn;
                }
            }
        }
    }

    /// Lets the worker end after what it was sent; later, if there is something that it still has to be sent.
    fn pass_on_close(&self, state: &State) {
        let all_sent = !matches!(&state.passage, Passage::Awaited { waiting, .. } if !waiting.is_empty());
        if state.closed && all_sent {
            self.control.close_sending();
        }
    }
}

/// What no worker of ours says on the control channel.
const NO_KNOCK: Corrupt = Corrupt::Message { what: "it has no meaning here" };

/// What no worker of ours sends on its channel.
const NO_PACKET: Corrupt = Corrupt::Message { what: "no packet of ours" };

impl State {
    /// Takes the channels that the worker has brought, and sends what waited for them.
    fn meet(&mut self) -> Verdict {
        let passage = std::mem::replace(&mut self.passage, Passage::Shut);
        let Passage::Awaited { meeting, waiting } = passage else {
            self.passage = passage;
            return self.condemn(NO_KNOCK);
        };
        match meeting.accept() {
            Ok(ends) => {
                let sent = waiting.iter().try_for_each(|packet| packet::send(&ends.requests, packet));
                self.passage = Passage::Open(ends);
                match sent {
                    Ok(()) => self.pump(),
                    Err(error) => self.give_up(&error),
                }
            }
            Err(Missed::Stranger(corrupt)) => self.condemn(corrupt),
            Err(Missed::System(error)) => self.give_up(&error),
        }
    }

    /// The worker cannot be reached, or is gone already; its end will give back what it was to run.
    fn give_up(&mut self, error: &io::Error) -> Verdict {
        log::error!("a new worker could not be reached: {error}");
        self.closed = true;
        Verdict::Kill
    }

    /// Reads the channel until it is empty. An honest worker's answers to one frame are all that can be in it, and what
    /// it says besides is counted.
    fn pump(&mut self) -> Verdict {
        while self.corrupt.is_none() {
            let Passage::Open(ends) = &self.passage else { break };
            let booked = match packet::receive(&ends.answers) {
                Received::Packet(packet) => self.book(&packet),
                Received::Lost => self.book_memory(|| Err(libc::ENOMEM)),
                Received::Garbage => Err(NO_PACKET),
                Received::Nothing | Received::Closed => break,
            };
            if let Err(corrupt) = booked {
                return self.condemn(corrupt);
            }
        }
        Verdict::GoOn
    }

    fn book(&mut self, packet: &Packet) -> Result<(), Corrupt> {
        match packet.content() {
            Content::Bytes(bytes) => {
                let answer = Answer::read(bytes).ok_or(Corrupt::Message { what: "no answer of ours" })?;
                if matches!(answer, Answer::Said(_)) && self.unheard() >= MAX_UNHEARD {
                    return Err(Corrupt::Message { what: "too many messages at once" });
                }
                let event = self.ledger.take(&answer)?;
                self.ready.extend(event);
                Ok(())
            }
            Content::Memory(memory) => self.book_memory(|| memory.map_or(Err(libc::EMFILE), copy)),
            Content::Malformed => Err(NO_PACKET),
        }
    }

    /// Takes a result in memory of its own; or not, where there is nothing that it could be the result of.
    fn book_memory(&mut self, take: impl FnOnce() -> Result<Body, i32>) -> Result<(), Corrupt> {
        if !self.ledger.expects_memory() {
            return Err(Corrupt::Message { what: "memory that nothing asked for" });
        }
        self.ledger.keep_memory(take());
        Ok(())
    }

    fn unheard(&self) -> usize {
        self.ready.iter().filter(|event| matches!(event, LinkEvent::Said { .. })).count()
    }

    fn condemn(&mut self, corrupt: Corrupt) -> Verdict {
        self.corrupt.get_or_insert(corrupt);
        Verdict::Kill
    }

    /// How many frames are not fully reported: what was read from the channel by the way is not.
    fn outstanding(&self) -> usize {
        let unreported = self.ready.iter().any(|event| !matches!(event, LinkEvent::Said { .. }));
        self.ledger.outstanding().max(usize::from(unreported))
    }

    fn refusal(&self) -> Option<RefusedWhy> {
        if self.closed || self.corrupt.is_some() || matches!(self.passage, Passage::Shut) {
            Some(RefusedWhy::Closed)
        } else if self.outstanding() > 0 {
            Some(RefusedWhy::Full)
        } else {
            None
        }
    }

    /// Sends packets, or keeps them for a worker that has not come up yet.
    fn send(&mut self, packets: Vec<Packet>, size: u64) -> Result<(), RefusedWhy> {
        match &mut self.passage {
            Passage::Shut => Err(RefusedWhy::Closed),
            Passage::Awaited { waiting, .. } => {
                *waiting = packets;
                Ok(())
            }
            Passage::Open(ends) => {
                let sent = packets.iter().try_for_each(|packet| packet::send(&ends.requests, packet));
                sent.map_err(|error| refused_by_system(&error, size))
            }
        }
    }
}

/// A copy, as the worker could still write what it sent.
fn copy(memory: &IpcSharedMemory) -> Result<Body, i32> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(memory.len()).map_err(|_| libc::ENOMEM)?;
    bytes.extend_from_slice(memory);
    Ok(Body::Owned(bytes))
}

/// What a failed send means.
fn refused_by_system(error: &io::Error, size: u64) -> RefusedWhy {
    packet::want(error).map_or(RefusedWhy::Closed, |errno| RefusedWhy::NoMemory { size, errno })
}

/// The packets of a frame.
fn packets_of(frame: &Frame) -> Result<Vec<Packet>, RefusedWhy> {
    let bytes = frame.payload.as_slice();
    let size = bytes.len() as u64;
    let request = |payload| Request::Frame { first: frame.window.start, end: frame.window.end, payload }.write();
    if !packet::needs_memory(bytes.len()) {
        return Ok(vec![Packet::bytes(request(Place::Inline(bytes)))]);
    }
    let memory = packet::memory_of(bytes).map_err(|errno| RefusedWhy::NoMemory { size, errno })?;
    Ok(vec![Packet::memory(memory), Packet::bytes(request(Place::Memory(size)))])
}

impl Link for ChannelLink {
    fn id(&self) -> LinkId {
        self.id
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        let items = frame.items();
        if items == 0 || items > MAX_ITEMS {
            return Err(Refused { frame, why: RefusedWhy::Items { items } });
        }
        // Asked before the payload is copied, which takes its time and is done without the lock, and once more after.
        let refusal = self.state.lock().refusal();
        if let Some(why) = refusal {
            return Err(Refused { frame, why });
        }
        let packets = match packets_of(&frame) {
            Ok(packets) => packets,
            Err(why) => return Err(Refused { frame, why }),
        };
        let mut state = self.state.lock();
        let sent = state.refusal().map_or(Ok(()), Err).and_then(|()| state.send(packets, frame.payload.len() as u64));
        match sent {
            Ok(()) => Ok(state.ledger.enter(frame)),
            Err(why) => Err(Refused { frame, why }),
        }
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Passage::Awaited { waiting, .. } = &mut state.passage else { return None };
        let frame = state.ledger.withdraw(ticket)?;
        waiting.clear();
        self.pass_on_close(state);
        Some(frame)
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.look(|state| state.ledger.is_running(ticket, item))
    }

    fn outstanding(&self) -> usize {
        self.state.lock().outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        self.look(|state| events.append(&mut state.ready));
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.pass_on_close(&state);
    }

    fn signal(&self, signal: i32, group: bool) -> bool {
        self.child.lock().signal(signal, group)
    }
}

impl ProcessLink for ChannelLink {
    fn on_bell(&self, events: &mut Vec<LinkEvent>) {
        self.collect(events);
    }

    fn on_control(&self, events: &mut Vec<LinkEvent>) {
        let verdict = self.hear(&mut self.state.lock());
        self.carry_out(verdict);
        self.collect(events);
    }

    fn on_exit(&self, events: &mut Vec<LinkEvent>) {
        let (corrupt, lost) = {
            let mut state = self.state.lock();
            // The channels may never report their end, where another process holds them: read what is there.
            let (Verdict::GoOn | Verdict::Kill) = self.hear(&mut state);
            let (Verdict::GoOn | Verdict::Kill) = state.pump();
            state.closed = true;
            state.passage = Passage::Shut;
            events.append(&mut state.ready);
            (state.corrupt.clone(), state.ledger.settle())
        };
        let mut child = self.child.lock();
        child.end_group();
        let cause = child.reap();
        events.push(LinkEvent::Ended { link: self.id, pid: self.pid, cause, corrupt, lost });
    }

    fn register(&self, add: &mut dyn FnMut(Source, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        add(Source::Bell, self.bell.as_fd())?;
        add(Source::Control, self.control.as_fd())?;
        add(Source::Exit, self.child.lock().as_fd())
    }
}

impl fmt::Debug for ChannelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelLink").field("id", &self.id).field("pid", &self.pid).finish_non_exhaustive()
    }
}
