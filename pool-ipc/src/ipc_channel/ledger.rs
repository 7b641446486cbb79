//! What the parent knows of the one frame that a link may hold, and what each of the worker's answers means for it.
//!
//! Pure: no channel, no process. An answer that no honest worker could give at that moment is an error, and changes
//! nothing. Between `Begun` and the outcome an item is the worker's; whoever dies there is blamed for this item and no
//! other, however many items its frame has.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Answer, Place};
use crate::backend::{Corrupt, LinkEvent, LinkId, Ticket};
use crate::frame::{Body, Frame, Lost, Outcome, Owner, Undelivered};
use crate::terms::{Running, Terms, believed};

/// The account of one link.
pub(super) struct Ledger {
    link: LinkId,
    flight: Option<Flight>,
    /// How many frames were ever entered.
    entered: u64,
}

/// The frame that the link holds.
struct Flight {
    ticket: Ticket,
    owner: Owner,
    payload: Body,
    /// The items without an outcome. Never empty.
    window: Range<u32>,
    terms: Option<Arc<Terms>>,
    rank: u64,
    stage: Stage,
    /// When it was posted, where it has a time limit.
    posted: Option<Instant>,
    /// Since when the item runs that was begun last, where that was asked for.
    since: Option<Instant>,
}

/// How far the first item of the window is.
enum Stage {
    /// The worker has not begun it. Next is `Begun`, or `Declined`.
    Waiting,
    /// It runs. Next is `Finished`, memory or `Failed`, or `Declined` for those after it.
    Begun,
    /// Its result is here, or the system's reason why it did not get in. Next is `Finished`, which tells its size.
    Mailed(Result<Body, i32>),
}

impl Ledger {
    pub(super) fn new(link: LinkId) -> Self {
        Self { link, flight: None, entered: 0 }
    }

    /// Notes a frame. There has to be room for it.
    pub(super) fn enter(&mut self, frame: Frame) -> Ticket {
        debug_assert!(self.flight.is_none(), "one frame at a time");
        let ticket = Ticket(self.entered);
        self.entered += 1;
        let Frame { owner, payload, window, terms, rank } = frame;
        let posted = terms.as_ref().is_some_and(|terms| terms.is_timed()).then(Instant::now);
        let (stage, since) = (Stage::Waiting, None);
        self.flight = Some(Flight { ticket, owner, payload, window, terms, rank, stage, posted, since });
        ticket
    }

    /// Takes the frame back that was never sent.
    pub(super) fn withdraw(&mut self, ticket: Ticket) -> Option<Frame> {
        let flight = self.flight.take_if(|flight| flight.ticket == ticket)?;
        let Flight { owner, payload, window, terms, rank, .. } = flight;
        Some(Frame { owner, payload, window, terms, rank })
    }

    /// The item that runs.
    pub(super) fn running(&self) -> Option<Running> {
        let flight = self.flight.as_ref().filter(|flight| !matches!(flight.stage, Stage::Waiting))?;
        let Flight { ticket, owner, window, terms, since, .. } = flight;
        let (owner, terms) = (Owner::clone(owner), terms.clone());
        Some(Running { ticket: *ticket, owner, item: window.start, terms, since: *since })
    }

    /// The time limit of the items that were not begun.
    pub(super) fn shortest_timeout(&self) -> Option<Duration> {
        let flight = self.flight.as_ref()?;
        let unclaimed = matches!(flight.stage, Stage::Waiting) || flight.window.len() > 1;
        flight.terms.as_ref().filter(|_| unclaimed)?.timeout
    }

