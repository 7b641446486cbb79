//! Workers that are threads of this process, over the very slots that worker processes use, on heap memory.
//!
//! For tests, for platforms without the other backends, and for programs that want the same interface without isolation.
//! Bounded like the real thing. A seeded fault plan makes workers die, stall, garble and lose doorbells. What threads
//! cannot do (be killed, have exit codes, die without harm) is declared in its abilities.

mod awaited;
mod fault;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::awaited::Awaited;
pub use self::fault::{Fault, FaultPlan};
use self::fault::{Faults, FaultyJob};
use crate::backend::{
    Abilities, Backend, Corrupt, FarEnd, Hub, Job, Link, LinkEvent, LinkId, Load, MAX_SAID, OpenError, Refused, Share,
    StartError, StartOrder, Ticket,
};
use crate::exit::ExitCause;
use crate::frame::{Body, Frame, Undelivered};
use crate::look::Looks;
use crate::postmortem::Postmortem;
use crate::shared_value::{SharedValue, SharedValues, WeakValue};
use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::parent::{Memory, ParentEnd, ParentSide, SentLarge};
use crate::slot::region::Region;
use crate::slot::word::Word;
use crate::slot::worker::{Closing, TakenLarge, WorkerEnd, WorkerSide};
use crate::terms::{Assignment, Running};
use std::sync::atomic::AtomicU64;

/// The stack of a worker thread: what the main thread of a process usually has.
const STACK_SIZE: usize = 8 * 1024 * 1024;

/// Runs workers as threads of this process.
///
/// ```
/// use pool_ipc::{Backend, InProcess};
///
/// assert!(!InProcess::new().abilities().processes);
/// ```
#[derive(Clone, Debug, Default)]
pub struct InProcess {
    plan: Option<FaultPlan>,
}

impl InProcess {
    /// Workers without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Workers that fail as planned.
    #[must_use]
    pub fn with_faults(plan: FaultPlan) -> Self {
        Self { plan: Some(plan) }
    }
}

impl Backend for InProcess {
    fn name(&self) -> &'static str {
        "in_process"
    }

    fn abilities(&self) -> Abilities {
        Abilities { processes: false, recall: true, frames_a_link: SLOTS }
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        Ok(Arc::new_cyclic(|this| HeapHub {
            this: this.clone(),
            plan: self.plan.clone(),
            inbox: Awaited::default(),
            turn: Mutex::default(),
            links: Mutex::default(),
        }))
    }
}

/// Where the links of one pool meet: a list of what happened, for which one thread waits.
struct HeapHub {
    this: Weak<Self>,
    plan: Option<FaultPlan>,
    inbox: Awaited<Inbox>,
    /// Held by the one thread that waits.
    turn: Mutex<Turn>,
    links: Mutex<BTreeMap<LinkId, Arc<HeapLink>>>,
}

#[derive(Default)]
struct Turn {
    looks: Looks,
    /// What is being reported. Empty between two waits, kept for its memory.
    news: Vec<(LinkId, News)>,
}

/// What happened since the last wait, in order. Bounded by the number of links but for what workers say, of which a
/// worker sends one message before it serves.
#[derive(Default)]
struct Inbox {
    news: Vec<(LinkId, News)>,
    woken: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum News {
    Said(Vec<u8>),
    Rung,
    Ended(ExitCause),
}

impl HeapHub {
    fn tell(&self, link: LinkId, news: News) {
        self.inbox.change(|inbox| inbox.news.push((link, news)));
    }

    fn report(&self, id: LinkId, news: News, looks: &mut Looks, events: &mut Vec<LinkEvent>) {
        let Some(link) = self.links.lock().get(&id).cloned() else { return };
        match news {
            News::Said(bytes) => events.push(LinkEvent::Said { link: id, bytes }),
            News::Rung => match link.parent.collect_by_turns(events) {
                Ok(next) => looks.note(id, next),
                Err(_) => link.give_up(),
            },
            News::Ended(cause) => {
                self.links.lock().remove(&id);
                link.end(cause, events);
            }
        }
    }
}

impl fmt::Debug for HeapHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeapHub").field("links", &self.links.lock().len()).finish_non_exhaustive()
    }
}

