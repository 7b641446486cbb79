//! What the feeder is to do next: the manager's orders, in order, and the manager's turns while that runs callbacks. And
//! who takes the turns while nothing happens: [`leaving`].
//!
//! ```text
//!             lend                   next                 recall
//!   Kept ------------> Lent -----------------> Taken ----------------> Wanted
//!    ^                 |  ^                      |                        |
//!    +---- recall -----+  +------ give_back -----+                        | give_back
//!    +------------------------------- recall ------------ Returned <-----+
//!
//!             leave                 borrow                 leave, drop
//!   Kept ------------> Left -----------------> Borrowed -----------------> Left or Returned
//!    ^                 |  |
//!    +--- stand_by ----+  +---- call ----> Returned ---- stand_by ----> Kept
//! ```
//!
//! Keeps true: one thread at a time has the manager's mind, and takes one turn before it asks again; orders come before
//! turns, so that a turn never waits for what it ordered itself; callbacks of a deputy's turns come out in the order in
//! which they fell due. Bounded by the number of links: one feed each, and one start for each worker that may be.

pub(super) mod leaving;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use pool_ipc::{Link, LinkId};

use self::leaving::Standing;
use crate::future::Callback;
use crate::sync::{Condvar, Mutex};

/// What the feeder is told to do.
pub(crate) enum Order {
    Start(LinkId),
    /// Post of so many frames, which were reserved, those that have so many items together.
    Feed {
        link: Arc<dyn Link>,
        frames: usize,
        items: usize,
    },
}

/// What takes turns, and may be done for good.
pub(crate) trait Mind {
    /// Whether there will be no further turn.
    fn is_over(&self) -> bool;
    /// The callbacks that fell due in its turns.
    fn callbacks(&mut self) -> &mut Vec<Callback>;
}

/// What the feeder does next.
pub(crate) enum Job<M> {
    /// To obey.
    Order(Order),
    /// To take a turn as the manager's deputy, and to give back.
    Turn(Box<M>),
}

/// The feeder's orders, and whose turn it is.
pub(crate) struct Orders<M> {
    state: Mutex<State<M>>,
    /// For the feeder.
    changed: Condvar,
    /// For the manager: the mind came back, or the feeder is at rest.
    settled: Condvar,
    standing: Standing,
}

struct State<M> {
    orders: VecDeque<Order>,
    stopped: bool,
    /// The feeder is obeying an order.
    busy: bool,
    turns: Turns<M>,
    /// What fell due in the deputy's turns, and is the manager's to run.
    due: Vec<Callback>,
    /// How many times the mind was left.
    leaves: u64,
    /// The manager stands by without a limit of time, while a caller has the mind.
    dozes: bool,
}

/// Who has the manager's mind.
enum Turns<M> {
    /// The manager.
    Kept,
    /// Nobody: the manager runs callbacks, and the feeder may take a turn.
    Lent(Box<M>),
    /// The feeder.
    Taken,
    /// The feeder, and the manager waits for it.
    Wanted,
    /// Nobody; it is the manager's again.
    Returned(Box<M>),
    /// Nobody: the pool is quiet, the manager stands by, and a caller may take a turn.
    Left(Box<M>),
    /// A caller, until what it waits for is there.
    Borrowed,
}

impl<M> Default for Orders<M> {
    fn default() -> Self {
        let (orders, due) = (VecDeque::new(), Vec::new());
        let state = State { orders, stopped: false, busy: false, turns: Turns::Kept, due, leaves: 0, dozes: false };
        let (changed, settled, standing) = (Condvar::new(), Condvar::new(), Standing::default());
        Self { state: Mutex::new(state), changed, settled, standing }
    }
}

impl<M: Mind> Orders<M> {
    pub(crate) fn give(&self, order: Order) {
        self.state.lock().orders.push_back(order);
        self.changed.notify_one();
    }

    /// Ends the feeder once it has done what it was told.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Ends the feeder after the order that it obeys, and waits for that one. The rest comes back.
    #[must_use]
    pub(crate) fn withdraw(&self) -> VecDeque<Order> {
        let mut state = self.state.lock();
        state.stopped = true;
        let rest = mem::take(&mut state.orders);
        self.changed.notify_one();
        while state.busy {
            self.settled.wait(&mut state);
        }
        rest
    }

    /// The feeder, done with what it had, waits for what comes next; `None` after the last.
    pub(crate) fn next(&self) -> Option<Job<M>> {
        let mut state = self.state.lock();
        self.rest(&mut state);
        loop {
            if let Some(order) = state.orders.pop_front() {
                state.busy = true;
                return Some(Job::Order(order));
            }
            if state.stopped {
                return None;
            }
            if let Some(mind) = state.take() {
                return Some(Job::Turn(mind));
            }
            self.changed.wait(&mut state);
        }
    }

    /// Whether there is an order, for a feeder that is simulated.
    #[cfg(feature = "simulation")]
    pub(crate) fn has_order(&self) -> bool {
        !self.state.lock().orders.is_empty()
    }

    /// The next order, if there is one, for a feeder that is simulated.
    #[cfg(feature = "simulation")]
    pub(crate) fn poll(&self) -> Option<Order> {
        self.state.lock().orders.pop_front()
    }

    /// The feeder gives the mind back after a turn.
    pub(crate) fn give_back(&self, mut mind: Box<M>) {
        let mut state = self.state.lock();
        state.due.append(mind.callbacks());
        if matches!(state.turns, Turns::Wanted) {
            state.turns = Turns::Returned(mind);
            self.settled.notify_all();
        } else {
            state.turns = Turns::Lent(mind);
        }
    }

    /// The feeder leaves for good, out of the middle of an order, perhaps with the mind that the manager has no use for.
    #[must_use]
    pub(crate) fn desert(&self) -> Option<Box<M>> {
        let mut state = self.state.lock();
        self.rest(&mut state);
        state.take()
    }

    /// The manager is going to run callbacks: the feeder takes its turns meanwhile.
    pub(crate) fn lend(&self, mind: Box<M>) {
        self.state.lock().turns = Turns::Lent(mind);
        self.changed.notify_one();
    }

    /// The manager asks for further callbacks to run.
    #[must_use]
    pub(crate) fn due(&self) -> Vec<Callback> {
        mem::take(&mut self.state.lock().due)
    }

    /// The manager has its mind back, with the callbacks that it did not ask for. `rouse` ends a turn that waits.
    #[must_use]
    pub(crate) fn recall(&self, rouse: impl FnOnce()) -> Box<M> {
        let mut state = self.state.lock();
        if matches!(state.turns, Turns::Taken) {
            state.turns = Turns::Wanted;
            drop(state);
            rouse();
            state = self.state.lock();
        }
        loop {
            match mem::replace(&mut state.turns, Turns::Kept) {
                Turns::Lent(mut mind) | Turns::Returned(mut mind) => {
                    mind.callbacks().append(&mut state.due);
                    return mind;
                }
                waiting => state.turns = waiting,
            }
            self.settled.wait(&mut state);
        }
    }

    fn rest(&self, state: &mut State<M>) {
        if mem::take(&mut state.busy) {
            self.settled.notify_all();
        }
    }
}

impl<M: Mind> State<M> {
    /// The mind, if it is lent and has a turn to take.
    fn take(&mut self) -> Option<Box<M>> {
        match mem::replace(&mut self.turns, Turns::Taken) {
            Turns::Lent(mind) if !mind.is_over() => Some(mind),
            other => {
                self.turns = other;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