    /// Whether the worker has begun this item and not ended it.
    pub(super) fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.flight.as_ref().is_some_and(|flight| {
            flight.ticket == ticket && flight.window.start == item && !matches!(flight.stage, Stage::Waiting)
        })
    }

    /// Whether a result in memory of its own may come now.
    pub(super) fn expects_memory(&self) -> bool {
        self.flight.as_ref().is_some_and(|flight| matches!(flight.stage, Stage::Begun))
    }

    /// Keeps a result that is expected until `Finished` tells about it.
    pub(super) fn keep_memory(&mut self, result: Result<Body, i32>) {
        if let Some(flight) = &mut self.flight {
            flight.stage = Stage::Mailed(result);
        }
    }

    /// Books an answer, and tells what there is to report.
    pub(super) fn take(&mut self, answer: &Answer<'_>) -> Result<Option<LinkEvent>, Corrupt> {
        if let Answer::Said(bytes) = answer {
            return Ok(Some(LinkEvent::Said { link: self.link, bytes: bytes.to_vec() }));
        }
        let Some(flight) = &mut self.flight else { return Err(UNTIMELY) };
        let first = flight.window.start;
        match (answer, &flight.stage) {
            (Answer::Begun { item, at }, Stage::Waiting) if *item == first => {
                flight.stage = Stage::Begun;
                flight.since = flight.posted.map(|posted| believed(*at, posted, Instant::now()));
                Ok(None)
            }
            (Answer::Finished { item, result: Place::Inline(bytes) }, Stage::Begun) if *item == first => {
                Ok(Some(self.deliver(Ok(Body::Owned(bytes.to_vec())))))
            }
            (Answer::Finished { item, result: Place::Memory(size) }, Stage::Mailed(result)) if *item == first => {
                let result = mailed(result, *size)?;
                Ok(Some(self.deliver(result)))
            }
            (Answer::Failed { item, size, errno }, Stage::Begun) if *item == first => {
                Ok(Some(self.deliver(Err(Undelivered { size: *size, errno: *errno }))))
            }
            (Answer::Declined { from }, Stage::Waiting) => self.decline(*from, first).map(Some),
            (Answer::Declined { from }, Stage::Begun) => self.decline(*from, first + 1).map(Some),
            _ => Err(UNTIMELY),
        }
    }

    /// How many frames the link holds: one or none.
    pub(super) fn outstanding(&self) -> usize {
        usize::from(self.flight.is_some())
    }

    /// What becomes of the frame, now that the worker is gone.
    pub(super) fn settle(&mut self) -> Vec<Lost> {
        let Some(flight) = self.flight.take() else { return Vec::new() };
        let Flight { owner, payload, window, terms, rank, stage, .. } = flight;
        let (blamed, rest) = match stage {
            Stage::Waiting => (None, window),
            Stage::Begun | Stage::Mailed(_) => (Some(window.start), window.start + 1..window.end),
        };
        let frame = || Frame { owner: Owner::clone(&owner), payload, window: rest.clone(), terms, rank };
        let rest = (!rest.is_empty()).then(frame);
        vec![Lost { owner, blamed, rest }]
    }

    /// Ends the first item of the window, which is there.
    fn deliver(&mut self, result: Result<Body, Undelivered>) -> LinkEvent {
        let flight = self.flight.as_mut().expect("the caller looked");
        let result = result.map(|body| body.along(flight.payload.company()));
        let outcome = Outcome { owner: Owner::clone(&flight.owner), item: flight.window.start, result };
        flight.window.start += 1;
        flight.stage = Stage::Waiting;
        let last = flight.window.is_empty();
        if last {
            self.flight = None;
        }
        LinkEvent::Outcome { link: self.link, outcome, outstanding: self.outstanding(), last }
    }

    /// Gives back the items from this one on, which has to be the first that the worker has not begun.
    fn decline(&mut self, from: u32, unbegun: u32) -> Result<LinkEvent, Corrupt> {
        let flight = self.flight.as_mut().expect("the caller looked");
        if from != unbegun || from >= flight.window.end {
            return Err(UNTIMELY);
        }
        let window = from..flight.window.end;
        let (owner, terms) = (Owner::clone(&flight.owner), flight.terms.clone());
        let rest = Frame { owner, payload: flight.payload.share(), window, terms, rank: flight.rank };
        flight.window.end = from;
        if flight.window.is_empty() {
            self.flight = None;
        }
        Ok(LinkEvent::Declined { link: self.link, rest, outstanding: self.outstanding() })
    }
}

