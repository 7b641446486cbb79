//! The parent's end of a worker process on channels.
//!
//! What holds: nothing that a caller can see waits for the worker; a worker that breaks the protocol is killed, and its end
//! is then told like any other, with what it did. What never happens here: a decision on what an answer means, which is
//! the [`State`]'s.
//!
//! A worker rings after what there is to report, and not when it begins an item: that is read with the next report, or
//! when somebody asks for it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::meeting::Meeting;
use super::message;
use super::state::{State, Verdict, packets_of};
use crate::backend::{Corrupt, Link, LinkEvent, LinkId, Refused, RefusedWhy, Ticket};
use crate::child::Child;
use crate::control::{self, Control};
use crate::frame::{Frame, MAX_ITEMS};
use crate::hub::{ProcessLink, Source};
use crate::look::Next;
use crate::shelf::Shelf;
use crate::slot::parent::SentLarge;
use crate::stderr::Ear;
use crate::terms::Running;

/// A link over channels.
pub(super) struct ChannelLink {
    id: LinkId,
    pid: u32,
    bell: OwnedFd,
    control: Control,
    /// Held while the control channel is read, and by whoever has to know that nobody does. Before `state`.
    hearing: Mutex<()>,
    child: Mutex<Child>,
    state: Mutex<State>,
    /// Whether the state knows of a frame: spares whoever only looks for outcomes the lock and three system calls.
    busy: AtomicBool,
    /// Whether the log has been told that the worker is not believed any more.
    accused: AtomicBool,
    ear: Option<Ear>,
    shelf: Arc<Shelf>,
}

impl ChannelLink {
    pub(super) fn new(
        id: LinkId,
        meeting: Meeting,
        bell: OwnedFd,
        child: Child,
        control: Control,
        ear: Option<Ear>,
    ) -> Self {
        let pid = child.pid();
        let (hearing, child, state) = (Mutex::new(()), Mutex::new(child), Mutex::new(State::new(id, meeting)));
        let (busy, accused) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { id, pid, bell, control, hearing, child, state, busy, accused, ear, shelf: Shelf::new() }
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Reads the control channel until it is empty, and lets the worker in once it has knocked.
    pub(super) fn hear(&self) {
        let _hearing = self.hearing.lock();
        let mut buffer = Vec::new();
        let verdict = loop {
            let heard = match self.control.receive(&mut buffer) {
                Ok(control::Received::Message { fds }) => self.obey(&buffer, fds.is_empty()),
                Ok(control::Received::Nothing) => break Verdict::GoOn,
                // It has ended, or has closed the channel under its own feet and cannot work any more.
                Ok(control::Received::Eof) => break Verdict::HungUp,
                Ok(control::Received::Malformed(what)) => self.condemn(Corrupt::Message { what }),
                Err(error) => {
                    crate::tell!(Warn, "reading a control channel: {error}");
                    break Verdict::GoOn;
                }
            };
            if !matches!(heard, Verdict::GoOn) {
                break heard;
            }
        };
        self.carry_out(verdict);
    }

    /// Reads what the worker has sent, looks, and kills the worker if it broke the protocol.
    fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let (verdict, seen) = {
            let mut state = self.state.lock();
            let (verdict, seen) = (state.pump(), look(&mut state));
            self.busy.store(state.outstanding() > 0, Ordering::Release);
            (verdict, seen)
        };
        self.carry_out(verdict);
        seen
    }

    /// To be called without the state's lock.
    fn carry_out(&self, verdict: Verdict) {
        match verdict {
            Verdict::GoOn => {}
            Verdict::HungUp => self.child.lock().kill_on_hang_up(),
            Verdict::Kill => {
                // Not in the condition: the lock would be held while the program's logger is called.
                let corrupt = self.state.lock().corrupt().cloned();
                if let Some(corrupt) = corrupt
                    && !self.accused.swap(true, Ordering::Relaxed)
                {
                    crate::tell!(Error, "worker {} is stopped: {corrupt}", self.pid);
                }
                self.child.lock().signal(libc::SIGKILL, true);
            }
        }
    }

    fn obey(&self, message: &[u8], alone: bool) -> Verdict {
        let knocked = alone && message::Control::read(message) == Some(message::Control::Knocked);
        let meeting = if knocked { self.state.lock().begin_meeting() } else { None };
        let Some(meeting) = meeting else { return self.condemn(NO_KNOCK) };
        // Without the lock, as a worker that lies makes it wait.
        let met = meeting.accept();
        let mut state = self.state.lock();
        let verdict = state.meet(met);
        self.pass_on_close(&state);
        // It may have been rung before anything could be read.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        verdict
    }

