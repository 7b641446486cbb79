//! Links for the simulator: both ends are the real ones, over heap memory, and the worker makes a step when it is told to.
//!
//! Keeps true: the parent's ledger, the words, the claims and the recalls are those of every other backend; only the
//! waiting is somebody else's. Never: starts a thread, waits, or looks at a clock.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::backend::{Corrupt, Job, LinkEvent, LinkId, Refused, Share, Ticket};
use crate::frame::{Body, Frame, Lost, Undelivered};
use crate::look::Next;
use crate::slot::layout::{SLOTS, outcome, request};
use crate::slot::parent::{Memory, ParentEnd, ParentSide, SentLarge};
use crate::slot::region::Region;
use crate::slot::word::Word;
use crate::slot::worker::{Closing, Look, Opened, SlotJob, TakenLarge, WorkerEnd, WorkerSide};
use crate::terms::{Assignment, Running};

/// The error number of a system without memory.
const ENOMEM: i32 = 12;

/// How many memories a thread keeps for the next links.
const KEPT: usize = 32;

/// Makes the two ends of a link.
pub fn link(id: LinkId) -> (Near, Far) {
    let memory = take_memory();
    let closing = Closing::new(Arc::clone(&memory));
    let bells = Arc::new(Bells { awake: AtomicBool::new(true), rung: AtomicBool::new(false) });
    let end =
        WorkerEnd::new(Arc::clone(&memory), Arc::clone(&closing), FarSide { bells: Arc::clone(&bells) }).without_pace();
    let assignment = end.assignment();
    let far = Far { stage: Stage::Between(Box::new(end)), bells: Arc::clone(&bells), assignment };
    let near = ParentEnd::new(id, Arc::clone(&memory), NearSide { bells: Arc::clone(&bells) });
    (Near { end: near, closing, bells, memory }, far)
}

thread_local! {
    /// Fresh memory is mapped, faulted in and unmapped, which takes longer than most simulations.
    static MEMORIES: RefCell<Vec<Arc<Memory>>> = const { RefCell::new(Vec::new()) };
}

fn take_memory() -> Arc<Memory> {
    let kept = MEMORIES.with_borrow_mut(|memories| {
        let free = memories.iter().rposition(|memory| Arc::strong_count(memory) == 1)?;
        Some(memories.swap_remove(free))
    });
    let Some(memory) = kept else {
        return Arc::new(Memory { request: Region::heap(request::SIZE), outcome: Region::heap(outcome::SIZE) });
    };
    // What was written before is not looked at before it is written again, but for these.
    for slot in 0..SLOTS {
        memory.outcome.word(outcome::word(slot)).store(0, Ordering::Relaxed);
        for field in [request::COLLECTED, request::CANCELLED] {
            memory.request.word(request::slot(slot) + field).store(0, Ordering::Relaxed);
        }
    }
    memory
}

/// Who is awake, and who rang.
#[derive(Debug)]
struct Bells {
    awake: AtomicBool,
    rung: AtomicBool,
}

/// The parent's end.
#[derive(Debug)]
pub struct Near {
    end: ParentEnd<NearSide>,
    closing: Arc<Closing>,
    bells: Arc<Bells>,
    memory: Arc<Memory>,
}

impl Near {
    /// As [`Link::post`](crate::Link::post).
    ///
    /// # Errors
    /// As there.
    pub fn post(&self, frame: Frame) -> Result<Ticket, Refused> {
        self.end.post(frame)
    }

    /// As [`Link::recall`](crate::Link::recall).
    pub fn recall(&self, ticket: Ticket) -> Option<Frame> {
        self.end.recall(ticket)
    }

    /// As [`Link::recall_tail`](crate::Link::recall_tail).
    pub fn recall_tail(&self, share: Share) -> Vec<Frame> {
        self.end.recall_tail(share)
    }

    /// As [`Link::unclaimed`](crate::Link::unclaimed).
    pub fn unclaimed(&self) -> usize {
        self.end.unclaimed()
    }

    /// As [`Link::is_running`](crate::Link::is_running).
    pub fn is_running(&self, ticket: Ticket, item: u32) -> bool {
        self.end.is_running(ticket, item)
    }

    /// As [`Link::running`](crate::Link::running).
    pub fn running(&self) -> Option<Running> {
        self.end.running()
    }

    /// As [`Link::shortest_timeout`](crate::Link::shortest_timeout).
    pub fn shortest_timeout(&self) -> Option<Duration> {
        self.end.shortest_timeout()
    }

    /// As [`Link::cancel`](crate::Link::cancel).
    pub fn cancel(&self, ticket: Ticket) {
        self.end.cancel(ticket);
    }

    /// As [`Link::outstanding`](crate::Link::outstanding).
    pub fn outstanding(&self) -> usize {
        self.end.outstanding()
    }

    /// Closes the link.
    pub fn close(&self) {
        self.end.close();
        self.closing.close(|word| self.end.side().wake(word));
    }

    /// Whether the worker has rung since this was asked last.
    pub fn take_ring(&self) -> bool {
        self.bells.rung.swap(false, Ordering::SeqCst)
    }

    /// Whether the worker has rung, as a look that changes nothing.
    pub fn has_rung(&self) -> bool {
        self.bells.rung.load(Ordering::SeqCst)
    }

    /// Takes the outcomes that are ready. True: look again soon.
    ///
    /// # Errors
    /// The worker broke the protocol.
    pub fn collect(&self, events: &mut Vec<LinkEvent>) -> Result<bool, Corrupt> {
        self.end.collect_by_turns(events).map(|next| next == Next::Look)
    }

