//! The contract between a pool and whatever runs its work. Numbered; one conformance suite tests every backend by it.
//!
//! 1. A [`Backend`] opens a [`Hub`]; a hub starts workers and gives one [`Link`] each. A link has a capacity: how many
//!    items its far end may run at once (a local worker's is 1). Backends are values, chosen at run time.
//! 2. Sending never blocks: [`Link::post`] succeeds, or hands the frame back and says why.
//! 3. Frames arrive whole, once, in order. A frame cut by a death is accounted for as such ([`Lost`]).
//! 4. [`Link::recall`] answers at once, and gives back the items that a crashing (not lying) worker will now never
//!    start. A backend that cannot recall what was sent says so in its [`Abilities`] and keeps one frame in flight.
//! 5. A worker's end is one event with its cause, after everything that it had finished was delivered.
//! 6. One blocking wait ([`Hub::wait`]) covers all links, all exits, a deadline and a wake-up from any thread.
//! 7. Every limit is stated, and hitting it is an error with the sizes in it.
//!
//! The far end has a contract of its own, much smaller: [`FarEnd::serve`] hands out [`Job`]s until the link is closed.

mod errors;

use std::collections::TryReserveError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::errors::{Corrupt, OpenError, Refused, RefusedWhy, StartError};
use crate::body::{FrozenMemory, Inset, pieces, together};
use crate::command::WorkerCommand;
use crate::exit::ExitCause;
use crate::fixed::{self, FixedEnd, FixedItems, FixedRun};
use crate::frame::{Frame, Lost, Outcome};
use crate::outcomes::Outcomes;
use crate::postmortem::Postmortem;
use crate::shared_value::{NoValues, SharedValues};
use crate::stderr::WorkerStderr;
use crate::terms::{Assignment, Running, Untold};

/// A way to run work elsewhere. A value: `Arc<dyn Backend>` goes to the pool's builder.
pub trait Backend: fmt::Debug + Send + Sync {
    /// The name that reports and tests use.
    fn name(&self) -> &'static str;

    /// What this backend can and cannot do.
    fn abilities(&self) -> Abilities;

    /// Opens a hub: the place where the links of one pool meet.
    ///
    /// # Errors
    /// The system refused a descriptor, memory or a thread, or the platform has no such backend.
    fn open(&self) -> Result<Arc<dyn Hub>, OpenError>;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn abilities(&self) -> Abilities {
        (**self).abilities()
    }

    fn open(&self) -> Result<Arc<dyn Hub>, OpenError> {
        (**self).open()
    }
}

/// What a backend declares about itself; conformance prints the rest as not applicable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Workers are processes: they can be signalled, measured and limited, have exit causes, and their death harms nobody.
    pub processes: bool,
    /// Frames may be recalled after they were posted, until they are claimed.
    pub recall: bool,
    /// How many frames one link takes at a time.
    pub frames_a_link: usize,
}

/// Names a link within its hub. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// Names a frame that was posted, within its link. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// The links of one pool, and the one place that waits for them.
pub trait Hub: fmt::Debug + Send + Sync {
    /// Starts a worker and returns at once: frames may be posted before it has said hello.
    ///
    /// # Errors
    /// No process, thread, descriptor or memory was to be had. Nothing is left behind.
    fn start(&self, id: LinkId, order: &StartOrder) -> Result<Arc<dyn Link>, StartError>;

    /// Waits until something happened, the deadline passed or [`wake`](Self::wake) was called, and appends what
    /// happened. One thread at a time waits; a second one gets its turn afterwards.
    fn wait(&self, deadline: Option<Instant>, events: &mut Vec<LinkEvent>);

    /// Ends a wait that is under way, or else the next one. Many calls may count as one.
    fn wake(&self);

    /// Waits until what workers that have ended wrote is where it belongs, for a moment at most. Nothing by default: for
    /// hubs that keep [stderr](StartOrder::stderr).
    fn flush(&self) {}
}

/// The parent's end of a worker.
pub trait Link: fmt::Debug + Send + Sync {
    /// Its name within the hub.
    fn id(&self) -> LinkId;

    /// The process that does the work: the worker's, or this one where workers are threads.
    fn pid(&self) -> u32;

    /// How many items the far end may run at once.
    fn capacity(&self) -> u32;

    /// Hands a frame to the worker. Never blocks.
    ///
    /// # Errors
    /// [`Refused`] has the frame and the reason.
    fn post(&self, frame: Frame) -> Result<Ticket, Refused>;

    /// Takes back the items of a frame that nobody has begun, or `None` where there are none left.
    fn recall(&self, ticket: Ticket) -> Option<Frame>;

    /// Takes back items from the newest end, of whatever frames they are, oldest frame first. A backend that cannot recall
    /// gives none.
    fn recall_tail(&self, share: Share) -> Vec<Frame> {
        let _ = share;
        Vec::new()
    }

