//! How many workers there are: who is on duty, who stands by, who makes room for another.
//!
//! Keeps true:
//! 1. At most `max_workers` are on duty, those that still run what they had when they were told to end included. Nobody else
//!    is ever given a task, so no more tasks run at a time (but while a pool shrinks: no running task is interrupted).
//! 2. The reserve is the spares, and a successor for each worker that is to be replaced. One of the reserve comes on duty
//!    the moment a place is free, and the reserve is filled up again.
//! 3. A worker that is to be replaced works on until its successor has said hello. Then it finishes the item that it has
//!    begun, and what it has not begun goes elsewhere.
//! 4. What the pool does to its own workers is no loss: it blames no task, and counts for nothing.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::time::Duration;

use pool_ipc::LinkId;

use super::worker::{Leaving, Stage, Worker};
use super::{OnWorkerLoss, Phase, RestartLimit, State, Timer};
use crate::manager::event::{Action, View};

/// What the builder sets about the number of workers and their lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staffing {
    /// So many are there always.
    pub(crate) min_workers: usize,
    /// How many stand by beyond those that are needed.
    pub(crate) spares: usize,
    /// How long a worker may have nothing to do.
    pub(crate) idle_timeout: Option<Duration>,
    /// How old a worker may be.
    pub(crate) max_age: Option<Duration>,
    /// How much memory a worker may have after a task, in bytes.
    pub(crate) soft_memory: Option<u64>,
    /// How much private memory a worker may have at any time, in bytes.
    pub(crate) memory_limit: Option<NonZeroU64>,
    /// How many workers may be lost for no task's doing.
    pub(crate) restarts: RestartLimit,
    /// What the loss of one does to the pool.
    pub(crate) on_worker_loss: OnWorkerLoss,
}

#[cfg(any(test, feature = "simulation"))]
impl Staffing {
    /// Workers come on demand and stay.
    pub(crate) const NONE: Self = Self {
        min_workers: 0,
        spares: 0,
        idle_timeout: None,
        max_age: None,
        soft_memory: None,
        memory_limit: None,
        restarts: RestartLimit::DEFAULT,
        on_worker_loss: OnWorkerLoss::Replace,
    };
}

/// Who does what.
#[derive(Debug, Default)]
pub(super) struct Staff {
    /// How many are to be on duty.
    level: usize,
    /// Those that were started to stand by, up or not.
    reserve: BTreeSet<LinkId>,
    /// Something of this has changed.
    unsettled: bool,
}

impl Staff {
    pub(super) fn is_in_reserve(&self, link: LinkId) -> bool {
        self.reserve.contains(&link)
    }

    /// How many there are, of which all are up or coming up.
    pub(super) fn in_reserve(&self) -> usize {
        self.reserve.len()
    }

    /// More are needed than before.
    pub(super) fn rise_to(&mut self, level: usize) {
        if level > self.level {
            self.level = level;
            self.unsettled = true;
        }
    }

    /// A worker does not stand by any more: it is on duty, or goes, or is gone.
    pub(super) fn strike(&mut self, link: LinkId) {
        self.reserve.remove(&link);
        self.unsettled = true;
    }

    /// Things may have changed.
    pub(super) fn look_again(&mut self) {
        self.unsettled = true;
    }
}

/// How many tasks the worker of this link may run, where `limit` is the most: up to an eighth less, spread evenly over
/// workers that are started one after the other, so that they do not all end at once. The first has the limit itself.
pub(crate) fn allowance(limit: u32, link: LinkId) -> u32 {
    let less = (u64::from(limit / 8 + 1) * spread(link)) >> 32;
    limit - u32::try_from(less).expect("it is at most an eighth of the limit")
}

/// The same for an age.
fn lifetime(limit: Duration, link: LinkId) -> Duration {
    const STEPS: u32 = 1 << 10;
    let steps = u32::try_from((spread(link) * u64::from(STEPS)) >> 32).expect("it is less than all steps");
    limit - limit / (8 * STEPS) * steps
}

/// A fraction of 2^32: those of the multiples of the golden ratio, which are far from each other wherever one begins.
fn spread(link: LinkId) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9;
    link.0.wrapping_mul(GOLDEN) & u64::from(u32::MAX)
}

/// What the pool makes of changes.
impl State {
    /// Brings the staff to what it should be, where something has changed.
    pub(super) fn settle(&mut self, view: View, actions: &mut Vec<Action>) {
        if !std::mem::take(&mut self.staff.unsettled) || self.phase != Phase::Open {
            return;
        }
        self.staff.rise_to(self.fewest());
        self.shrink(actions);
        self.relieve(view, actions);
        debug_assert!(self.staff.level <= self.limits.max_workers, "no more are on duty than may be");
        for _ in self.on_duty()..self.staff.level {
            self.recruit(view, actions);
        }
        self.fill_reserve(view, actions);
    }

