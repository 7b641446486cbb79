//! Carries out what the state says: each action is a few calls of links, of the backlog or of the feeder, and some have an
//! answer, which is told to the state at once.
//!
//! Keeps true: what is taken from a link lies in the backlog before anything else is decided; a link that is fed is offered
//! to nobody. Decides nothing itself.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use pool_ipc::{Link, LinkId, Load, Share};

use crate::manager::Manager;
use crate::manager::event::{Action, Event, View};
use crate::manager::orders::Order;

/// What is to be told to the state yet, and what it says to that.
#[derive(Default)]
pub(super) struct Deciding {
    events: VecDeque<Event>,
    actions: Vec<Action>,
}

impl Manager {
    /// Asks the state, and does what it says, which may be more to tell it.
    pub(super) fn decide(&mut self, event: Event, now: Instant) {
        let Deciding { mut events, mut actions } = self.deciding.take().unwrap_or_default();
        let mut next = Some(event);
        while let Some(event) = next {
            let mut link = event.link().and_then(|id| self.pool.link(id));
            let view = self.view(link.as_deref(), now);
            pool_ipc::tell!(Trace, "{event:?}, {} waiting, {} outstanding", view.waiting, view.outstanding);
            self.state.step(event, view, &mut actions);
            for action in actions.drain(..) {
                pool_ipc::tell!(Trace, "  {action:?}");
                match action {
                    Action::Offer(id) => self.offer(id, link.take()),
                    action => self.act(action, now, &mut events),
                }
            }
            next = events.pop_front();
        }
        self.deciding = Some(Deciding { events, actions });
    }

    /// Offers a link, which may be this one.
    fn offer(&self, id: LinkId, known: Option<Arc<dyn Link>>) {
        let link = known.filter(|link| link.id() == id).or_else(|| self.pool.link(id));
        link.into_iter().for_each(|link| self.pool.idle.offer(link));
    }

    /// What the state is told along with an event about this link, or about none.
    fn view(&self, link: Option<&dyn Link>, now: Instant) -> View {
        let Load { outstanding, unclaimed, room, pace } = link.map_or(Load::NONE, |link| link.load());
        // What is doomed waits for no worker.
        let waiting = if self.doom.is_some() { 0 } else { self.pool.backlog.waiting() };
        let overdue = self.pool.backlog.is_overdue();
        let delayed = self.to_be_tried_again() + self.pool.recalling();
        View { now, waiting, overdue, outstanding, unclaimed, room, pace, delayed }
    }

    /// Carries out one action. Some of them have an answer.
    fn act(&mut self, action: Action, now: Instant, answers: &mut VecDeque<Event>) {
        match action {
            Action::Start(id) => self.pool.orders.give(Order::Start(id)),
            Action::Feed { link, items } => answers.extend(self.order_feed(link, items)),
            Action::Steal { thief } => self.steal_for(thief, answers),
            Action::Recall(id) => {
                let frames = self.pool.link(id).map(|link| link.recall_tail(Share::All)).unwrap_or_default();
                self.pool.take_back(frames);
                answers.push_back(Event::Recalled(id));
            }
            Action::Halve(id) => self.halve(id, answers),
            Action::Withdraw(id) => {
                let is_idle = self.pool.idle.withdraw_one(id);
                answers.push_back(if is_idle { Event::Withdrawn(id) } else { Event::Taken(id) });
            }
            Action::Close(id) => self.with_link(id, |link| link.close()),
            Action::Look(id) => self.look(id, now, answers),
            Action::Measure(id) => {
                let resident = self.pool.link(id).and_then(|link| link.resident());
                answers.push_back(Event::Measured { link: id, resident });
            }
            Action::Corner(id) => self.corner(id, answers),
            Action::Soften(id) => self.soften(id),
            Action::Kill(id) => self.end_worker(id, answers),
            Action::Break => {
                if let Some(broken) = self.state.broken() {
                    self.pool.break_down(Arc::clone(broken));
                    self.ending.note_break(&self.state, broken);
                }
                let error = self.pool.verdict();
                answers.extend(self.fail_pending(|_| error.clone()));
            }
            Action::LeaveBehind => self.pool.leave_behind(),
            Action::Offer(id) => self.offer(id, None),
            Action::Finish => {}
        }
    }

