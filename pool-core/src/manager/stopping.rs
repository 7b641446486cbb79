//! Stopping what runs, and what is not to begin any more: time limits, deadlines, [`Future::kill`](crate::Future::kill).
//!
//! What is to be done and when is said by [`ladder`](crate::manager::state); here links are looked at and told. Keeps
//! true: a signal hits the item that it is meant for, or nothing: the link is closed and all that is unclaimed is taken
//! back before anybody looks whether the item still runs. A result that was published is delivered, also of an item that
//! was about to be stopped. Never polls: each look has a limit that made it due.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Weak;
use std::time::{Duration, Instant};

use pool_ipc::{Link, LinkId, Running, Share};

use crate::error::StoppedWorker;
use crate::future::{Recall, addressed};
use crate::manager::Manager;
use crate::manager::acting::{SIGTERM, kill};
use crate::manager::completing::Completion;
use crate::manager::event::{Due, Event};
use crate::manager::sentence::{Sentence, Why, is_same};
use crate::manager::work::Work;

/// How soon a task is looked for again that is neither to be had back nor seen to run: it ends in this moment, or the
/// backend tells late of its beginning.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// At least this long lies between two looks at a link for the limits of what it has not begun.
const LOOKS_APART: Duration = Duration::from_millis(1);

/// A task that is to be stopped, now or later. Whoever is done with it meanwhile has let go of it.
pub(crate) struct Stop {
    pub(crate) owner: Weak<dyn std::any::Any + Send + Sync>,
    pub(crate) why: Why,
    /// Not before this.
    pub(crate) at: Option<Instant>,
}

/// Stops that are not due.
#[derive(Default)]
pub(crate) struct Stops {
    by_time: BTreeMap<(Instant, u64), Stop>,
    count: u64,
    /// Those of futures that are gone are thrown away when there are twice as many as were left the last time.
    kept: usize,
}

/// Below this many nobody looks for those that are gone.
const FEW_STOPS: usize = 1024;