    /// Those that may be given tasks, or still have some.
    pub(super) fn on_duty(&self) -> usize {
        let active = self.workers.values().filter(|worker| worker.holds_a_place());
        (active.count() + self.starting.len()).saturating_sub(self.staff.reserve.len())
    }

    /// Those that will take a frame each as soon as they are up.
    pub(super) fn on_their_way(&self) -> usize {
        // Those that have not said hello and hold nothing: their frame was taken by a worker that was free before.
        let vacant = self.workers.iter().filter(|(_, worker)| worker.stage == Stage::Starting && !worker.is_loaded());
        let coming = vacant.map(|(link, _)| link).chain(&self.starting);
        coming.filter(|link| !self.staff.is_in_reserve(**link)).count()
    }

    /// Brings one more worker on duty: of the reserve, or a new one.
    pub(super) fn recruit(&mut self, view: View, actions: &mut Vec<Action>) {
        let up = self.reserve_that_is_up().next();
        match up.or_else(|| self.staff.reserve.first().copied()) {
            Some(link) => {
                self.staff.strike(link);
                let fresh = View { outstanding: 0, unclaimed: 0, room: usize::MAX, ..view };
                self.employ(link, fresh, actions);
            }
            None if self.may_start(view) => {
                self.start(actions);
            }
            None => {}
        }
    }

    /// How many are there whatever happens.
    fn fewest(&self) -> usize {
        self.limits.staffing.min_workers.min(self.limits.max_workers)
    }

    fn reserve_that_is_up(&self) -> impl Iterator<Item = LinkId> {
        let is_up = |link: &LinkId| self.workers.get(link).is_some_and(|worker| worker.stage == Stage::Ready);
        self.staff.reserve.iter().copied().filter(is_up)
    }

    /// Tells those to go that are more than are allowed: the idle ones first, the youngest first.
    fn shrink(&mut self, actions: &mut Vec<Action>) {
        let stays = |worker: &Worker| {
            worker.stage != Stage::Closing && !matches!(worker.leaving, Some(Leaving::Surplus | Leaving::Idle))
        };
        let regulars = self.workers.iter().filter(|(link, worker)| stays(worker) && !self.staff.is_in_reserve(**link));
        let mut regulars: Vec<_> = regulars.map(|(link, worker)| (worker.is_loaded(), Reverse(*link))).collect();
        regulars.sort_unstable();
        let surplus = regulars.len().saturating_sub(self.staff.level);
        for (_, Reverse(link)) in regulars.into_iter().take(surplus) {
            self.dismiss(link, Leaving::Surplus, actions);
        }
    }

    /// Lets those go whose successors are up, and those that can do nothing more and will have no successor soon.
    fn relieve(&mut self, view: View, actions: &mut Vec<Action>) {
        let is_promised = |worker: &&Worker| worker.leaving == Some(Leaving::Relieved) && worker.holds_a_place();
        let promised = self.workers.values().filter(is_promised).count();
        let mut successors = self.reserve_that_is_up().count().saturating_sub(promised);
        let nobody_comes = self.staff.reserve.is_empty() && !self.may_start(view);
        let leaving = self.workers.iter().filter(|(_, worker)| worker.leaving == Some(Leaving::Replaced));
        let mut leaving: Vec<_> = leaving.map(|(link, worker)| (*link, worker.spent && !worker.is_loaded())).collect();
        leaving.sort_unstable();
        for (link, is_useless) in leaving {
            if successors > 0 {
                successors -= 1;
            } else if !(is_useless && nobody_comes) {
                continue;
            }
            self.dismiss(link, Leaving::Relieved, actions);
        }
    }

    /// Starts who is to stand by, and sends home who need not.
    fn fill_reserve(&mut self, view: View, actions: &mut Vec<Action>) {
        let is_succeeded = |worker: &&Worker| {
            matches!(worker.leaving, Some(Leaving::Replaced | Leaving::Relieved)) && worker.holds_a_place()
        };
        let successors = self.workers.values().filter(is_succeeded).count();
        let spares = if self.staff.level > 0 { self.limits.staffing.spares } else { 0 };
        while self.staff.reserve.len() < spares + successors && self.may_start(view) {
            let link = self.start(actions);
            self.staff.reserve.insert(link);
        }
        let surplus = self.staff.reserve.len().saturating_sub(spares + successors);
        let known: Vec<LinkId> = self.staff.reserve.iter().rev().copied().filter(|link| self.knows(*link)).collect();
        known.into_iter().take(surplus).for_each(|link| self.close(link, actions));
    }

    /// Has a worker go, once it is out of the hands of callers and of the feeder.
    fn dismiss(&mut self, link: LinkId, why: Leaving, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.leaving = Some(why);
        if worker.offered {
            actions.push(Action::Withdraw(link));
        } else if worker.coming == 0 {
            self.see_off(link, actions);
        }
    }

    /// It finishes what it has begun, and others do what it has not.
    fn see_off(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        if self.workers.get(&link).is_some_and(|worker| worker.outstanding > 0) {
            actions.push(Action::Recall(link));
        }
        self.close(link, actions);
    }
}