/// A result in memory of its own, whose size has to be the one that is told.
fn mailed(result: &Result<Body, i32>, size: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
    match result {
        Ok(body) if body.len() as u64 != size => {
            Err(Corrupt::Descriptor { what: "memory of another size than was said" })
        }
        Ok(body) => Ok(Ok(body.clone())),
        Err(errno) => Ok(Err(Undelivered { size, errno: *errno })),
    }
}

/// An answer that does not fit to what was asked.
const UNTIMELY: Corrupt = Corrupt::Message { what: "an answer that nothing asked for" };

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const LINK: LinkId = LinkId(4);

    fn ledger_with(items: u32) -> (Ledger, Ticket) {
        let mut ledger = Ledger::new(LINK);
        let ticket = ledger.enter(Frame::new(Arc::new(()), b"work".to_vec(), items));
        (ledger, ticket)
    }

    fn finished(item: u32) -> Answer<'static> {
        Answer::Finished { item, result: Place::Inline(b"done") }
    }

    #[test]
    fn an_item_runs_from_its_begun_to_its_outcome() {
        let (mut ledger, ticket) = ledger_with(2);
        assert!(!ledger.is_running(ticket, 0), "posted is not begun");
        assert!(ledger.take(&Answer::Begun { item: 0, at: 0 }).unwrap().is_none());
        assert!(ledger.is_running(ticket, 0));
        assert!(!ledger.is_running(ticket, 1));
        let event = ledger.take(&finished(0)).unwrap();
        assert!(matches!(event, Some(LinkEvent::Outcome { outcome: Outcome { item: 0, .. }, outstanding: 1, .. })));
        assert!(!ledger.is_running(ticket, 0));
        ledger.take(&Answer::Begun { item: 1, at: 0 }).unwrap();
        let event = ledger.take(&finished(1)).unwrap();
        assert!(matches!(event, Some(LinkEvent::Outcome { outcome: Outcome { item: 1, .. }, outstanding: 0, .. })));
        assert!(ledger.settle().is_empty());
    }

    #[test]
    fn b005_a_death_is_blamed_on_the_item_that_was_begun_and_on_no_other() {
        let (mut ledger, _) = ledger_with(5);
        for item in 0..2 {
            ledger.take(&Answer::Begun { item, at: 0 }).unwrap();
            ledger.take(&finished(item)).unwrap();
        }
        ledger.take(&Answer::Begun { item: 2, at: 0 }).unwrap();
        let [lost] = <[Lost; 1]>::try_from(ledger.settle()).unwrap();
        assert_eq!(lost.blamed, Some(2));
        assert_eq!(lost.rest.unwrap().window, 3..5);
    }

    #[test]
    fn a_death_between_two_items_is_blamed_on_none() {
        let (mut ledger, _) = ledger_with(3);
        ledger.take(&Answer::Begun { item: 0, at: 0 }).unwrap();
        ledger.take(&finished(0)).unwrap();
        let [lost] = <[Lost; 1]>::try_from(ledger.settle()).unwrap();
        assert_eq!(lost.blamed, None);
        assert_eq!(lost.rest.unwrap().window, 1..3);
    }

    #[test]
    fn a_result_that_did_not_get_in_is_told_with_its_size() {
        let (mut ledger, ticket) = ledger_with(2);
        assert!(!ledger.expects_memory());
        ledger.take(&Answer::Begun { item: 0, at: 0 }).unwrap();
        assert!(ledger.expects_memory());
        ledger.keep_memory(Err(12));
        assert!(!ledger.expects_memory(), "one at a time");
        assert!(ledger.is_running(ticket, 0), "it is not published yet");
        assert!(ledger.take(&finished(0)).is_err(), "the memory is the result");
        let answer = Answer::Finished { item: 0, result: Place::Memory(77) };
        let Some(LinkEvent::Outcome { outcome, .. }) = ledger.take(&answer).unwrap() else { panic!("no outcome") };
        assert_eq!(outcome.result.unwrap_err(), Undelivered { size: 77, errno: 12 });
    }

    #[test]
    fn a_result_of_another_size_than_was_said_is_not_believed() {
        let (mut ledger, _) = ledger_with(1);
        ledger.take(&Answer::Begun { item: 0, at: 0 }).unwrap();
        ledger.keep_memory(Ok(vec![1, 2, 3].into()));
        let answer = |len| Answer::Finished { item: 0, result: Place::Memory(len) };
        assert!(matches!(ledger.take(&answer(4)), Err(Corrupt::Descriptor { .. })));
        assert!(ledger.take(&answer(3)).is_ok());
    }

    #[test]
    fn declined_items_come_back_and_the_begun_one_stays() {
        let (mut ledger, ticket) = ledger_with(4);
        ledger.take(&Answer::Begun { item: 0, at: 0 }).unwrap();
        let Some(LinkEvent::Declined { rest, outstanding, .. }) = ledger.take(&Answer::Declined { from: 1 }).unwrap()
        else {
            panic!("nothing came back")
        };
        assert_eq!((rest.window, outstanding), (1..4, 1));
        assert!(ledger.is_running(ticket, 0));
        let [lost] = <[Lost; 1]>::try_from(ledger.settle()).unwrap();
        assert_eq!(lost.blamed, Some(0));
        assert!(lost.rest.is_none());
    }

    #[test]
    fn answers_out_of_turn_are_refused() {
        let mut idle = Ledger::new(LINK);
        assert!(idle.take(&Answer::Begun { item: 0, at: 0 }).is_err());
        for answer in
            [finished(0), Answer::Begun { item: 1, at: 0 }, Answer::Declined { from: 1 }, Answer::Declined { from: 3 }]
        {
            let (mut ledger, _) = ledger_with(3);
            assert!(ledger.take(&answer).is_err(), "{answer:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_worker_answers_each_item_has_one_fate(
            items in 1u32..6,
            first in prop_oneof![Just(0u32), Just(u32::MAX - 6)],
            answers in prop::collection::vec((0u8..6, 0u32..7), 0..40),
        ) {
            let mut ledger = Ledger::new(LINK);
            let window = first..first + items;
            ledger.enter(Frame { window: window.clone(), ..Frame::new(Arc::new(()), b"".to_vec(), 1) });
            let mut fates: Vec<u32> = Vec::new();
            let mut note = |event: Option<LinkEvent>| match event {
                Some(LinkEvent::Outcome { outcome, .. }) => fates.push(outcome.item),
                Some(LinkEvent::Declined { rest, .. }) => fates.extend(rest.window),
                _ => {}
            };
            for (kind, offset) in answers {
                let item = first + offset;
                let event = match kind {
                    0 => ledger.take(&Answer::Begun { item, at: 0 }).ok().flatten(),
                    1 => ledger.take(&finished(item)).ok().flatten(),
                    2 => ledger.take(&Answer::Finished { item, result: Place::Memory(0) }).ok().flatten(),
                    3 => ledger.take(&Answer::Failed { item, size: 1, errno: 1 }).ok().flatten(),
                    4 => ledger.take(&Answer::Declined { from: item }).ok().flatten(),
                    _ => {
                        if ledger.expects_memory() {
                            ledger.keep_memory(Ok(Vec::new().into()));
                        }
                        None
                    }
                };
                note(event);
            }
            for lost in ledger.settle() {
                fates.extend(lost.blamed);
                fates.extend(lost.rest.into_iter().flat_map(|rest| rest.window));
            }
            fates.sort_unstable();
            prop_assert_eq!(fates, window.collect::<Vec<_>>());
        }
    }
}
