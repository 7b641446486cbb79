//! A hub, and the events that were not looked at yet.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pool_ipc::{
    Backend, Corrupt, ExitCause, Frame, Hub, IpcChannel, Link, LinkEvent, LinkId, StartError, StartOrder, Ticket,
    WorkerCommand, WorkerStderr,
};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) hub: Arc<dyn Hub>,
    events: VecDeque<LinkEvent>,
}

/// An end in short: the cause, the breach, and of each lost frame who is blamed and what is left.
pub(crate) type End = (ExitCause, Option<Corrupt>, Vec<(Option<u32>, Option<Range<u32>>)>);

impl Rig {
    pub(crate) fn new() -> Self {
        Self { hub: IpcChannel::new().open().expect("a hub opens"), events: VecDeque::new() }
    }

    pub(crate) fn start(&self) -> Arc<dyn Link> {
        self.try_start("", WorkerCommand::default()).expect("a worker starts")
    }

    pub(crate) fn try_start(&self, boot: &str, command: WorkerCommand) -> Result<Arc<dyn Link>, StartError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = "test-worker".to_owned();
        let order = StartOrder {
            boot: boot.as_bytes().into(),
            command,
            thread_main: |_| {},
            name,
            stderr: WorkerStderr::Inherit,
        };
        self.hub.start(LinkId(NUMBER.fetch_add(1, Ordering::Relaxed)), &order)
    }

    /// Waits for events until `done`, and gives what that gave.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, mut done: impl FnMut(&mut VecDeque<LinkEvent>) -> bool) {
        let limit = Instant::now() + LIMIT;
        while !done(&mut self.events) {
            assert!(Instant::now() < limit, "waited {LIMIT:?} in vain for {what}; there is {:?}", self.events);
            let mut events = Vec::new();
            // Some of what is waited for comes without an event.
            let soon = Instant::now() + Duration::from_millis(5);
            self.hub.wait(Some(soon), &mut events);
            self.events.extend(events);
        }
    }

    /// The next event of a link that `wanted` wants.
    #[track_caller]
    fn next(&mut self, link: &Arc<dyn Link>, what: &str, wanted: fn(&LinkEvent) -> bool) -> LinkEvent {
        let mut found = None;
        self.wait_until(what, |events| {
            let at = events.iter().position(|event| link_of(event) == link.id() && wanted(event));
            found = at.and_then(|at| events.remove(at));
            found.is_some()
        });
        found.expect("it was waited for")
    }

    /// The next result of a link, whatever became of it.
    #[track_caller]
    pub(crate) fn any_result(&mut self, link: &Arc<dyn Link>) -> Result<Vec<u8>, pool_ipc::Undelivered> {
        let event = self.next(link, "a result", |event| matches!(event, LinkEvent::Outcome { .. }));
        let LinkEvent::Outcome { outcome, .. } = event else { unreachable!("it was looked for") };
        outcome.result.map(|body| body.as_slice().to_vec())
    }

    #[track_caller]
    pub(crate) fn result(&mut self, link: &Arc<dyn Link>) -> Vec<u8> {
        self.any_result(link).expect("the result arrives")
    }

    #[track_caller]
    pub(crate) fn said(&mut self, link: &Arc<dyn Link>) -> String {
        let event = self.next(link, "a message", |event| matches!(event, LinkEvent::Said { .. }));
        let LinkEvent::Said { bytes, .. } = event else { unreachable!("it was looked for") };
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All that a link still reports, the end last.
    #[track_caller]
    pub(crate) fn until_end(&mut self, link: &Arc<dyn Link>) -> Vec<LinkEvent> {
        let id = link.id();
        let ended = |event: &LinkEvent| link_of(event) == id && matches!(event, LinkEvent::Ended { .. });
        self.wait_until("the end of a worker", |events| events.iter().any(ended));
        let (own, others) = std::mem::take(&mut self.events).into_iter().partition::<Vec<_>, _>(|e| link_of(e) == id);
        self.events = others.into();
        own
    }

    /// Closes a link and waits for its orderly end.
    #[track_caller]
    pub(crate) fn close(&mut self, link: &Arc<dyn Link>) {
        link.close();
        assert_eq!(end_of(&self.until_end(link)), (ExitCause::Code(0), None, Vec::new()));
    }
}

/// The last of these events, which has to be an end.
#[track_caller]
pub(crate) fn end_of(events: &[LinkEvent]) -> End {
    let Some(LinkEvent::Ended { cause, corrupt, lost, .. }) = events.last() else { panic!("no end: {events:?}") };
    let lost = lost.iter().map(|lost| (lost.blamed, lost.rest.as_ref().map(|rest| rest.window.clone())));
    (*cause, corrupt.clone(), lost.collect())
}

pub(crate) fn frame(payload: &[u8], items: u32) -> Frame {
    Frame::new(Arc::new(()), payload.to_vec(), items)
}

#[track_caller]
pub(crate) fn post(link: &Arc<dyn Link>, frame: Frame) -> Ticket {
    link.post(frame).unwrap_or_else(|refused| panic!("refused: {}", refused.why))
}

fn link_of(event: &LinkEvent) -> LinkId {
    match event {
        LinkEvent::Said { link, .. }
        | LinkEvent::Outcome { link, .. }
        | LinkEvent::Outcomes { link, .. }
        | LinkEvent::Declined { link, .. }
        | LinkEvent::Ended { link, .. } => *link,
    }
}
