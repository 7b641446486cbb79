//! What the parent knows of a worker on channels, and reads from it: how far it has come, the frame under way, and what
//! is ready to be reported.
//!
//! What holds: no call here waits for the worker. A send finds room because the worker has read the former frame before it
//! answered it; a receive takes what is there. What comes is judged by the [`Ledger`]; the caller kills whom it condemns.

use std::io;
use std::time::Duration;

use ipc_channel::ipc::IpcSharedMemory;

use super::ledger::Ledger;
use super::meeting::{Ends, Meeting, Missed};
use super::message::{Answer, Place, Request};
use super::packet::{self, Content, Packet, Received};
use crate::backend::{Corrupt, LinkEvent, LinkId, Refused, RefusedWhy, Ticket};
use crate::frame::{Body, Frame, Lost};
use crate::terms::{Running, Written};

/// How many messages a worker may have said without being heard. An honest one says one.
const MAX_UNHEARD: usize = 64;

/// What no worker of ours sends on its channel.
const NO_PACKET: Corrupt = Corrupt::Message { what: "no packet of ours" };

/// What changes in a link.
pub(super) struct State {
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
    /// It has not knocked yet, or is being let in. What was posted waits here: one frame, or nothing.
    Awaited { meeting: Option<Meeting>, waiting: Vec<Packet> },
    /// The channels are there.
    Open(Ends),
    /// The worker has ended, or could not be met.
    Shut,
}

/// Whether a worker is to be killed, once no lock is held.
#[must_use]
pub(super) enum Verdict {
    GoOn,
    /// It has closed its control channel.
    HungUp,
    Kill,
}

impl State {
    pub(super) fn new(link: LinkId, meeting: Meeting) -> Self {
        let passage = Passage::Awaited { meeting: Some(meeting), waiting: Vec::new() };
        Self { passage, ledger: Ledger::new(link), closed: false, corrupt: None, ready: Vec::new() }
    }

    /// Sends a frame, or keeps it for a worker that has not come up yet.
    pub(super) fn post(&mut self, frame: Frame, packets: Vec<Packet>) -> Result<Ticket, Refused> {
        let sent = match self.refusal() {
            None => self.send(packets, frame.payload.len() as u64),
            Some(why) => Err(why),
        };
        match sent {
            Ok(()) => Ok(self.ledger.enter(frame)),
            Err(why) => Err(Refused { frame, why }),
        }
    }

    /// Why no frame is taken now, if none is.
    pub(super) fn refusal(&self) -> Option<RefusedWhy> {
        if self.closed || self.corrupt.is_some() || matches!(self.passage, Passage::Shut) {
            Some(RefusedWhy::Closed)
        } else if self.outstanding() > 0 {
            Some(RefusedWhy::Full)
        } else {
            None
        }
    }

    /// Takes a frame back that waits for its worker to come up.
    pub(super) fn recall(&mut self, ticket: Ticket) -> Option<Frame> {
        let Passage::Awaited { waiting, .. } = &mut self.passage else { return None };
        let frame = self.ledger.withdraw(ticket)?;
        waiting.clear();
        Some(frame)
    }

    /// Whether the worker has begun this item and not ended it, as far as it was read.
    pub(super) fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.ledger.is_running(ticket, item)
    }

    /// The item that runs, as far as it was read.
    pub(super) fn running(&self) -> Option<Running> {
        self.ledger.running()
    }

    pub(super) fn shortest_timeout(&self) -> Option<Duration> {
        self.ledger.shortest_timeout()
    }

    /// Takes no more frames.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether the worker may be told to end: it has been sent all that it is to run.
    pub(super) fn may_tell_close(&self) -> bool {
        let unsent = matches!(&self.passage, Passage::Awaited { waiting, .. } if !waiting.is_empty());
        self.closed && !unsent
    }

    /// Declares the worker a liar.
    pub(super) fn condemn(&mut self, corrupt: Corrupt) -> Verdict {
        self.corrupt.get_or_insert(corrupt);
        Verdict::Kill
    }

    /// How many frames are not fully reported: what was read from the channel by the way is not.
    pub(super) fn outstanding(&self) -> usize {
        let unreported = self.ready.iter().any(|event| !matches!(event, LinkEvent::Said { .. }));
        self.ledger.outstanding().max(usize::from(unreported))
    }

    /// Why it is condemned, if it is.
    pub(super) fn corrupt(&self) -> Option<&Corrupt> {
        self.corrupt.as_ref()
    }

    /// Appends what was read and not reported.
    pub(super) fn report(&mut self, events: &mut Vec<LinkEvent>) {
        events.append(&mut self.ready);
    }

    /// Ends the link: closes the channels, and tells what becomes of the frame.
    pub(super) fn settle(&mut self) -> Vec<Lost> {
        self.closed = true;
        let passage = std::mem::replace(&mut self.passage, Passage::Shut);
        // It panics where the host has closed a descriptor of ours.
        let _dropped = packet::guarded(|| drop(passage));
        self.ledger.settle()
    }

    /// The meeting that the worker has come to. `None`: it has come before.
    pub(super) fn begin_meeting(&mut self) -> Option<Meeting> {
        match &mut self.passage {
            Passage::Awaited { meeting, .. } => meeting.take(),
            Passage::Open(_) | Passage::Shut => None,
        }
    }

    /// Takes the channels that the worker has brought, and sends what waited for them.
    pub(super) fn meet(&mut self, met: Result<Ends, Missed>) -> Verdict {
        let passage = std::mem::replace(&mut self.passage, Passage::Shut);
        match met {
            Ok(ends) => {
                let Passage::Awaited { waiting, .. } = passage else { return Verdict::GoOn };
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

    /// Reads the channel until it is empty. An honest worker's answers to one frame are all that can be in it, and what
    /// it says besides is counted.
    pub(super) fn pump(&mut self) -> Verdict {
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

    /// The worker cannot be reached, or is gone already; its end will give back what it was to run.
    fn give_up(&mut self, error: &io::Error) -> Verdict {
        crate::tell!(Error, "a new worker could not be reached: {error}");
        self.closed = true;
        Verdict::Kill
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
pub(super) fn packets_of(frame: &Frame) -> Result<Vec<Packet>, RefusedWhy> {
    let bytes = frame.payload.as_slice();
    let size = bytes.len() as u64;
    let terms = Written::of(frame.terms.as_deref());
    let (first, end) = (frame.window.start, frame.window.end);
    let request = |payload| Request::Frame { first, end, terms, payload }.write();
    if !packet::needs_memory(bytes.len()) {
        return Ok(vec![Packet::bytes(request(Place::Inline(bytes)))]);
    }
    let memory = packet::memory_of(bytes).map_err(|errno| RefusedWhy::NoMemory { size, errno })?;
    Ok(vec![Packet::memory(memory), Packet::bytes(request(Place::Memory(size)))])
}

#[cfg(test)]
mod fuzz;
