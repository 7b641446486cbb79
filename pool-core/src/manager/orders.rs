//! What the manager tells the feeder, in order.
//!
//! Bounded by the number of links: one feed each, and one start for each worker that may be.

use std::collections::VecDeque;
use std::sync::Arc;

use pool_ipc::{Link, LinkId};

use crate::sync::plain::{Condvar, Mutex};

/// What the feeder is told to do.
pub(crate) enum Order {
    Start(LinkId),
    /// Post so many frames, which were reserved.
    Feed {
        link: Arc<dyn Link>,
        frames: usize,
    },
}

/// The feeder's orders.
#[derive(Default)]
pub(crate) struct Orders {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    orders: VecDeque<Order>,
    stopped: bool,
}

impl Orders {
    pub(crate) fn give(&self, order: Order) {
        self.state.lock().orders.push_back(order);
        self.changed.notify_one();
    }

    /// Ends the feeder once it has done what it was told.
    pub(crate) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_one();
    }

    /// Waits for the next order; `None` after the last.
    pub(crate) fn next(&self) -> Option<Order> {
        let mut state = self.state.lock();
        loop {
            match state.orders.pop_front() {
                Some(order) => return Some(order),
                None if state.stopped => return None,
                None => self.changed.wait(&mut state),
            }
        }
    }
}
