//! What a test holds: a hub of the backend under test, its links, and the events that were not looked at yet.
//!
//! Every wait ends: with what was waited for, or with a panic that says what it was and how all links stand. Should even
//! that not come, a watchdog thread ends the whole test binary.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use pool_ipc::{
    Abilities, Backend, Corrupt, ExitCause, Frame, Hub, Link, LinkEvent, LinkId, Lost, Owner, RefusedWhy, StartError,
    StartOrder, Ticket, Undelivered, WorkerCommand, WorkerStderr,
};

use crate::script::script;

/// How long a test waits for a thing that must happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Checks a claim under a watchdog.
pub(crate) fn check(claim: &'static str, backend: &dyn Backend, test: fn(&dyn Backend)) {
    let _watchdog = Watchdog::start(claim, backend.name());
    test(backend);
}

/// A hub under test.
pub(crate) struct Rig {
    pub(crate) hub: Arc<dyn Hub>,
    pub(crate) abilities: Abilities,
    links: Vec<Arc<dyn Link>>,
    events: Vec<LinkEvent>,
}

/// An item's end, in short: the owner's number, the item, and the bytes.
#[derive(PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) owner: u64,
    pub(crate) item: u32,
    pub(crate) result: Result<Vec<u8>, Undelivered>,
}

impl fmt::Debug for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, item, result } = self;
        match result {
            Ok(bytes) => write!(f, "{owner}.{item}: {} bytes {:?}", bytes.len(), &bytes[..bytes.len().min(40)]),
            Err(undelivered) => write!(f, "{owner}.{item}: {undelivered}"),
        }
    }
}

/// A worker's end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) pid: u32,
    pub(crate) cause: ExitCause,
    pub(crate) corrupt: Option<Corrupt>,
    pub(crate) lost: Vec<Lost>,
}

/// All that a link told until its end.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) declined: Vec<Frame>,
    pub(crate) end: End,
}

impl Rig {
    pub(crate) fn new(backend: &dyn Backend) -> Self {
        let hub = backend.open().expect("a hub opens");
        Self { hub, abilities: backend.abilities(), links: Vec::new(), events: Vec::new() }
    }

    /// A worker that greets nobody. A backend that cannot recall frames sends them while somebody waits for the hub, until
    /// its worker has come up; tests that wait elsewhere want it to have come up.
    pub(crate) fn start(&mut self) -> Arc<dyn Link> {
        let link = self.start_with("");
        if !self.abilities.recall {
            post(&link, frame(0, Vec::new(), 1));
            assert_eq!(self.outcome(&link), echo(0, 0, &[]));
        }
        link
    }

    pub(crate) fn start_with(&mut self, boot: &str) -> Arc<dyn Link> {
        self.try_start(boot, WorkerCommand::default()).expect("a worker starts")
    }

