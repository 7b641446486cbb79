//! A link for tests: nobody is at its other end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool_ipc::{Frame, Link, LinkEvent, LinkId, Refused, Running, Ticket};

/// The ticket of every frame.
pub(crate) const TICKET: Ticket = Ticket(7);

/// It holds what is posted, and is whatever the test says.
#[derive(Debug, Default)]
pub(crate) struct FakeLink {
    pub(crate) frames: Mutex<VecDeque<Frame>>,
    pub(crate) is_running: Mutex<bool>,
}

impl FakeLink {
    /// One with a frame.
    pub(crate) fn with_frame() -> Arc<Self> {
        let frame = Frame::new(Arc::new(()), vec![1, 2, 3], 1);
        Arc::new(Self { frames: Mutex::new([frame].into()), is_running: Mutex::new(false) })
    }

    /// The worker takes the frame and runs it.
    pub(crate) fn begin(&self) {
        self.frames.lock().clear();
        *self.is_running.lock() = true;
    }
}

impl Link for FakeLink {
    fn id(&self) -> LinkId {
        LinkId(3)
    }

    fn pid(&self) -> u32 {
        0
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        self.frames.lock().push_back(frame);
        Ok(TICKET)
    }

    fn recall(&self, ticket: Ticket) -> Option<Frame> {
        assert_eq!(ticket, TICKET);
        self.frames.lock().pop_front()
    }

    fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        assert_eq!((ticket, item), (TICKET, 0));
        *self.is_running.lock()
    }

    fn running(&self) -> Option<Running> {
        None
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        None
    }

    fn cancel(&self, _ticket: Ticket) {}

    fn outstanding(&self) -> usize {
        self.frames.lock().len()
    }

    fn collect(&self, _: &mut Vec<LinkEvent>) {}

    fn close(&self) {}

    fn signal(&self, _: i32, _: bool) -> bool {
        false
    }
}