impl Hub for HeapHub {
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError> {
        let memory = Arc::new(Memory { request: Region::heap(request::SIZE), outcome: Region::heap(outcome::SIZE) });
        let closing = Closing::new(Arc::clone(&memory));
        let (parker, mail, values) = (Parker::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { id, hub: self.this.clone(), parker, mail, values });
        let faults = Arc::new(Faults::new(self.plan.as_ref(), id));
        let side = HeapWorker { shared: Arc::clone(&shared), faults: Arc::clone(&faults) };
        let end = WorkerEnd::new(Arc::clone(&memory), Arc::clone(&closing), side);
        let (boot, far_shared) = (Arc::clone(&order.boot), Arc::clone(&shared));
        let far = HeapFarEnd { end, boot, shared: far_shared, faults: Arc::clone(&faults) };
        let parent = ParentEnd::new(id, memory, HeapParent { shared });
        let link = Arc::new(HeapLink { parent, closing, thread: Mutex::new(None), faults });
        // Listed before its worker can speak.
        self.links.lock().insert(id, Arc::clone(&link));
        let thread_main = order.thread_main;
        let builder = std::thread::Builder::new().name(order.name.clone()).stack_size(STACK_SIZE);
        match builder.spawn(move || run_worker(far, thread_main)) {
            Ok(thread) => *link.thread.lock() = Some(thread),
            Err(source) => {
                self.links.lock().remove(&id);
                return Err(StartError { doing: "starting a worker thread", path: None, source });
            }
        }
        Ok(link)
    }

    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>) {
        let mut turn = self.turn.lock();
        let Turn { looks, news } = &mut *turn;
        let deadline = looks.bound(deadline);
        let happened = |inbox: &Inbox| !inbox.news.is_empty() || inbox.woken;
        self.inbox.take(deadline, happened, |inbox| {
            inbox.woken = false;
            std::mem::swap(&mut inbox.news, news);
        });
        for (id, news) in news.drain(..) {
            self.report(id, news, looks, events);
        }
        for id in looks.take_due() {
            self.report(id, News::Rung, looks, events);
        }
    }

    fn wake(&self) {
        self.inbox.change(|inbox| inbox.woken = true);
    }
}

/// Runs the far end in its thread, and reports its end whatever happens.
fn run_worker(far: HeapFarEnd, thread_main: fn(Box<dyn FarEnd>)) {
    let shared = Arc::clone(&far.shared);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || thread_main(Box::new(far))));
    let cause = match ended {
        Ok(()) => ExitCause::Code(0),
        // As the death of a process by SIGKILL would be told.
        Err(payload) if payload.is::<fault::Killed>() => ExitCause::Signal(9),
        Err(_) => ExitCause::Code(101),
    };
    if let Some(hub) = shared.hub.upgrade() {
        hub.tell(shared.id, News::Ended(cause));
    }
}

/// The parent's end of a worker thread.
#[derive(Debug)]
struct HeapLink {
    parent: ParentEnd<HeapParent>,
    closing: Arc<Closing>,
    thread: Mutex<Option<JoinHandle<()>>>,
    faults: Arc<Faults>,
}

impl HeapLink {
    fn end(&self, cause: ExitCause, events: &mut Vec<LinkEvent>) {
        let (corrupt, lost) = self.parent.finish(events);
        let thread = self.thread.lock().take();
        // A worker that broke the protocol may never return; its memory is shared, so it can be left behind.
        if let Some(thread) = thread.filter(|_| corrupt.is_none()) {
            let _ = thread.join();
        }
        let (link, pid, postmortem) = (self.parent.id(), self.pid(), Postmortem::default());
        events.push(LinkEvent::Ended { link, pid, cause, corrupt, postmortem, lost, stderr: None });
    }

    fn give_up(&self) {
        self.faults.release();
        self.closing.close(|word| self.parent.side().wake(word));
        if let Some(hub) = self.parent.side().shared.hub.upgrade() {
            hub.tell(self.parent.id(), News::Ended(ExitCause::Signal(9)));
        }
    }
}

impl Drop for HeapLink {
    /// A thread that nobody can reach any more does not stay for ever. What was posted and not begun is not run.
    fn drop(&mut self) {
        drop(self.parent.recall_tail(Share::All));
        self.faults.release();
        self.closing.close(|word| self.parent.side().wake(word));
    }
}

impl Link for HeapLink {
    fn id(&self) -> LinkId {
        self.parent.id()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        self.parent.post(frame)
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        self.parent.recall(ticket)
    }

    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        self.parent.recall_tail(share)
    }

    fn unclaimed(&self) -> usize {
        self.parent.unclaimed()
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.parent.is_running(ticket, item)
    }

    fn running(&self) -> Option<Running> {
        self.parent.running()
    }

    fn load(&self) -> Load {
        self.parent.load()
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        self.parent.shortest_timeout()
    }

    fn cancel(&self, ticket: Ticket) {
        self.parent.cancel(ticket);
    }

    fn outstanding(&self) -> usize {
        self.parent.outstanding()
    }

    fn collect(&self, events: &mut Vec<LinkEvent>) {
        if self.parent.collect(events).is_err() {
            self.give_up();
        }
    }

    fn close(&self) {
        self.parent.close();
        self.closing.close(|word| self.parent.side().wake(word));
    }

    fn signal(&self, _signal: i32, _group: bool) -> bool {
        // A thread cannot be killed. One that stalls by plan can be let go, so that tests of stalls come to an end.
        self.faults.release();
        false
    }
}