    /// How many items nobody has begun, by a look that may be out of date at once.
    fn unclaimed(&self) -> usize {
        0
    }

    /// How many further items it takes, ever, as long as none is recalled.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Whether the worker has begun this item and has not published its outcome yet.
    fn is_running(&self, ticket: Ticket, item: u32) -> bool;

    /// The item that the worker runs, by a look that may be out of date at once.
    fn running(&self) -> Option<Running>;

    /// The shortest time limit of the posted items that nobody has begun, by such a look.
    fn shortest_timeout(&self) -> Option<Duration>;

    /// How much memory the worker process has in RAM, in bytes, but for shared memory, as the system tells it. `None`: it has
    /// ended, or workers are threads.
    fn resident(&self) -> Option<u64> {
        None
    }

    /// Tells the worker that the running item of a frame is to end. Whether it does is the item's matter.
    fn cancel(&self, ticket: Ticket);

    /// How many frames are posted and not fully delivered.
    fn outstanding(&self) -> usize;

    /// All that there is to know of what it has to do, by one look that may be out of date at once.
    fn load(&self) -> Load {
        let outstanding = self.outstanding();
        let unclaimed = if outstanding == 0 { 0 } else { self.unclaimed() };
        Load { outstanding, unclaimed, room: self.room(), pace: None }
    }

    /// Appends the outcomes that are ready.
    fn collect(&self, events: &mut Vec<LinkEvent>);

    /// Tells the worker to end once it has run what was posted. Further posts are refused.
    fn close(&self);

    /// Sends a signal to the worker (and, with `group`, to all that stayed in its process group, which the worker itself may
    /// have left). It can only ever hit this worker: false means that it had ended already, or that the backend has no processes.
    fn signal(&self, signal: i32, group: bool) -> bool;
}

/// What a link has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// As [`Link::outstanding`].
    pub outstanding: usize,
    /// As [`Link::unclaimed`].
    pub unclaimed: usize,
    /// As [`Link::room`].
    pub room: usize,
    /// How long an item takes the far end from where it begins, averaged, where it says so: not how long it waited. A hint.
    pub pace: Option<Duration>,
}

impl Load {
    /// Of a link that nothing was ever posted to.
    pub const NONE: Self = Self { outstanding: 0, unclaimed: 0, room: usize::MAX, pace: None };
}

/// How much [`Link::recall_tail`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// All that is unclaimed.
    All,
    /// Half of the frames that nobody has begun, or else half of what is left of the one that runs. At least one item,
    /// if there is one.
    Half,
}

/// What a [`Hub::wait`] reports. Events of one link come in the order in which they happened.
#[derive(Debug)]
pub enum LinkEvent {
    /// The worker sent a message of its own, opaque to links: its greeting, or why it cannot work.
    Said {
        /// Whose.
        link: LinkId,
        /// At most [`MAX_SAID`] bytes.
        bytes: Vec<u8>,
    },
    /// An item has ended.
    Outcome {
        /// Where it ran.
        link: LinkId,
        /// What came of it.
        outcome: Outcome,
        /// How many frames the link still holds.
        outstanding: usize,
        /// Whether it is the last of its frame.
        last: bool,
    },
    /// Several items in a row have ended, each with a value.
    Outcomes {
        /// Where they ran.
        link: LinkId,
        /// What came of them.
        outcomes: Outcomes,
        /// How many frames the link still holds.
        outstanding: usize,
        /// Whether the last of them is the last of its frame.
        last: bool,
    },
    /// The worker gave a part of a frame back: it had no room for further outcomes.
    Declined {
        /// Which worker.
        link: LinkId,
        /// The items that it did not begin.
        rest: Frame,
        /// How many frames the link still holds.
        outstanding: usize,
    },
    /// The worker is gone; the last event of its link.
    Ended {
        /// Whose.
        link: LinkId,
        /// Its process.
        pid: u32,
        /// How it ended.
        cause: ExitCause,
        /// Set when the link was given up because the worker broke the protocol.
        corrupt: Option<Corrupt>,
        /// What else is known of its end.
        postmortem: Postmortem,
        /// What became of every frame that it still held, oldest first.
        lost: Vec<Lost>,
        /// The last lines that it wrote to stderr, harmless to print, if that is [kept](WorkerStderr::Kept) and there
        /// are any.
        stderr: Option<String>,
    },
}

impl LinkEvent {
    /// Which link tells.
    pub fn link(&self) -> LinkId {
        match *self {
            Self::Said { link, .. }
            | Self::Outcome { link, .. }
            | Self::Outcomes { link, .. }
            | Self::Declined { link, .. }
            | Self::Ended { link, .. } => link,
        }
    }