impl Stops {
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|(&(at, _), _)| at)
    }

    fn add(&mut self, at: Instant, stop: Stop) {
        self.count += 1;
        self.by_time.insert((at, self.count), stop);
        if self.by_time.len() > (2 * self.kept).max(FEW_STOPS) {
            self.by_time.retain(|_, stop| stop.owner.strong_count() > 0);
            self.kept = self.by_time.len();
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<Stop> {
        let is_due = self.next().is_some_and(|at| at <= now);
        if is_due { self.by_time.pop_first().map(|(_, stop)| stop) } else { None }
    }
}

impl Manager {
    /// What callers want stopped.
    pub(super) fn note_stops(&mut self, stops: Vec<Stop>, now: Instant) {
        for stop in stops {
            self.stops.add(stop.at.unwrap_or(now), stop);
        }
        self.stop_what_is_due(now);
    }

    /// Does what callers wanted to be done by now.
    pub(super) fn stop_what_is_due(&mut self, now: Instant) {
        let mut were_some = false;
        while let Some(stop) = self.stops.pop_due(now) {
            self.stop(stop, now);
            were_some = true;
        }
        if were_some {
            // Once for all of them: it goes through everything that waits for another attempt.
            self.forget_withdrawn(now);
        }
    }

    /// Takes back what of the task nobody has begun, and sees to what runs of it.
    fn stop(&mut self, stop: Stop, now: Instant) {
        let Some(owner) = stop.owner.upgrade() else { return };
        let work = Work::of(&owner);
        let (callbacks, recalled) = work.withdraw(&stop.why.error(work.task(), None));
        self.callbacks.extend(callbacks);
        for Recall { link, rest } in recalled {
            self.pool.take_back(rest);
            self.decide(Event::Recalled(link), now);
        }
        let mut found = work.is_done();
        for link in self.pool.links() {
            let Some(running) = running_at(&*link) else {
                // It may have finished the task and not say so: the looks at who rests find that out.
                if !found && link.outstanding() > 0 {
                    self.decide(Event::Limited(link.id()), now);
                }
                continue;
            };
            if !is_same(&running.owner, &owner) {
                continue;
            }
            found = true;
            self.sentences.entry(link.id()).or_insert_with(|| Sentence::on(running, stop.why.clone()));
            self.decide(Event::Condemned(link.id()), now);
        }
        // Of a batch there may be more, where a backend tells late what has begun: that is over once the worker is.
        let again = if found { self.state.stop_grace().max(LOOK_AGAIN) } else { LOOK_AGAIN };
        if (!found || work.is_batch() && !work.is_done())
            && let Some(at) = now.checked_add(again)
        {
            self.stops.add(at, stop);
        }
    }

    /// Looks at what a link runs, and when that is over its limit.
    pub(super) fn look(&mut self, id: LinkId, now: Instant, answers: &mut VecDeque<Event>) {
        let Some(link) = self.pool.link(id) else { return };
        // In this order: what is begun between the two looks was seen not to be begun, and is looked at again. The other way
        // round it would be seen neither to run nor to wait, and have no limit.
        let shortest = link.shortest_timeout();
        let mut running = running_at(&*link);
        if let Some(running) = &mut running {
            running.since = running.since.map(pool_ipc::in_running_time);
        }
        let is_at_rest = running.is_none();
        let due = due(running.as_ref(), shortest, now);
        if let (Due::Now, Some(running)) = (due, running) {
            let limit = limit_of(&running).unwrap_or_default();
            self.sentences.entry(id).or_insert_with(|| Sentence::on(running, Why::Timeout(limit)));
        }
        // It may not have said yet what it has done, or not have seen yet what it has: the state knows for how long.
        let rests = is_at_rest && link.outstanding() > 0;
        answers.push_back(Event::Clocked { link: id, due, rests });
    }

    /// Sees to it that nothing further begins at a link, and whether what is to be stopped there still runs.
    pub(super) fn corner(&mut self, id: LinkId, answers: &mut VecDeque<Event>) {
        let Some(link) = self.pool.link(id) else { return };
        self.pool.idle.forget(id);
        link.close();
        self.pool.take_back(link.recall_tail(Share::All));
        if let Some(holds) = self.sentence_by_force(&*link) {
            return answers.push_back(Event::Cornered { link: id, holds });
        }
        let holds = match self.sentences.get(&id) {
            None => self.is_through(&*link),
            Some(sentence) => {
                let holds = running_at(&*link).is_some_and(|running| sentence.is_about(&running));
                if holds {
                    link.cancel(sentence.ticket());
                }
                holds
            }
        };
        if !holds {
            self.sentences.remove(&id);
        }
        answers.push_back(Event::Cornered { link: id, holds });
    }

    /// Takes from a worker that rests what it has finished and not announced. Whether it has nothing left then, so that
    /// nothing is lost with it.
    fn is_through(&mut self, link: &dyn Link) -> bool {
        if link.running().is_some() {
            return false;
        }
        link.collect(&mut self.heard);
        if !self.heard.is_empty() {
            // They are the next turn's, before anything that the worker says later.
            self.pool.hub.wake();
        }
        link.outstanding() == 0
    }

    /// Asks the worker, and what it started, to end.
    pub(super) fn soften(&self, id: LinkId) {
        self.with_link(id, |link| {
            link.signal(SIGTERM, true);
        });
    }

    /// Ends a worker that is not to be believed any more.
    pub(super) fn end_liar(&mut self, id: LinkId) {
        if self.liars.insert(id) {
            pool_ipc::tell!(Error, "a worker is stopped: it spoke after its greeting");
            self.with_link(id, |link| {
                kill(&**link);
            });
        }
    }

    /// Ends a worker. One that cannot be ended loses its task nevertheless, if that was to be stopped.
    pub(super) fn end_worker(&mut self, id: LinkId, answers: &mut VecDeque<Event>) {
        let Some(link) = self.pool.link(id) else { return };
        if self.is_served(&*link) {
            self.sentences.remove(&id);
            return answers.push_back(Event::Cornered { link: id, holds: false });
        }
        if kill(&*link) || self.state.has_processes() {
            return;
        }
        let running = running_at(&*link);
        if let Some(sentence) =
            self.sentences.get(&id).filter(|sentence| running.is_some_and(|it| sentence.is_about(&it)))
        {
            let (owner, item) = sentence.item();
            let worker = StoppedWorker { pid: link.pid(), cause: None, stderr: None };
            let error = sentence.why.error(Work::of(&owner).task(), Some(worker));
            self.completions.push_back(Completion::One(owner, item, Err(error)));
        }
        answers.push_back(Event::Survives { link: id, pid: link.pid() });
    }

    /// Whether what was to be stopped at this link is over, and the worker has gone on to an item that could not be had back.
    fn is_served(&self, link: &dyn Link) -> bool {
        let sentence = self.sentences.get(&link.id()).filter(|_| !self.state.is_halted());
        sentence.is_some_and(|sentence| running_at(link).is_some_and(|running| !sentence.is_about(&running)))
    }
}

/// What a link runs, and for whom.
pub(super) fn running_at(link: &dyn Link) -> Option<Running> {
    link.running().map(addressed)
}

/// When something is to be done about what a link runs. What is not begun cannot be over before its limit has passed once
/// more.
fn due(running: Option<&Running>, shortest: Option<Duration>, now: Instant) -> Due {
    let expires = running.and_then(|running| running.since?.checked_add(limit_of(running)?));
    if expires.is_some_and(|expires| expires <= now) {
        return Due::Now;
    }
    let later = shortest.and_then(|limit| now.checked_add(limit.max(LOOKS_APART)));
    expires.into_iter().chain(later).min().map_or(Due::Never, Due::At)
}

fn limit_of(running: &Running) -> Option<Duration> {
    running.terms.as_ref()?.timeout
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pool_ipc::{Owner, Terms, Ticket};

    use super::*;

    fn running(since: Instant, timeout: Option<Duration>) -> Running {
        let terms = Some(Arc::new(Terms { timeout, ..Terms::default() }));
        Running { ticket: Ticket(1), owner: Arc::new(()), item: 0, terms, since: Some(since) }
    }

    #[test]
    fn a_look_is_due_when_what_runs_or_what_waits_may_be_over_its_limit() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let half = running(now - second / 2, Some(second));
        assert_eq!(due(None, None, now), Due::Never);
        assert_eq!(due(Some(&running(now - second, None)), None, now), Due::Never);
        assert_eq!(due(Some(&half), None, now), Due::At(now + second / 2));
        assert_eq!(due(Some(&half), None, now + second / 2), Due::Now);
        assert_eq!(due(Some(&half), Some(second / 4), now), Due::At(now + second / 4));
        assert_eq!(due(None, Some(Duration::ZERO), now), Due::At(now + LOOKS_APART), "it is no busy loop");
        assert_eq!(due(None, Some(Duration::MAX), now), Due::Never);
    }

    #[test]
    fn stops_come_out_when_they_are_due_and_those_of_nobody_do_not_pile_up() {
        let mut stops = Stops::default();
        let (now, owner): (_, Owner) = (Instant::now(), Arc::new(()));
        let stop = |owner: &Owner| Stop { owner: Arc::downgrade(owner), why: Why::Killed, at: None };
        stops.add(now + Duration::from_secs(1), stop(&owner));
        for _ in 0..10 * FEW_STOPS {
            stops.add(now + Duration::from_secs(2), stop(&(Arc::new(()) as Owner)));
        }
        assert!(stops.by_time.len() <= FEW_STOPS + 1);
        assert!(stops.pop_due(now).is_none());
        let later = now + Duration::from_secs(1);
        assert!(stops.pop_due(later).is_some() && stops.pop_due(later).is_none());
    }
}