/// The error number of a process that has no memory left, on every Unix.
const ENOMEM: i32 = 12;

/// What both ends of a link in this process share besides the slots.
struct Shared {
    id: LinkId,
    hub: Weak<HeapHub>,
    parker: Parker,
    /// Payloads and outcomes that are too large for the slots, by number. Both directions: their numbers differ.
    mail: Mutex<HashMap<(Way, u64), Body>>,
    /// The shared values of the frames that were posted. The frames own them.
    values: Mutex<HashMap<u64, WeakValue>>,
}

impl SharedValues for Shared {
    fn take(&self, id: u64) -> io::Result<SharedValue> {
        let value = self.values.lock().get(&id).and_then(WeakValue::upgrade);
        value.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Way {
    ToWorker,
    ToParent,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a worker thread sleeps. The lock closes the gap between the last look at the word and the sleep.
#[derive(Debug, Default)]
struct Parker(Awaited<()>);

impl Parker {
    fn sleep(&self, word: &AtomicU64, seen: Word) {
        self.0.take(None, |()| Word::load(word).upper() != seen.upper(), |()| ());
    }

    fn wake(&self) {
        self.0.change(|()| ());
    }
}

#[derive(Debug)]
struct HeapParent {
    shared: Arc<Shared>,
}

impl ParentSide for HeapParent {
    fn wake(&self, _word: &AtomicU64) {
        self.shared.parker.wake();
    }

    fn commit(&self, _requests: &Region, _offset: u64, _len: u64) -> bool {
        true
    }

    fn freeze(&self, mut payload: Body) -> Result<Body, (Body, i32)> {
        if payload.make_whole().is_err() {
            return Err((payload, ENOMEM));
        }
        Ok(payload.share())
    }

    fn send_large(&self, id: u64, payload: &Body) -> SentLarge {
        self.shared.mail.lock().insert((Way::ToWorker, id), payload.clone().unaccompanied());
        SentLarge::Sent
    }

    fn bring(&self, values: &[SharedValue]) -> SentLarge {
        let mut posted = self.shared.values.lock();
        posted.retain(|_, value| value.is_owned());
        posted.extend(values.iter().map(|value| (value.id(), value.downgrade())));
        SentLarge::Sent
    }

    fn take_large(&self, id: u64, len: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
        let body = self.shared.mail.lock().remove(&(Way::ToParent, id));
        body.filter(|body| body.len() as u64 == len)
            .map(Ok)
            .ok_or(Corrupt::Message { what: "an outcome that was not sent" })
    }
}

struct HeapWorker {
    shared: Arc<Shared>,
    faults: Arc<Faults>,
}

impl WorkerSide for HeapWorker {
    fn sleep(&self, word: &AtomicU64, seen: Word) {
        self.shared.parker.sleep(word, seen);
    }

    fn ring(&self) {
        if self.faults.loses_doorbell() {
            return;
        }
        if let Some(hub) = self.shared.hub.upgrade() {
            hub.tell(self.shared.id, News::Rung);
        }
    }

    fn commit(&self, _offset: u64, _len: u64) -> bool {
        true
    }

    fn take_large(&mut self, id: u64) -> TakenLarge {
        let mut mail = self.shared.mail.lock();
        mail.retain(|&(way, number), _| way == Way::ToParent || number >= id);
        mail.remove(&(Way::ToWorker, id)).map_or(TakenLarge::Gone, TakenLarge::Taken)
    }

    fn send_large(&mut self, id: u64, pieces: &[&[u8]]) -> Result<(), i32> {
        let body = Body::shared(pieces.concat());
        self.shared.mail.lock().insert((Way::ToParent, id), body);
        Ok(())
    }
}

struct HeapFarEnd {
    end: WorkerEnd<HeapWorker>,
    boot: Arc<[u8]>,
    shared: Arc<Shared>,
    faults: Arc<Faults>,
}

impl FarEnd for HeapFarEnd {
    fn boot(&self) -> &[u8] {
        &self.boot
    }

    fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MAX_SAID {
            return Err(io::Error::other(format!("a message of {} bytes, {MAX_SAID} are allowed", bytes.len())));
        }
        let hub = self.shared.hub.upgrade().ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        hub.tell(self.shared.id, News::Said(bytes.to_vec()));
        Ok(())
    }

    fn assignment(&self) -> Arc<dyn Assignment> {
        self.end.assignment()
    }

    fn shared_values(&self) -> Arc<dyn SharedValues> {
        Arc::<Shared>::clone(&self.shared)
    }

    fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job)) {
        let faults = Arc::clone(&self.faults);
        if !faults.any() {
            return self.end.serve(work);
        }
        self.end.serve(&mut |job| work(&mut FaultyJob::new(job, &faults)));
    }
}
