//! A hub whose waits find something by looking, with a link that always has something to tell.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::backend::{Refused, Ticket};
use crate::frame::Frame;
use crate::terms::Running;

/// A link that has something to tell whenever it is peeked at, and of which one descriptor is readable.
#[derive(Debug)]
struct Talker {
    readable: OwnedFd,
    source: Source,
    disarmed: AtomicU32,
    bells: AtomicU32,
}

impl Talker {
    fn new(source: Source) -> Arc<Self> {
        let readable = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        Arc::new(Self { readable, source, disarmed: AtomicU32::new(0), bells: AtomicU32::new(0) })
    }
}

fn word(text: &str) -> LinkEvent {
    LinkEvent::Said { link: LinkId(1), bytes: text.into() }
}

impl Link for Talker {
    fn id(&self) -> LinkId {
        LinkId(1)
    }

    fn pid(&self) -> u32 {
        0
    }

    fn capacity(&self) -> u32 {
        1
    }

    fn post(&self, _: Frame) -> Result<Ticket, Refused> {
        unreachable!("nobody posts")
    }

    fn recall(&self, _: Ticket) -> Option<Frame> {
        None
    }

    fn is_running(&self, _: Ticket, _: u32) -> bool {
        true
    }

    fn running(&self) -> Option<Running> {
        None
    }

    fn shortest_timeout(&self) -> Option<Duration> {
        None
    }

    fn cancel(&self, _: Ticket) {}

    fn outstanding(&self) -> usize {
        1
    }

    fn collect(&self, _: &mut Vec<LinkEvent>) {}

    fn close(&self) {}

    fn signal(&self, _: i32, _: bool) -> bool {
        false
    }
}

impl ProcessLink for Talker {
    fn on_bell(&self, _: &mut Vec<LinkEvent>) -> Next {
        self.bells.fetch_add(1, Ordering::Relaxed);
        Next::Ring
    }

    fn on_control(&self, events: &mut Vec<LinkEvent>) {
        events.push(word("control"));
    }

    fn on_exit(&self, events: &mut Vec<LinkEvent>) {
        events.push(word("exit"));
    }

    fn peek(&self, events: &mut Vec<LinkEvent>) {
        events.push(word("peek"));
    }

    fn disarm(&self) {
        self.disarmed.fetch_add(1, Ordering::Relaxed);
    }

    fn register(&self, add: &mut dyn FnMut(Source, BorrowedFd<'_>) -> io::Result<()>) -> io::Result<()> {
        use std::os::fd::AsFd;
        add(self.source, self.readable.as_fd())
    }
}

/// What so many waits tell.
fn told(hub: &ProcessHub, waits: u32) -> Vec<String> {
    let mut events = Vec::new();
    (0..waits).for_each(|_| hub.wait(None, &mut events));
    let said = events.into_iter().map(|event| match event {
        LinkEvent::Said { bytes, .. } => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    });
    said.collect()
}

#[test]
fn ends_and_messages_are_heard_though_every_look_finds_something() {
    for (source, word) in [(Source::Exit, "exit"), (Source::Control, "control")] {
        let hub = ProcessHub::new(Duration::from_millis(1)).unwrap();
        hub.watch(Talker::new(source)).unwrap();
        // A vector that is not empty would be news of this wait to the next.
        let heard = (0..MOST_UNHEARD).flat_map(|_| told(&hub, 1)).collect::<Vec<_>>();
        assert_eq!(heard.iter().filter(|said| *said == word).count(), 1, "{heard:?}");
        assert_eq!(heard.iter().filter(|said| *said == "peek").count(), MOST_UNHEARD as usize);
    }
}

#[test]
fn workers_are_told_to_ring_again_before_anybody_may_sleep() {
    let hub = ProcessHub::new(Duration::from_millis(1)).unwrap();
    let link = Talker::new(Source::Control);
    hub.watch(Arc::<Talker>::clone(&link)).unwrap();
    for round in 1..4 {
        for _ in 0..MOST_UNHEARD {
            assert_eq!(link.bells.load(Ordering::Relaxed), round - 1);
            let _ = told(&hub, 1);
        }
        // Once for all waits that needed no ring, and once before the one that might have slept.
        assert_eq!(link.disarmed.load(Ordering::Relaxed), round);
        assert_eq!(link.bells.load(Ordering::Relaxed), round);
    }
}

#[test]
fn who_does_not_look_has_every_worker_ring() {
    let hub = ProcessHub::new(Duration::ZERO).unwrap();
    let link = Talker::new(Source::Control);
    hub.watch(Arc::<Talker>::clone(&link)).unwrap();
    assert_eq!(told(&hub, 1), ["control"]);
    assert_eq!(link.disarmed.load(Ordering::Relaxed), 0);
}

#[test]
fn who_naps_has_nobody_ring_and_looks_at_nothing_until_the_nap_is_over() {
    let hub = ProcessHub::new(Duration::from_millis(1)).unwrap();
    let link = Talker::new(Source::Bell);
    hub.watch(Arc::<Talker>::clone(&link)).unwrap();
    let (mut turn, mut events) = (Turn::default(), Vec::new());
    let span = Duration::from_millis(5);
    let before = Instant::now();
    let found = hub.heed(Waiting::Nap(span), &mut turn, &mut events);
    assert!(matches!(found, Found::Nothing { nap: Some(until) } if until >= before + span), "{found:?}");
    assert!(events.is_empty());
    assert_eq!((link.disarmed.load(Ordering::Relaxed), link.bells.load(Ordering::Relaxed)), (1, 0));
    assert!(matches!(hub.heed(Waiting::Sleep, &mut turn, &mut events), Found::Nothing { nap: None }));
    assert_eq!((link.disarmed.load(Ordering::Relaxed), link.bells.load(Ordering::Relaxed)), (1, 1), "it rings again");
}
