//! The manager's mind: waits for links and callers, asks [`state`] what to do, and does it. [`threads`] says who calls it:
//! the manager thread (`Thread-N`), the feeder while that one runs callbacks, or a [`caller`] that waits for the only task.
//!
//! A turn has a fixed order. Workers are offered, fed and replaced before any future of the turn is completed, so that who
//! wakes up by a result finds the worker free; callbacks come last. Keeps true: it never starts a process, never decodes a
//! value and never runs a callback; once it is abandoned, every future of the pool is resolved.

mod acting;
mod backlog;
mod batch;
mod caller;
mod completing;
mod delayed;
mod ending;
mod event;
pub(crate) mod feeder;
mod idle;
#[cfg(loom)]
pub mod modelled;
mod orders;
mod pool;
mod quota;
mod replies;
mod seat;
mod sentence;
#[cfg(feature = "simulation")]
mod simulated;
mod state;
mod stopping;
mod threads;
mod time_limits;
mod work;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use pool_ipc::{Corrupt, Frame, LinkEvent, LinkId, Lost, Outcome, Owner, Share};

use self::acting::{Deciding, kill};
pub(crate) use self::batch::{Batch, NotYet, Run};
use self::completing::Completion;
pub(crate) use self::completing::Unannounced;
use self::delayed::Delayed;
pub(crate) use self::ending::Force;
use self::ending::{Doom, Ending};
use self::event::Event;
pub(crate) use self::event::Means;
use self::orders::Mind;
#[cfg(feature = "simulation")]
pub(crate) use self::orders::leaving::{LEASE, Vigil};
use self::pool::Inbox;
pub(crate) use self::pool::{Demand, Pool, Recruiter, Strength};
pub(crate) use self::replies::Replies;
use self::sentence::Sentence;
pub use self::state::OnWorkerLoss;
use self::state::State;
pub(crate) use self::state::{Limits, RestartLimit, Staffing};
use self::stopping::Stops;
pub(crate) use self::threads::Threads;
pub(crate) use self::time_limits::{TimeLimits, watch_deadline};
use self::work::Work;
use crate::error::{Broken, NoMemory, StartFailure, TaskError};
use crate::future::{Callback, Encoded, addressee, unpacked};
use crate::wire::{Greeting, is_shared, read_reply};

/// What one turn needs, and leaves for the next.
pub(crate) struct Manager {
    pool: Arc<Pool>,
    state: State,
    /// What the hub is telling. Kept here, should it panic over that.
    heard: Vec<LinkEvent>,
    /// What links told. Taken one by one, so that a panic loses none.
    news: VecDeque<LinkEvent>,
    /// Outcomes of this turn, to be brought once the workers have been seen to. Taken one by one, too.
    completions: VecDeque<Completion>,
    /// Those that fell due. Whoever has taken the turn has them run by the manager thread.
    callbacks: Vec<Callback>,
    tally: Tally,
    /// Empty between two decisions, kept for their memory. `None` in the middle of one.
    deciding: Option<Deciding>,
    /// What is being stopped, by the link where it runs.
    sentences: HashMap<LinkId, Sentence>,
    /// Those that were killed for what they said.
    liars: HashSet<LinkId>,
    /// What is to be stopped later.
    stops: Stops,
    /// What is to be run again.
    delayed: Delayed,
    /// What becomes of all that nobody has begun, once somebody demanded that: also of what comes back later, from the
    /// feeder's hands or a lost worker's.
    doom: Option<Doom>,
    ending: Ending,
    /// When the last turn was taken.
    now: Instant,
    /// Everything was resolved after a panic of ours, and nothing more will happen.
    abandoned: bool,
}

/// How many items each link has finished in this turn.
#[derive(Default)]
struct Tally {
    items: Vec<(LinkId, usize)>,
}

impl Tally {
    /// The link has moved on, perhaps by some items.
    fn count(&mut self, link: LinkId, items: usize) {
        match self.items.last_mut() {
            Some((last, count)) if *last == link => *count += items,
            _ => self.items.push((link, items)),
        }
    }
}