    /// The last collection, once the worker is gone.
    pub fn finish(&self, events: &mut Vec<LinkEvent>) -> (Option<Corrupt>, Vec<Lost>) {
        self.end.finish(events)
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        // At the end of a thread there is nothing to keep it for.
        let _ = MEMORIES.try_with(|memories| {
            let mut memories = memories.borrow_mut();
            if memories.len() < KEPT {
                memories.push(Arc::clone(&self.memory));
            }
        });
    }
}

/// The worker's end.
pub struct Far {
    stage: Stage,
    bells: Arc<Bells>,
    assignment: Arc<dyn Assignment>,
}

enum Stage {
    Between(Box<WorkerEnd<FarSide>>),
    At(Box<SlotJob<Box<WorkerEnd<FarSide>>>>),
    /// Only while it goes from one to the other.
    Moving,
}

/// What a step between two frames came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It has a frame.
    Frame,
    /// There is none.
    Nothing,
    /// The link is closed and all was run.
    Closed,
}

impl Far {
    /// Whether it has something to look for.
    pub fn is_awake(&self) -> bool {
        matches!(self.stage, Stage::At(_)) || self.bells.awake.load(Ordering::SeqCst)
    }

    /// Looks for the next frame, and falls asleep where there is none.
    pub fn look(&mut self) -> Looked {
        let Stage::Between(end) = std::mem::replace(&mut self.stage, Stage::Moving) else {
            panic!("a worker looks for a frame when it has none")
        };
        match end.look() {
            Look::Frame => {
                let (job, opened) = SlotJob::open(end);
                assert!(matches!(opened, Opened::Ready | Opened::Recalled), "simulated payloads are never large");
                self.stage = Stage::At(Box::new(job));
                Looked::Frame
            }
            look => {
                if let Look::Asleep(_) = look {
                    self.bells.awake.store(false, Ordering::SeqCst);
                }
                self.stage = Stage::Between(end);
                if matches!(look, Look::Closed) { Looked::Closed } else { Looked::Nothing }
            }
        }
    }

    /// Whether it has a frame.
    pub fn has_frame(&self) -> bool {
        matches!(self.stage, Stage::At(_))
    }

    /// Takes the next item of its frame.
    pub fn claim(&mut self) -> Option<u32> {
        self.job().claim()
    }

    /// The payload of its frame.
    pub fn request(&mut self) -> &[u8] {
        self.job().request()
    }

    /// How often the item that was claimed last was run before, as the parent says.
    pub fn attempt(&self) -> u32 {
        self.assignment.attempt()
    }

    /// Publishes the outcome of the item that was claimed last.
    pub fn publish(&mut self, outcome: &[u8]) {
        self.job().publish(outcome);
    }

    /// The same, and takes the next item of its frame along with it.
    pub fn publish_and_claim(&mut self, outcome: &[u8]) -> Option<u32> {
        self.job().publish_and_claim(outcome)
    }

    /// Writes the outcome and does not say so.
    pub fn write_only(&mut self, outcome: &[u8]) {
        self.job().write_only(outcome);
    }

    /// Gives back what it has not claimed.
    pub fn decline(&mut self) {
        self.job().decline();
    }

    /// Breaks the protocol, and rings.
    pub fn garble(&mut self) {
        self.job().garble();
        self.bells.rung.store(true, Ordering::SeqCst);
    }

    /// Leaves its frame.
    pub fn leave(&mut self) {
        if let Stage::At(job) = std::mem::replace(&mut self.stage, Stage::Moving) {
            self.stage = Stage::Between(job.leave());
        }
    }

    fn job(&mut self) -> &mut SlotJob<Box<WorkerEnd<FarSide>>> {
        match &mut self.stage {
            Stage::At(job) => job,
            _ => panic!("a worker without a frame has no job"),
        }
    }
}

impl std::fmt::Debug for Far {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Far").field("has_frame", &self.has_frame()).field("bells", &self.bells).finish()
    }
}

#[derive(Debug)]
struct NearSide {
    bells: Arc<Bells>,
}

impl ParentSide for NearSide {
    fn wake(&self, _word: &AtomicU64) {
        self.bells.awake.store(true, Ordering::SeqCst);
    }

    fn commit(&self, _requests: &Region, _offset: u64, _len: u64) -> bool {
        true
    }

    fn freeze(&self, payload: Body) -> Result<Body, (Body, i32)> {
        Err((payload, ENOMEM))
    }

    fn send_large(&self, _id: u64, _payload: &Body) -> SentLarge {
        SentLarge::Failed(ENOMEM)
    }

    fn take_large(&self, _id: u64, _len: u64) -> Result<Result<Body, Undelivered>, Corrupt> {
        Err(Corrupt::Message { what: "an outcome that was not sent" })
    }
}

struct FarSide {
    bells: Arc<Bells>,
}

impl WorkerSide for FarSide {
    fn sleep(&self, _word: &AtomicU64, _seen: Word) {
        unreachable!("the simulator looks by itself");
    }

    fn ring(&self) {
        self.bells.rung.store(true, Ordering::SeqCst);
    }

    fn commit(&self, _offset: u64, _len: u64) -> bool {
        true
    }

    fn take_large(&mut self, _id: u64) -> TakenLarge {
        TakenLarge::Gone
    }

    fn send_large(&mut self, _id: u64, _pieces: &[&[u8]]) -> Result<(), i32> {
        Err(ENOMEM)
    }
}
