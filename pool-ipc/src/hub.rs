//! One wait for all links of worker processes: doorbells, control channels, exits, a deadline, and wake-ups.
//!
//! An epoll set holds, for each link, its doorbell, its control channel and its pidfd, all edge-triggered: a ring needs no
//! read, a channel is read until it is empty, an exit happens once. Closing the descriptors takes them out of the set. What
//! an event means is the link's matter ([`ProcessLink`]); the hub only finds the link.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use crate::backend::{Link, LinkEvent, LinkId};
use crate::job_control;
use crate::look::{Looks, Next};
use crate::slot::bulk::REST;
use crate::spin::{Spin, Waiting};
use crate::stderr::{Ear, Repeater, WorkerStderr};

/// How many events one wait takes from the kernel.
const EVENTS_A_WAIT: usize = 64;

/// A wait that lasts longer than any program.
const FOREVER: Timespec = Timespec { tv_sec: 1 << 31, tv_nsec: 0 };

/// Names the hub's own wake-up among the events. Links are numbered from below.
const WAKE: u64 = u64::MAX;

/// What a link of a worker process does when its descriptors have something.
pub(crate) trait ProcessLink: Link {
    /// Its doorbell was rung, or it is looked at.
    fn on_bell(&self, events: &mut Vec<LinkEvent>) -> Next;
    /// Its control channel has messages, or its end. It is read until it is empty.
    fn on_control(&self, events: &mut Vec<LinkEvent>);
    /// Looks whether its worker, which need not ring, has something to tell.
    fn peek(&self, _events: &mut Vec<LinkEvent>) {}
    /// Has the worker ring for nothing, until the next look of [`on_bell`](Self::on_bell).
    fn disarm(&self) {}
    /// When it has something to let go of, if nothing happens until then.
    fn rests_at(&self) -> Option<Instant> {
        None
    }
    /// Lets go of what was not used for a while.
    fn rest(&self, _now: Instant) {}
    /// Its worker has ended. The last call.
    fn on_exit(&self, events: &mut Vec<LinkEvent>);
    /// Hands its descriptors to `add`.
    fn register(&self, add: &mut dyn FnMut(Source, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()>;
}

/// The three descriptors of a link, as they stand in the low bits of an event's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Bell = 0,
    Control = 1,
    Exit = 2,
}

/// An epoll set and the links in it.
pub(crate) struct ProcessHub {
    epoll: OwnedFd,
    wake: OwnedFd,
    /// Somebody was to be woken who may not sleep.
    roused: AtomicBool,
    links: Mutex<BTreeMap<LinkId, Arc<dyn ProcessLink>>>,
    /// Held by the one thread that waits.
    turn: Mutex<Turn>,
    /// There from the first worker on whose stderr is kept.
    repeater: Mutex<Option<Repeater>>,
}

/// When the hub does something by itself.
#[derive(Debug, Default)]
struct Turn {
    /// Those links that have told something before: whoever waits finds them without the lock of all.
    known: BTreeMap<LinkId, Arc<dyn ProcessLink>>,
    looks: Looks,
    /// When links are asked to let go of what they do not use.
    rest: Option<Instant>,
    /// For who looks for a moment before it sleeps.
    spin: Spin,
    /// Links whose workers ring for nothing, which must not be so while somebody sleeps.
    disarmed: Vec<LinkId>,
    /// How many waits in a row ended without a look at the set.
    unheard: u32,
}

/// What there was before a sleep.
#[derive(Debug)]
enum Found {
    /// Something, and nobody needs to look at the set.
    Something,
    /// Nothing. Nobody rings, and the sleep is to end, when the nap is over, if it is one.
    Nothing { nap: Option<Instant> },
}

/// After so many waits that found something by looking the set is looked at, too: it tells of ends and of messages.
const MOST_UNHEARD: u32 = 32;

impl fmt::Debug for ProcessHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHub").field("links", &self.links.lock().len()).finish_non_exhaustive()
    }
}