/// What happens to workers.
impl State {
    /// Whether a worker that could be given something is not, since it stands by or is to make room.
    pub(super) fn is_kept_back(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) -> bool {
        let Some(worker) = self.workers.get_mut(&link).filter(|_| self.phase != Phase::Broken) else { return false };
        let is_free = worker.outstanding == 0;
        worker.spent = view.room == 0;
        if worker.spent && self.phase != Phase::Open && is_free {
            self.close(link, actions);
            return true;
        }
        if self.phase != Phase::Open || self.staff.is_in_reserve(link) {
            return worker.spent || self.staff.is_in_reserve(link);
        }
        match worker.leaving {
            None if worker.spent => {
                worker.leaving = Some(Leaving::Replaced);
                self.staff.unsettled = true;
                true
            }
            None => false,
            Some(Leaving::Replaced) => worker.spent,
            Some(Leaving::Idle) if is_free && view.waiting == 0 => {
                self.staff.level -= 1;
                self.close(link, actions);
                true
            }
            Some(Leaving::Idle) => {
                worker.leaving = None;
                false
            }
            Some(Leaving::Relieved | Leaving::Surplus) => {
                self.see_off(link, actions);
                true
            }
        }
    }

    /// A worker said hello.
    pub(super) fn has_come_up(&mut self, link: LinkId, view: View) {
        self.staff.unsettled = true;
        let limit = self.limits.staffing.max_age;
        if let Some(end) = limit.and_then(|limit| view.now.checked_add(lifetime(limit, link))) {
            self.timers.insert((end, link, Timer::Age));
        }
    }

    /// A worker did not say hello, or could not even be started: it is missed only if there is need.
    pub(super) fn is_not_up(&mut self, link: LinkId) {
        if !self.staff.reserve.remove(&link) {
            self.staff.level = self.staff.level.saturating_sub(1);
        }
        self.staff.unsettled = true;
    }

    /// A worker is as old as workers may be, or as large.
    pub(super) fn is_to_be_replaced(&mut self, link: LinkId, actions: &mut Vec<Action>) {
        if self.staff.is_in_reserve(link) {
            return self.close(link, actions);
        }
        if let Some(worker) = self.workers.get_mut(&link)
            && matches!(worker.leaving, None | Some(Leaving::Idle))
        {
            worker.leaving = Some(Leaving::Replaced);
            self.staff.unsettled = true;
        }
    }

    /// A worker has nothing to do from now on.
    pub(super) fn note_idle(&mut self, link: LinkId, view: View) {
        let Some(timeout) = self.limits.staffing.idle_timeout else { return };
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.idle_since = Some(view.now);
        if let Some(end) = view.now.checked_add(timeout)
            && !std::mem::replace(&mut worker.idle_timed, true)
        {
            self.timers.insert((end, link, Timer::Idle));
        }
    }

    /// A worker may have had nothing to do for as long as it may.
    pub(super) fn may_be_idle(&mut self, link: LinkId, view: View, actions: &mut Vec<Action>) {
        let is_going = |worker: &&Worker| worker.leaving == Some(Leaving::Idle) && worker.holds_a_place();
        let goes_anyway = self.workers.values().filter(is_going).count();
        let needed = self.on_duty().saturating_sub(goes_anyway) <= self.fewest();
        let Some(timeout) = self.limits.staffing.idle_timeout else { return };
        let Some(worker) = self.workers.get_mut(&link) else { return };
        worker.idle_timed = false;
        let Some(end) = worker.idle_since.filter(|_| worker.offered).and_then(|since| since.checked_add(timeout))
        else {
            return;
        };
        if end > view.now {
            worker.idle_timed = true;
            self.timers.insert((end, link, Timer::Idle));
        } else if !needed && worker.leaving.is_none() {
            self.dismiss(link, Leaving::Idle, actions);
        }
    }

    /// A caller was faster: the worker is not idle.
    pub(super) fn stays(&mut self, link: LinkId) {
        if let Some(worker) = self.workers.get_mut(&link)
            && worker.leaving == Some(Leaving::Idle)
        {
            worker.leaving = None;
        }
    }

    /// So many may be on duty from now on.
    pub(super) fn resize(&mut self, max_workers: usize) {
        self.limits.max_workers = max_workers;
        self.staff.level = self.staff.level.min(max_workers);
        self.staff.unsettled = true;
    }

    /// At a shutdown nobody stands by any more.
    pub(super) fn dismiss_reserve(&mut self, actions: &mut Vec<Action>) {
        let is_useless = |worker: &Worker| worker.spent && !worker.is_loaded() && !worker.offered;
        let useless = self.workers.iter().filter(|(_, worker)| is_useless(worker)).map(|(link, _)| *link);
        let mut links: Vec<LinkId> = self.staff.reserve.iter().copied().chain(useless).collect();
        links.sort_unstable();
        links.into_iter().for_each(|link| self.close(link, actions));
    }
}

#[cfg(test)]
mod tests;