    pub(crate) fn try_start(&mut self, boot: &str, command: WorkerCommand) -> Result<Arc<dyn Link>, StartError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let id = LinkId(NUMBER.fetch_add(1, Ordering::Relaxed));
        let link = self.hub.start(id, &order(boot, command))?;
        assert_eq!(link.id(), id);
        self.links.push(Arc::clone(&link));
        Ok(link)
    }

    /// Waits until `find` finds something among the events that were not taken yet.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut(&mut Vec<LinkEvent>) -> Option<T>) -> T {
        let limit = Instant::now() + LIMIT;
        loop {
            if let Some(found) = find(&mut self.events) {
                return found;
            }
            assert!(Instant::now() < limit, "waited {LIMIT:?} in vain for {what}\n{}", self.dump());
            self.wait(limit);
        }
    }

    /// Posts a frame, once the link has room for it.
    #[track_caller]
    pub(crate) fn post(&mut self, link: &Arc<dyn Link>, mut frame: Frame) -> Ticket {
        let limit = Instant::now() + LIMIT;
        loop {
            match link.post(frame) {
                Ok(ticket) => return ticket,
                Err(refused) if refused.why == RefusedWhy::Full => frame = refused.frame,
                Err(refused) => panic!("refused: {}", refused.why),
            }
            assert!(Instant::now() < limit, "waited {LIMIT:?} in vain for room\n{}", self.dump());
            self.wait(limit);
        }
    }

    /// The next outcome of any link, with its link.
    #[track_caller]
    pub(crate) fn any_outcome(&mut self) -> (LinkId, Delivered) {
        self.wait_for("an outcome", |events| {
            let at = events.iter().position(|event| matches!(event, LinkEvent::Outcome { .. }))?;
            let LinkEvent::Outcome { link, outcome, .. } = events.remove(at) else { unreachable!() };
            Some((link, delivered(outcome)))
        })
    }

    /// The next outcome of a link.
    #[track_caller]
    pub(crate) fn outcome(&mut self, of: &Arc<dyn Link>) -> Delivered {
        let id = of.id();
        self.wait_for("an outcome", |events| {
            let at = find(events, id, |event| matches!(event, LinkEvent::Outcome { .. }))?;
            let LinkEvent::Outcome { outcome, .. } = events.remove(at) else { unreachable!() };
            Some(delivered(outcome))
        })
    }

    /// The next message of a link.
    #[track_caller]
    pub(crate) fn said(&mut self, of: &Arc<dyn Link>) -> Vec<u8> {
        let id = of.id();
        self.wait_for("a message", |events| {
            let at = find(events, id, |event| matches!(event, LinkEvent::Said { .. }))?;
            let LinkEvent::Said { bytes, .. } = events.remove(at) else { unreachable!() };
            Some(bytes)
        })
    }

    /// Waits for a link's end, and gives all that it told until then.
    #[track_caller]
    pub(crate) fn story(&mut self, of: &Arc<dyn Link>) -> Story {
        let id = of.id();
        let ended = |event: &LinkEvent| matches!(event, LinkEvent::Ended { link, .. } if *link == id);
        self.wait_for("the end of a worker", |events| events.iter().any(ended).then_some(()));
        let (own, others) = std::mem::take(&mut self.events).into_iter().partition(|event| link_of(event) == id);
        self.events = others;
        tell(own)
    }

    /// Waits for a link's end, before which it must have told nothing else.
    #[track_caller]
    pub(crate) fn end(&mut self, of: &Arc<dyn Link>) -> End {
        let Story { delivered, declined, end } = self.story(of);
        assert!(delivered.is_empty() && declined.is_empty(), "{delivered:?} {declined:?}");
        end
    }

    /// The events that were not taken, after a look at what else there is.
    pub(crate) fn rest(&mut self) -> Vec<LinkEvent> {
        self.wait(Instant::now());
        std::mem::take(&mut self.events)
    }

    /// Waits for what comes next. Here each outcome is an event of its own.
    fn wait(&mut self, limit: Instant) {
        let mut events = Vec::new();
        self.hub.wait(Some(limit), &mut events);
        self.events.extend(events.into_iter().flat_map(LinkEvent::singly));
    }

    /// Closes a link and waits for its orderly end.
    #[track_caller]
    pub(crate) fn close(&mut self, link: &Arc<dyn Link>) {
        link.close();
        let end = self.end(link);
        assert_eq!((end.cause, end.corrupt, end.lost.len()), (ExitCause::Code(0), None, 0));
    }

    /// How everything stands, for a panic's message.
    pub(crate) fn dump(&self) -> String {
        let mut dump = format!("events not taken: {:?}\n", self.events);
        for link in &self.links {
            let _ = writeln!(dump, "link {:?}, {} outstanding: {link:?}", link.id(), link.outstanding());
            for file in ["status", "wchan", "syscall"] {
                let path = format!("/proc/{}/{file}", link.pid());
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| error.to_string());
                let text: Vec<&str> =
                    text.lines().filter(|line| file != "status" || line.starts_with("State")).collect();
                let _ = writeln!(dump, "  {path}: {text:?}");
            }
        }
        dump
    }
}

/// How the workers of these tests are started.
pub(crate) fn order(boot: &str, command: WorkerCommand) -> StartOrder {
    StartOrder {
        boot: boot.as_bytes().into(),
        command,
        thread_main: script,
        name: "contract-worker".to_owned(),
        stderr: WorkerStderr::Inherit,
    }
}