    /// The same, with an event of its own for each outcome.
    pub fn singly(self) -> Vec<Self> {
        let Self::Outcomes { link, outcomes, outstanding, last } = self else { return vec![self] };
        let count = outcomes.values.len();
        let event = |(index, outcome)| {
            let is_last = last && index + 1 == count;
            let outstanding = outstanding + usize::from(last && !is_last);
            Self::Outcome { link, outcome, outstanding, last: is_last }
        };
        outcomes.into_iter().enumerate().map(event).collect()
    }
}

/// The longest message of [`LinkEvent::Said`], in bytes.
pub const MAX_SAID: usize = 64 * 1024;

/// How to start a worker.
#[derive(Clone)]
pub struct StartOrder {
    /// Bytes for the worker, read there by [`FarEnd::boot`].
    pub boot: Arc<[u8]>,
    /// Which program to run as the worker.
    pub command: WorkerCommand,
    /// What runs the far end where workers are threads of this process.
    pub thread_main: fn(Box<dyn FarEnd>),
    /// What the worker is called, `SpawnProcess-1`: the name of its thread where it is one.
    pub name: String,
    /// What becomes of what it writes to stderr. A worker that is a thread writes to this program's.
    pub stderr: WorkerStderr,
}

impl fmt::Debug for StartOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOrder").field("name", &self.name).field("command", &self.command).finish_non_exhaustive()
    }
}

/// The worker's end of a link.
pub trait FarEnd {
    /// The bytes of [`StartOrder::boot`].
    fn boot(&self) -> &[u8];

    /// Sends a message to the pool ([`LinkEvent::Said`]), of at most [`MAX_SAID`] bytes.
    ///
    /// # Errors
    /// The message is too long, or the parent is gone.
    fn say(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// What there is to know of the item that runs.
    fn assignment(&self) -> Arc<dyn Assignment> {
        Arc::new(Untold)
    }

    /// Where the shared values are that come with frames.
    fn shared_values(&self) -> Arc<dyn SharedValues> {
        Arc::new(NoValues)
    }

    /// Runs `work` on each job until the link is closed or the parent is gone.
    fn serve(&mut self, work: &mut dyn FnMut(&mut dyn Job));
}

/// One frame at its worker: claim an item, run it, publish its outcome, and so on until there is none left.
///
/// Once claimed, an item must be published before the next claim; dropping the job with an item claimed and not
/// published leaves that item unresolved until the worker ends.
pub trait Job {
    /// The frame's payload. To be read before the first claim or while an item is claimed: between an item's publication
    /// and the next claim it may be empty, as the frame may be over and its memory in use again.
    fn request(&self) -> &[u8];

    /// Takes the next item of the frame's window, or `None` when all are done or were recalled.
    fn claim(&mut self) -> Option<u32>;

    /// Publishes the outcome of the item claimed last.
    fn publish(&mut self, outcome: &[u8]);

    /// Publishes the outcome of the item claimed last, and takes the next item: both as one, which can cost less.
    fn publish_and_claim(&mut self, outcome: &[u8]) -> Option<u32> {
        self.publish(outcome);
        self.claim()
    }

    /// Publishes the outcome of the item claimed last, and has `run` answer the items after it, which lie one behind the other in
    /// the payload, some at a time and as long as it gives outcomes that are as long as this first one and begin with the
    /// same byte. See [`FixedRun`].
    fn publish_fixed(
        &mut self,
        first: &[u8],
        items: FixedItems,
        run: &mut dyn FnMut(&mut FixedRun<'_>) -> bool,
    ) -> FixedEnd {
        let (Some(&head), true) = (first.first(), first.len() <= fixed::LONGEST) else { return FixedEnd::Answered };
        let mut next = self.publish_and_claim(first);
        while let Some(item) = next {
            let request = self.request();
            let Some(arguments) = items.find(request, item).and_then(|range| request.get(range)) else {
                return FixedEnd::Claimed(item);
            };
            let mut single = FixedRun::single(arguments);
            if !run(&mut single) {
                return FixedEnd::Answered;
            }
            let last = single.pending().unwrap_or_default();
            next = self.publish_and_claim(&fixed::whole(head, &last)[..first.len()]);
        }
        FixedEnd::Over
    }

    /// The payload as memory that can be kept for as long as anybody likes, where it is such memory.
    fn memory(&self) -> Option<FrozenMemory> {
        None
    }

    /// Publishes an outcome that has insets, which need not be copied more often than the outcome itself.
    ///
    /// # Errors
    /// There is no memory to put them together, where that has to be. Nothing was published.
    fn publish_joined(&mut self, outcome: &[u8], insets: Vec<Inset>) -> Result<(), TryReserveError> {
        self.publish(&together(&pieces(outcome, &insets))?);
        Ok(())
    }
}

/// How long an orderly worker may take to say hello before it counts as failed, unless the pool is told otherwise.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(30);