impl ProcessHub {
    /// A hub without links. Who waits looks at their memory for so long before it sleeps.
    pub(crate) fn new(spin: Duration) -> io::Result<Self> {
        job_control::arrange();
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN | EventFlags::ET)?;
        let turn = Mutex::new(Turn { spin: Spin::new(spin), ..Turn::default() });
        let roused = AtomicBool::new(false);
        Ok(Self { epoll, wake, roused, links: Mutex::default(), turn, repeater: Mutex::default() })
    }

    /// Watches a link from now on. What happened before is not missed: the set looks at the state of each descriptor.
    pub(crate) fn watch(&self, link: Arc<dyn ProcessLink>) -> io::Result<()> {
        let id = link.id();
        // Listed before anything of it can be reported.
        self.links.lock().insert(id, Arc::clone(&link));
        let added = link.register(&mut |source, fd| {
            let number = EventData::new_u64(id.0 << 2 | source as u64);
            Ok(epoll::add(&self.epoll, fd, number, EventFlags::IN | EventFlags::ET)?)
        });
        if added.is_err() {
            self.links.lock().remove(&id);
        }
        added
    }

    /// What a new worker's stderr is to be, if not this program's own, and what hears it.
    pub(crate) fn hear_stderr(&self, id: LinkId, stderr: WorkerStderr) -> io::Result<Option<(Ear, OwnedFd)>> {
        let WorkerStderr::Kept { lines } = stderr else { return Ok(None) };
        let mut repeater = self.repeater.lock();
        let repeater = match &mut *repeater {
            Some(repeater) => repeater,
            none => none.insert(Repeater::start()?),
        };
        repeater.listen(id, lines).map(Some)
    }

    /// Waits until what workers wrote, all of which have ended, is passed on; a second at most.
    pub(crate) fn flush(&self) {
        if let Some(repeater) = &*self.repeater.lock() {
            repeater.flush();
        }
    }

    pub(crate) fn wake(&self) {
        self.roused.store(true, Ordering::SeqCst);
        // It can only fail when 2^64 wake-ups are pending, and then one more changes nothing.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    pub(crate) fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        let mut turn = self.turn.lock();
        let nap = match self.look_first(&mut turn, events) {
            Found::Something => return,
            Found::Nothing { nap } => nap,
        };
        let deadline = if events.is_empty() { deadline } else { Some(Instant::now()) };
        let deadline = turn.rest.into_iter().chain(nap).chain(deadline).min();
        let timeout = turn.looks.bound(deadline).map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Where the duration is beyond what the kernel counts, 68 years will do.
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(FOREVER));
        let mut buffer = [MaybeUninit::uninit(); EVENTS_A_WAIT];
        let happened = match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok((happened, _)) => happened,
            Err(Errno::INTR) => return,
            Err(errno) => {
                // EBADF or EINVAL: a bug of ours, or the host closed our descriptor.
                crate::tell!(Error, "waiting for worker processes failed: {errno}");
                return;
            }
        };
        // A link's exit comes last, whatever the order of the descriptors in the set.
        happened.sort_by_key(|event| event.data.u64() & 3 == Source::Exit as u64);
        for event in happened {
            self.report(event.data.u64(), &mut turn, events);
        }
        for id in turn.looks.take_due() {
            self.hear_bell(id, &mut turn, events);
        }
        if let Some(rest) = turn.rest {
            let now = Instant::now();
            if rest <= now {
                turn.rest = self.rest(now);
            }
        }
    }

    /// Looks for a moment at the links that have something to do, before anybody sleeps.
    fn look_first(&self, turn: &mut Turn, events: &mut Vec<LinkEvent>) -> Found {
        if turn.spin.is_off() {
            return Found::Nothing { nap: None };
        }
        let waiting = turn.spin.begin();
        self.heed(waiting, turn, events)
    }

    fn heed(&self, waiting: Waiting, turn: &mut Turn, events: &mut Vec<LinkEvent>) -> Found {
        match waiting {
            Waiting::Nap(span) => {
                // Whatever is rung for else, or told, ends it.
                let _ = self.busy_links(turn);
                return Found::Nothing { nap: Some(Instant::now() + span) };
            }
            Waiting::Look(begun) if self.look(begun, turn, events) => turn.unheard += 1,
            Waiting::Look(_) | Waiting::Sleep => turn.unheard = MOST_UNHEARD,
        }
        if turn.unheard < MOST_UNHEARD {
            return Found::Something;
        }
        turn.unheard = 0;
        for id in std::mem::take(&mut turn.disarmed) {
            self.hear_bell(id, turn, events);
        }
        Found::Nothing { nap: None }
    }

    /// The links that have something to do. Their workers need not ring from now on.
    fn busy_links(&self, turn: &mut Turn) -> Vec<Arc<dyn ProcessLink>> {
        let busy = |link: &&Arc<dyn ProcessLink>| link.outstanding() > 0;
        let links: Vec<_> = self.links.lock().values().filter(busy).cloned().collect();
        for link in &links {
            if !turn.disarmed.contains(&link.id()) {
                turn.disarmed.push(link.id());
                link.disarm();
            }
        }
        links
    }

    fn look(&self, begun: Instant, turn: &mut Turn, events: &mut Vec<LinkEvent>) -> bool {
        let links = self.busy_links(turn);
        let mut was_roused = false;
        let mut look = || {
            links.iter().for_each(|link| link.peek(events));
            was_roused = self.roused.swap(false, Ordering::SeqCst);
            was_roused || !events.is_empty()
        };
        !links.is_empty() && turn.spin.until(begun, &mut look)
    }

    /// Has links let go of what they do not use, and tells when to ask again.
    fn rest(&self, now: Instant) -> Option<Instant> {
        let links: Vec<_> = self.links.lock().values().cloned().collect();
        links.iter().for_each(|link| link.rest(now));
        // What is in use just now is asked for later, and not at once.
        links.iter().filter_map(|link| link.rests_at()).min().map(|at| at.max(now + REST))
    }

    fn report(&self, number: u64, turn: &mut Turn, events: &mut Vec<LinkEvent>) {
        if number == WAKE {
            return;
        }
        let id = LinkId(number >> 2);
        if number & 3 == Source::Bell as u64 {
            return self.hear_bell(id, turn, events);
        }
        let Some(link) = self.find(&mut turn.known, id) else { return };
        if number & 3 == Source::Control as u64 {
            link.on_control(events);
        } else {
            link.on_exit(events);
            turn.known.remove(&id);
            self.links.lock().remove(&id);
        }
    }

    fn hear_bell(&self, id: LinkId, turn: &mut Turn, events: &mut Vec<LinkEvent>) {
        let Turn { known, disarmed, looks, rest, .. } = turn;
        if let Some(link) = self.find(known, id) {
            // It rings from now on.
            disarmed.retain(|disarmed| *disarmed != id);
            looks.note(id, link.on_bell(events));
            *rest = rest.or_else(|| link.rests_at());
        }
    }

    fn find<'k>(
        &self,
        known: &'k mut BTreeMap<LinkId, Arc<dyn ProcessLink>>,
        id: LinkId,
    ) -> Option<&'k Arc<dyn ProcessLink>> {
        match known.entry(id) {
            Entry::Occupied(link) => Some(link.into_mut()),
            Entry::Vacant(place) => {
                let link = self.links.lock().get(&id).cloned()?;
                Some(place.insert(link))
            }
        }
    }
}

#[cfg(test)]
mod tests;