    pub(super) fn with_link(&self, id: LinkId, act: impl FnOnce(&Arc<dyn Link>)) {
        if let Some(link) = self.pool.link(id) {
            act(&link);
        }
    }

    /// Has the feeder post frames, or answers for it where the link is gone.
    fn order_feed(&self, id: LinkId, items: usize) -> Option<Event> {
        let frames = self.pool.backlog.reserve(items);
        let Some(link) = self.pool.link(id) else {
            self.pool.backlog.unreserve(frames);
            return Some(Event::Fed(id));
        };
        // It may still be: what a worker had at its hello is heard of after that, and when it has given that back it is fed.
        self.pool.idle.forget(id);
        self.pool.orders.give(Order::Feed { link, frames, items });
        None
    }

    /// Takes half of what nobody has begun at this link, for one that rests, if one still does.
    fn halve(&mut self, id: LinkId, answers: &mut VecDeque<Event>) {
        let resting = self.pool.idle.withdraw();
        let link = self.pool.link(id).filter(|_| resting.is_some());
        let halved = link.map(|link| link.recall_tail(Share::Half)).unwrap_or_default();
        let frames = halved.len();
        self.pool.take_back(halved);
        // Who rests is fed before the one that may have nothing left.
        answers.push_back(Event::Halved { link: id, frames });
        answers.extend(resting.map(|resting| Event::Withdrawn(resting.id())));
        answers.extend((frames > 0).then_some(Event::Recalled(id)));
    }

    /// Takes half of what waits at the link with the most.
    fn steal_for(&mut self, thief: LinkId, answers: &mut VecDeque<Event>) {
        let others = self.pool.links().into_iter().filter(|link| link.id() != thief);
        let mut rich: Vec<_> = others.map(|link| (link.unclaimed(), link)).filter(|(wealth, _)| *wealth > 0).collect();
        rich.sort_by_key(|(wealth, _)| Reverse(*wealth));
        // Who seemed to have most may have begun the last of it meanwhile.
        let robbed = rich.into_iter().map(|(_, link)| (link.recall_tail(Share::Half), link.id()));
        let Some((stolen, victim)) = robbed.into_iter().find(|(stolen, _)| !stolen.is_empty()) else {
            answers.push_back(Event::Stolen { thief, frames: 0 });
            return;
        };
        let frames = stolen.len();
        self.pool.take_back(stolen);
        answers.extend([Event::Stolen { thief, frames }, Event::Recalled(victim)]);
    }
}

/// Ends a worker, and what stayed in its process group. Whether there was a process to end.
pub(super) fn kill(link: &dyn Link) -> bool {
    link.close();
    link.signal(SIGKILL, true)
}

/// The signals, by their numbers on every Unix: the one that asks to end, and the one that nothing survives.
pub(super) const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use pool_ipc::{Backend, Frame, InProcess};

    use super::*;
    use crate::future::fake_link::FakeLink;
    use crate::manager::feeder::Packing;
    use crate::manager::state::State;
    use crate::manager::{Batch, Limits, Pool, Strength, TimeLimits};

    #[test]
    fn a_link_that_is_fed_is_not_offered_any_more() {
        let hub = InProcess::new().open().expect("threads need nothing");
        let strength = Strength { max_workers: 1, max_tasks: None, packing: Packing::of(true) };
        let pool = Pool::new(hub, Box::new(|| unreachable!("nobody is started")), TimeLimits::default(), strength);
        let (pool, link) = (Arc::new(pool), Arc::new(FakeLink::default()));
        let mut mind = Manager::new(Arc::clone(&pool), State::new(Limits::of_one_worker()));
        pool.enlist(Arc::clone(&link) as _);
        pool.idle.offer(Arc::clone(&link) as _);
        let batch = Batch::new("work", Weak::<Pool>::new(), None, 1);
        pool.backlog.push(Frame::new(batch, vec![1], 1));
        mind.act(Action::Feed { link: link.id(), items: 1 }, mind.now, &mut VecDeque::new());
        assert!(!pool.idle.is_offered(link.id()) && pool.idle.len() == 0);
    }
}
