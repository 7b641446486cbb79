//! The words between the manager's loop and its mind: what happened, and what is to be done.

use std::time::{Duration, Instant};

use pool_ipc::{ExitCause, LinkId};

use crate::error::{Broken, StartFailure};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Frames were added to the backlog.
    Submitted,
    /// The feeder has started a worker.
    Started(LinkId),
    /// The feeder could not.
    StartFailed(LinkId, StartFailure),
    /// A worker said hello.
    Ready(LinkId),
    /// A worker said that it cannot work, and the pool neither.
    Unfit(LinkId, Broken),
    /// Outcomes of `count` items came in, or a part of a frame came back.
    Progress { link: LinkId, count: usize },
    /// The link did not take what the feeder had for it. Comes before [`Fed`](Self::Fed).
    Refused(LinkId),
    /// The feeder has posted what it was told to, as far as that was possible.
    Fed(LinkId),
    /// Frames of this link were taken back: cancelled, or stolen for another worker.
    Recalled(LinkId),
    /// A link that was offered is not any more, and nothing was posted.
    Withdrawn(LinkId),
    /// A link that was to be withdrawn has been taken by a caller.
    Taken(LinkId),
    /// So many workers are allowed from now on.
    Resized(usize),
    /// This many frames were taken from others for this worker.
    Stolen { thief: LinkId, frames: usize },
    /// A frame with a time limit was posted to this link.
    Limited(LinkId),
    /// A frame of several items was posted to this link.
    Burdened(LinkId),
    /// Half of what nobody has begun at this link was taken back: so many frames, or a part of one.
    Halved { link: LinkId, frames: usize },
    /// When one of the time limits of this link is due, and whether its worker `rests` though it holds frames.
    Clocked { link: LinkId, due: Due, rests: bool },
    /// So much memory a worker has, in bytes, where that can be known.
    Measured { link: LinkId, resident: Option<u64> },
    /// What this worker runs is to be stopped.
    Condemned(LinkId),
    /// Nothing begins at this link any more. Whether what is to be stopped still runs.
    Cornered { link: LinkId, holds: bool },
    /// A worker that is a thread was to be ended, and goes on.
    Survives { link: LinkId, pid: u32 },
    /// A worker is gone, with these last lines on stderr, and this task is `blamed` for that, or none.
    Ended { link: LinkId, pid: u32, cause: ExitCause, stderr: Option<String>, blamed: Option<&'static str> },
    /// No further submits; what is queued is still run.
    ShutDown,
    /// All workers are to be ended.
    Halt(Means),
    /// A deadline passed.
    Tick,
}

impl Event {
    /// The link whose load the state is to be told along with it.
    pub(crate) fn link(&self) -> Option<LinkId> {
        match *self {
            Self::Ready(link)
            | Self::Progress { link, .. }
            | Self::Fed(link)
            | Self::Recalled(link)
            | Self::Withdrawn(link)
            | Self::Taken(link)
            | Self::Burdened(link)
            | Self::Stolen { thief: link, .. } => Some(link),
            _ => None,
        }
    }
}

/// How all workers are ended, weaker ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Means {
    /// They are asked to end, once.
    Terminate,
    /// As for a time limit: they are asked, and killed after a grace.
    Ladder,
    /// They are killed.
    Kill,
}

/// When something is to be done about what a link runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Never,
    /// Not before this.
    At(Instant),
    Now,
}

/// What the state cannot know by itself, at the time of the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) now: Instant,
    /// How many frames wait and are not reserved.
    pub(crate) waiting: usize,
    /// Whether there are some among them that came back, and go to a worker that has nothing.
    pub(crate) overdue: bool,
    /// How many frames the link that the event is about holds.
    pub(crate) outstanding: usize,
    /// How many items of those nobody has begun.
    pub(crate) unclaimed: usize,
    /// How many further items that link may be given.
    pub(crate) room: usize,
    /// How long an item takes that link's worker, where it says so.
    pub(crate) pace: Option<Duration>,
    /// How many frames wait for the time of their next attempt, or are in the hands of callers that cancel.
    pub(crate) delayed: usize,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Have the feeder start a worker under this name.
    Start(LinkId),
    /// Have the feeder post frames of the backlog, as many as have so many items.
    Feed { link: LinkId, items: usize },
    /// Callers may post to it.
    Offer(LinkId),
    /// Callers may no longer post to it, and report whether one already has.
    Withdraw(LinkId),
    /// Take frames from busy links for this one, and report how many.
    Steal { thief: LinkId },
    /// Take back to the backlog what waits at this link.
    Recall(LinkId),
    /// Take back half of what nobody has begun there, also of the frame that runs.
    Halve(LinkId),
    /// Its worker may end once it has run what it has.
    Close(LinkId),
    /// Find out when a time limit of this link is due.
    Look(LinkId),
    /// Find out how much memory its worker has.
    Measure(LinkId),
    /// Let nothing further begin at this link, and find out whether what is to be stopped still runs.
    Corner(LinkId),
    /// Ask its worker to end.
    Soften(LinkId),
    /// End its worker now.
    Kill(LinkId),
    /// Nothing will run any more: fail what waits, here and at links, for this reason.
    Break,
    /// Nobody is left but workers that cannot be ended: who waits for the end of the pool need not wait for theirs.
    LeaveBehind,
    /// All workers are gone and nothing is left to do.
    Finish,
}