    /// For what it said on the control channel. What came on the other one before, counts before.
    fn condemn(&self, corrupt: Corrupt) -> Verdict {
        let mut state = self.state.lock();
        match state.pump() {
            Verdict::GoOn => state.condemn(corrupt),
            verdict => verdict,
        }
    }

    /// Lets the worker end after what it was sent; later, if there is something that it still has to be sent.
    fn pass_on_close(&self, state: &State) {
        if state.may_tell_close() {
            self.control.close_sending();
        }
    }
}

/// What no worker of ours says on the control channel.
const NO_KNOCK: Corrupt = Corrupt::Message { what: "it has no meaning here" };

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

    fn post(&self, mut frame: Frame) -> Result<Ticket, Refused> {
        let items = frame.items();
        if items == 0 || items > MAX_ITEMS {
            return Err(Refused { frame, why: RefusedWhy::Items { items } });
        }
        // Asked before the payload is copied, which takes its time and is done without the lock, and once more after.
        let refusal = self.state.lock().refusal();
        if let Some(why) = refusal {
            return Err(Refused { frame, why });
        }
        let size = frame.payload.len() as u64;
        if frame.payload.make_whole().is_err() {
            return Err(Refused { frame, why: RefusedWhy::NoMemory { size, errno: libc::ENOMEM } });
        }
        let why = match self.shelf.bring(&self.control, frame.payload.values()) {
            SentLarge::Sent => None,
            SentLarge::Full => Some(RefusedWhy::Full),
            SentLarge::Gone => Some(RefusedWhy::Closed),
            SentLarge::Failed(errno) => Some(RefusedWhy::NoMemory { size, errno }),
        };
        if let Some(why) = why {
            return Err(Refused { frame, why });
        }
        let packets = match packets_of(&frame) {
            Ok(packets) => packets,
            Err(why) => return Err(Refused { frame, why }),
        };
        let mut state = self.state.lock();
        let posted = state.post(frame, packets);
        self.busy.store(state.outstanding() > 0, Ordering::Release);
        posted
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        let mut state = self.state.lock();
        let frame = state.recall(ticket)?;
        self.pass_on_close(&state);
        Some(frame)
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.look(|state| state.is_running(ticket, item))
    }

    fn running(&self) -> Option<Running> {
        self.look(|state| state.running())
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.look(|state| state.shortest_timeout())
    }

    fn resident(&self) -> Option<u64> {
        self.child.lock().resident()
    }

    /// There is no memory to write that into; a worker that is signalled hears of it nevertheless.
    fn cancel(&self, _ticket: Ticket) {}

    fn outstanding(&self) -> usize {
        self.state.lock().outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        if self.busy.load(Ordering::Acquire) {
            self.look(|state| state.report(events));
        }
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.close();
        self.pass_on_close(&state);
    }

    fn signal(&self, signal: i32, group: bool) -> bool {
        self.child.lock().signal(signal, group)
    }
}

impl ProcessLink for ChannelLink {
    fn on_bell(&self, events: &mut Vec<LinkEvent>) -> Next {
        self.look(|state| state.report(events));
        Next::Ring
    }

    /// The doorkeeper's matter.
    fn on_control(&self, _events: &mut Vec<LinkEvent>) {}

    fn on_exit(&self, events: &mut Vec<LinkEvent>) {
        // The doorkeeper may not have come to it, and what the worker said is behind the door.
        self.hear();
        let (corrupt, lost) = {
            let mut state = self.state.lock();
            // The channels may never report their end, where another process holds them: read what is there.
            let _it_is_dead = state.pump();
            state.report(events);
            (state.corrupt().cloned(), state.settle())
        };
        let child = self.child.lock();
        child.end_group();
        let (cause, postmortem) = (child.reap(), child.postmortem());
        drop(child);
        let stderr = self.ear.as_ref().and_then(Ear::last_lines);
        events.push(LinkEvent::Ended { link: self.id, pid: self.pid, cause, corrupt, postmortem, lost, stderr });
    }

    fn register(&self, add: &mut dyn FnMut(Source, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        add(Source::Bell, self.bell.as_fd())?;
        add(Source::Exit, self.child.lock().as_fd())
    }
}

impl fmt::Debug for ChannelLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelLink").field("id", &self.id).field("pid", &self.pid).finish_non_exhaustive()
    }
}