/// A frame of items `0..items` with this owner.
pub(crate) fn frame(owner: u64, payload: impl Into<Vec<u8>>, items: u32) -> Frame {
    Frame::new(Arc::new(owner), payload.into(), items)
}

/// Posts a frame that must be taken.
#[track_caller]
pub(crate) fn post(link: &Arc<dyn Link>, frame: Frame) -> Ticket {
    link.post(frame).unwrap_or_else(|refused| panic!("refused: {}", refused.why))
}

/// Posts a frame once there is room for it, while another thread collects.
#[track_caller]
pub(crate) fn post_beside_a_collector(link: &Arc<dyn Link>, mut frame: Frame) {
    let limit = Instant::now() + LIMIT;
    while let Err(refused) = link.post(frame) {
        assert!(refused.why == RefusedWhy::Full && Instant::now() < limit, "no room: {}", refused.why);
        frame = refused.frame;
        std::thread::yield_now();
    }
}

/// An owner's number.
pub(crate) fn number(owner: &Owner) -> u64 {
    *owner.downcast_ref::<u64>().expect("owners are numbers here")
}

pub(crate) fn delivered(outcome: pool_ipc::Outcome) -> Delivered {
    let result = outcome.result.map(|body| body.as_slice().to_vec());
    Delivered { owner: number(&outcome.owner), item: outcome.item, result }
}

/// What the echo of an item is.
pub(crate) fn echo(owner: u64, item: u32, data: &[u8]) -> Delivered {
    Delivered { owner, item, result: Ok([&item.to_le_bytes(), data].concat()) }
}

pub(crate) fn link_of(event: &LinkEvent) -> LinkId {
    match event {
        LinkEvent::Said { link, .. }
        | LinkEvent::Outcome { link, .. }
        | LinkEvent::Outcomes { link, .. }
        | LinkEvent::Declined { link, .. }
        | LinkEvent::Ended { link, .. } => *link,
    }
}

/// Where a link's next event of a kind is. It must come before the link's end.
fn find(events: &[LinkEvent], id: LinkId, of_kind: impl Fn(&LinkEvent) -> bool) -> Option<usize> {
    let own = |event: &LinkEvent| link_of(event) == id && (of_kind(event) || matches!(event, LinkEvent::Ended { .. }));
    let at = events.iter().position(own)?;
    assert!(of_kind(&events[at]), "instead came {:?}", events[at]);
    Some(at)
}

/// The events of one link in order; its end is the last.
fn tell(events: Vec<LinkEvent>) -> Story {
    let (mut outcomes, mut declined, mut end) = (Vec::new(), Vec::new(), None);
    for event in events {
        assert!(end.is_none(), "after the end came {event:?}");
        match event {
            LinkEvent::Said { .. } => {}
            LinkEvent::Outcome { outcome, .. } => outcomes.push(delivered(outcome)),
            LinkEvent::Outcomes { outcomes: together, .. } => outcomes.extend(together.into_iter().map(delivered)),
            LinkEvent::Declined { rest, .. } => declined.push(rest),
            LinkEvent::Ended { pid, cause, corrupt, lost, .. } => end = Some(End { pid, cause, corrupt, lost }),
        }
    }
    Story { delivered: outcomes, declined, end: end.expect("it was waited for") }
}

/// Ends the test binary, unless it is dropped in time.
struct Watchdog {
    _called_off: Sender<()>,
}

impl Watchdog {
    fn start(claim: &'static str, backend: &'static str) -> Self {
        let (called_off, calls) = channel::<()>();
        let watch = move || {
            if calls.recv_timeout(LIMIT * 4) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{claim}::{backend} has been running for {:?}\n{}", LIMIT * 4, threads());
                std::process::abort();
            }
        };
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).expect("a thread starts");
        Self { _called_off: called_off }
    }
}

/// What each thread of this process does.
fn threads() -> String {
    let mut text = String::new();
    for task in std::fs::read_dir("/proc/self/task").expect("/proc is there").flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let _ = writeln!(text, "{:?}: {} in {}", task.file_name(), read("comm").trim(), read("wchan"));
    }
    text
}