impl Manager {
    fn new(pool: Arc<Pool>, state: State) -> Self {
        Self {
            pool,
            state,
            heard: Vec::new(),
            news: VecDeque::new(),
            completions: VecDeque::new(),
            callbacks: Vec::new(),
            tally: Tally::default(),
            deciding: Some(Deciding::default()),
            sentences: HashMap::new(),
            liars: HashSet::new(),
            stops: Stops::default(),
            delayed: Delayed::default(),
            doom: None,
            ending: Ending::default(),
            now: pool_ipc::running_now(),
            abandoned: false,
        }
    }

    /// A turn, which waits until then at most.
    fn turn(&mut self, limit: Option<Instant>) -> Option<Unannounced> {
        // All of the manager's times are of a clock that stands still while the program is stopped.
        let deadline = self.deadline().map(pool_ipc::in_real_time);
        self.pool.hub.wait(deadline.into_iter().chain(limit).min(), &mut self.heard);
        self.decide_on_news(pool_ipc::running_now())
    }

    /// When there is something to do though nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let earlier = |one: Option<Instant>, other: Option<Instant>| match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        earlier(earlier(self.state.deadline(), self.stops.next()), earlier(self.delayed.next(), self.ending.next()))
    }

    /// The turn, once the wait is over.
    fn decide_on_news(&mut self, now: Instant) -> Option<Unannounced> {
        self.now = now;
        self.pool.set_sated(false);
        self.note_what_was_heard();
        let mut inbox = self.pool.take_inbox();
        if let Some(inbox) = &mut inbox {
            self.callbacks.append(&mut inbox.callbacks);
            // A worker is known before anything that it says is heard; and what links told, which is what they count, comes
            // before what others say of them.
            let is_start = |event: &mut Event| matches!(event, Event::Started(_) | Event::StartFailed(..));
            let starts: Vec<Event> = inbox.events.extract_if(.., is_start).collect();
            starts.into_iter().for_each(|event| self.decide(event, now));
        }
        self.sort(now);
        match inbox {
            Some(inbox) => self.hear(inbox, now),
            // Those that were noted before may be due.
            None => self.stop_what_is_due(now),
        }
        if self.abandoned {
            return None;
        }
        if self.state.deadline().is_some_and(|deadline| deadline <= now) {
            self.decide(Event::Tick, now);
        }
        self.resume(now);
        self.force_if_due(now);
        self.employ_idle(now);
        let last = self.complete(now);
        // Said last: whoever submits after that, and is not heard, has somebody before him whose progress is.
        if self.pool.backlog.waiting() > 0 && self.doom.is_none() && self.state.is_sated() {
            self.pool.set_sated(true);
        }
        last
    }

    fn note_what_was_heard(&mut self) {
        if self.news.is_empty() {
            // The two change places, each with its memory.
            let empty = std::mem::replace(&mut self.news, std::mem::take(&mut self.heard).into());
            self.heard = empty.into();
        } else {
            self.news.extend(self.heard.drain(..));
        }
    }

    /// What callers and the feeder said.
    fn hear(&mut self, inbox: Inbox, now: Instant) {
        let Inbox { events, demands, stops, withdrawn, recalled, .. } = inbox;
        for event in events {
            match event {
                // It has run dry since, and is offered.
                Event::Recalled(link) if self.pool.idle.is_offered(link) => {}
                Event::ShutDown => {
                    self.ending.is_counted = true;
                    self.decide(event, now);
                    self.withdraw_all(now);
                }
                Event::Fed(_) => {
                    self.decide(event, now);
                    self.fail_doomed(now);
                }
                _ => self.decide(event, now),
            }
        }
        self.note_stops(stops, now);
        if withdrawn {
            self.forget_withdrawn(now);
        }
        if recalled {
            self.end_if_due(now);
        }
        for demand in demands {
            match demand {
                Demand::Abandon => return self.abandon(),
                Demand::CancelPending => {
                    self.doom.get_or_insert(Doom::Cancelled);
                    self.fail_doomed(now);
                }
                Demand::Force(force) => self.force(force, now),
            }
        }
    }

    fn end_all(&self) {
        for link in self.pool.links() {
            kill(&*link);
        }
    }

    fn fail_doomed(&mut self, now: Instant) {
        if let Some(doom) = self.doom {
            for event in self.fail_pending(|task| doom.error(task)) {
                self.decide(event, now);
            }
        }
    }

    /// What links have to tell, the outcomes of each taken together.
    fn sort(&mut self, now: Instant) {
        for _ in 0..self.news.len() {
            if let Some(LinkEvent::Said { .. } | LinkEvent::Ended { .. }) = self.news.front() {
                // While the event is still on the list: what it accounts for is not to be lost in a panic.
                self.report_progress(now);
            }
            let Some(event) = self.news.pop_front() else { break };
            if !self.state.knows(event.link()) {
                // The feeder is about to report its start, which will be a turn of its own.
                self.news.push_back(event);
                continue;
            }
            match event {
                LinkEvent::Outcome { link, outcome, .. } => {
                    self.tally.count(link, 1);
                    self.receive(link, outcome);
                }
                LinkEvent::Outcomes { link, outcomes, .. } => {
                    self.tally.count(link, outcomes.values.len());
                    self.receive_together(link, outcomes);
                }
                LinkEvent::Declined { link, rest, .. } => {
                    self.tally.count(link, 0);
                    self.pool.take_back([rest]);
                }
                LinkEvent::Said { link, bytes } => self.greet(link, &bytes, now),
                LinkEvent::Ended { link, pid, cause, corrupt, postmortem, lost, stderr } => {
                    let blamed = blamed(&lost);
                    let sentence = self.sentences.get(&link);
                    if sentence
                        .zip(blamed.as_ref())
                        .is_some_and(|(sentence, (owner, item))| !sentence.names(owner, *item))
                    {
                        // The signal has hit another item than that which it was meant for.
                        self.decide(Event::Cornered { link, holds: false }, now);
                    }
                    let blamed = blamed.map(|(owner, _)| Work::of(&owner).task());
                    ending::log_end(pid, cause, postmortem, blamed);
                    let lied = self.liars.remove(&link).then_some(GREETED_AGAIN);
                    let blame = self.blame(link, pid, cause, corrupt.or(lied));
                    let blame = blame.with_postmortem(postmortem).with_stderr(stderr.clone());
                    self.mourn(lost, |owner, item| blame.error(owner, item));
                    self.pool.discharge(link);
                    self.decide(Event::Ended { link, pid, cause, stderr, blamed }, now);
                }
            }
        }
        self.report_progress(now);
    }

    fn report_progress(&mut self, now: Instant) {
        for index in 0..self.tally.items.len() {
            let (link, count) = self.tally.items[index];
            self.decide(Event::Progress { link, count }, now);
        }
        self.tally.items.clear();
    }

    fn receive(&mut self, link: LinkId, outcome: Outcome) {
        let Outcome { owner, item, result } = outcome;
        let (owner, item) = addressee(owner, item);
        let task = Work::of(&owner).task();
        let outcome = match result {
            Ok(body) => {
                // A result that has none keeps none of the arguments' shared values.
                let keeps = body.values().is_empty() || is_shared(body.as_slice());
                let body = if keeps { body } else { body.unaccompanied() };
                // Only errors tell whose they are.
                let pid = || self.pool.link(link).map_or(0, |link| link.pid());
                let start = read_reply(task, 0, body.as_slice());
                let start = start.or_else(|_| read_reply(task, pid(), body.as_slice()));
                start.map(|start| Encoded { body, start })
            }
            Err(lost) => Err(TaskError::NoMemory(NoMemory::new(task, lost.size, lost.errno))),
        };
        self.completions.push_back(Completion::One(owner, item, outcome));
    }

    fn greet(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        if self.state.has_greeted(link) {
            return self.end_liar(link);
        }
        let pid = self.pool.link(link).map_or(0, |link| link.pid());
        let unfit = |failure| Event::Unfit(link, Broken::Start(Arc::new(failure)));
        let event = match Greeting::decode(bytes) {
            Some(Greeting::Ready { fingerprint }) if fingerprint == crate::task::fingerprint() => Event::Ready(link),
            Some(Greeting::Ready { .. } | Greeting::OtherBuild) => unfit(StartFailure::OtherBuild { pid }),
            Some(Greeting::NoInit) => unfit(StartFailure::NoInit { pid }),
            Some(Greeting::InitializerFailed(error)) => Event::Unfit(link, Broken::Initializer { pid, error }),
            None => unfit(StartFailure::Garbled { pid }),
        };
        self.decide(event, now);
    }

    /// What a dead worker left: one item to blame, and the rest for others.
    fn mourn(&mut self, lost: Vec<Lost>, error: impl Fn(&Owner, u32) -> TaskError) {
        let mut rests = Vec::new();
        for Lost { owner, blamed, rest } in lost {
            let blamed = blamed.map(|item| addressee(owner, item));
            self.completions.extend(blamed.map(|(owner, item)| {
                let error = error(&owner, item);
                Completion::One(owner, item, Err(error))
            }));
            rests.extend(rest);
        }
        self.pool.take_back(rests);
    }

    /// Frames that wait go to idle workers first, and have new ones started else.
    fn employ_idle(&mut self, now: Instant) {
        if self.pool.backlog.waiting() > 0 {
            self.fail_doomed(now);
        }
        while self.pool.backlog.waiting() > 0
            && let Some(link) = self.pool.idle.withdraw()
        {
            self.decide(Event::Withdrawn(link.id()), now);
        }
        if self.pool.backlog.waiting() > 0 {
            self.decide(Event::Submitted, now);
        }
    }

    fn withdraw_all(&mut self, now: Instant) {
        while let Some(link) = self.pool.idle.withdraw() {
            self.decide(Event::Withdrawn(link.id()), now);
        }
    }

    /// Fails all that nobody has begun, here and at links.
    #[must_use]
    fn fail_pending(&mut self, error: impl Fn(&str) -> TaskError) -> Vec<Event> {
        let mut events = Vec::new();
        let mut frames = self.pool.backlog.take_all();
        frames.extend(self.delayed.take_all());
        for link in self.pool.links() {
            let recalled = link.recall_tail(Share::All);
            if !recalled.is_empty() {
                events.push(Event::Recalled(link.id()));
            }
            frames.extend(recalled.into_iter().flat_map(unpacked));
        }
        for Frame { owner, window, .. } in frames {
            let error = error(Work::of(&owner).task());
            self.completions.extend(window.map(|item| Completion::One(Arc::clone(&owner), item, Err(error.clone()))));
        }
        events
    }

    /// The last resort after a panic of ours: ends all workers and resolves every future that is left.
    fn abandon(&mut self) {
        self.abandoned = true;
        let error = self.pool.verdict();
        drop(self.pool.orders.withdraw());
        loop {
            self.news.extend(self.heard.drain(..));
            while let Some(event) = self.news.pop_front() {
                match event {
                    LinkEvent::Outcome { link, outcome, .. } => self.receive(link, outcome),
                    LinkEvent::Outcomes { link, outcomes, .. } => self.receive_together(link, outcomes),
                    LinkEvent::Declined { rest, .. } => self.pool.take_back([rest]),
                    LinkEvent::Said { .. } => {}
                    LinkEvent::Ended { link, lost, .. } => {
                        self.mourn(lost, |_, _| error.clone());
                        self.pool.discharge(link);
                    }
                }
            }
            let links = self.pool.links();
            if links.is_empty() {
                break;
            }
            self.end_all();
            self.pool.hub.wait(None, &mut self.heard);
        }
        let delayed = self.delayed.take_all();
        for Frame { owner, window, .. } in self.pool.backlog.drain().into_iter().chain(delayed) {
            self.completions.extend(window.map(|item| Completion::One(Arc::clone(&owner), item, Err(error.clone()))));
        }
        drop(self.complete(Instant::now()));
    }
}

impl Mind for Manager {
    fn is_over(&self) -> bool {
        self.abandoned || self.state.is_finished()
    }

    fn callbacks(&mut self) -> &mut Vec<Callback> {
        &mut self.callbacks
    }
}

/// Who is to blame for a worker's end, if anybody.
fn blamed(lost: &[Lost]) -> Option<(Owner, u32)> {
    lost.iter().find_map(|lost| Some(addressee(Owner::clone(&lost.owner), lost.blamed?)))
}

/// What is held against a worker that speaks after its greeting. What it says then may come from a task.
const GREETED_AGAIN: Corrupt = Corrupt::Message { what: "a second greeting" };
