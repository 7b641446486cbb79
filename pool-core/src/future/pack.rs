//! Small tasks of several futures that travel together in one frame.
//!
//! A pack is made in one of two ways. Tasks that have to wait are put into one as they are submitted ([`Filling`]): each
//! knows its pack from the beginning, and nobody visits the futures one by one on the way to the worker. Frames that came
//! back are put together anew ([`Pack::of`]): the futures are told first, one by one, and then the frame is posted. In both
//! a future that is cancelled before the post has the frame given up. Keeps true: which task has which number never changes;
//! what is taken back of a frame is answered for whole, the one that was asked for and its neighbours. Lock order: a
//! future's lock, then the pack's, then the link's.

use std::sync::Arc;

use parking_lot::Mutex;
use pool_ipc::{Body, Frame, Link, LinkId, Owner, Refused, RefusedWhy, Running, Ticket};

use crate::future::state::Shared;
use crate::wire::{Cursor, PackWriter, unpack};

/// The futures of one frame, which it has for its owner.
pub(crate) struct Pack {
    state: Mutex<State>,
}

struct State {
    /// By the number of their item. None while the pack is being filled, and none any more where an outcome was brought.
    members: Vec<Option<Arc<Shared>>>,
    ranks: Ranks,
    place: Place,
}

/// The ranks of the members' frames.
enum Ranks {
    /// One after the other, from this one on.
    From(u64),
    Each(Box<[u64]>),
}

enum Place {
    /// It waits, or is being put together. Whether a member left meanwhile.
    Loading {
        left: bool,
    },
    Posted {
        link: Arc<dyn Link>,
        ticket: Ticket,
    },
    /// It was not posted, and will not be.
    GivenUp,
}

/// What a member hears that wants to be had back.
pub(super) enum Returned {
    /// It has not begun, and does not any more.
    Yes(Option<Rest>),
    /// It may have begun.
    No(Option<Rest>),
}

/// What was taken back besides, for the pool, and where: there is room now.
pub(crate) type Rest = (LinkId, Frame);

/// How the posting of a pack went.
pub(crate) enum Sending {
    Posted,
    /// A member left before that: the others are to be posted by themselves.
    Broken(Frame),
    /// The link takes no more, and the pack waits as before.
    Full(Frame),
    /// It cannot be posted as it is: its members are to be, by themselves.
    Refused(Frame),
}

/// The largest request that goes into a pack, in bytes.
const LARGEST: usize = 64;

impl Pack {
    /// Whether a request is small enough for a pack.
    pub(crate) fn takes(request: &[u8]) -> bool {
        request.len() <= LARGEST
    }

    /// Whether a frame is of a kind that goes into packs: one small task, without limits, without further attempts, and
    /// without shared values, which would be all of its neighbours' as well.
    pub(crate) fn may_have(frame: &Frame) -> bool {
        let payload = &frame.payload;
        let is_plain = frame.items() == 1 && frame.terms.is_none() && payload.len() <= LARGEST;
        let is_plain = is_plain && payload.values().is_empty();
        is_plain && frame.owner.downcast_ref::<Shared>().is_some_and(|shared| shared.retry().is_none())
    }

    /// The number of tasks that are to run of a frame that is a pack's.
    pub(crate) fn members_of(frame: &Frame) -> Option<usize> {
        frame.owner.is::<Self>().then(|| frame.items() as usize)
    }

    fn with(members: Vec<Option<Arc<Shared>>>, ranks: Ranks) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { members, ranks, place: Place::Loading { left: false } }) })
    }

    /// Puts frames of one future each together, and tells the futures. `None`: they are not, but of something else.
    pub(crate) fn of(frames: &[Frame]) -> Option<Frame> {
        let member = |frame: &Frame| Arc::clone(&frame.owner).downcast().ok();
        let shared: Vec<Arc<Shared>> = frames.iter().map(member).collect::<Option<_>>()?;
        let ranks = frames.iter().map(|frame| frame.rank).collect();
        let pack = Self::with(shared.iter().cloned().map(Some).collect(), Ranks::Each(ranks));
        for (item, shared) in shared.iter().enumerate() {
            if !shared.load_onto(&pack, number(item)) {
                pack.leave();
            }
        }
        let mut writer = PackWriter::default();
        frames.iter().for_each(|frame| writer.push(frame.payload.as_slice()));
        let rank = frames.first().map_or(0, |frame| frame.rank);
        Some(Frame { rank, ..Frame::new(pack as Owner, writer.finish(), number(frames.len())) })
    }

    /// Posts a frame that is a pack's.
    pub(crate) fn post(frame: Frame, link: &Arc<dyn Link>) -> Sending {
        let owner = Owner::clone(&frame.owner);
        let pack = owner.downcast_ref::<Self>().expect("it was asked whether the frame is a pack's");
        let mut state = pack.state.lock();
        if !matches!(state.place, Place::Loading { left: false }) {
            state.place = Place::GivenUp;
            return Sending::Broken(frame);
        }
        pool_ipc::tell!(Trace, "{} tasks in one frame for {:?}", frame.items(), link.id());
        match link.post(frame) {
            Ok(ticket) => {
                state.place = Place::Posted { link: Arc::clone(link), ticket };
                Sending::Posted
            }
            Err(Refused { frame, why: RefusedWhy::Full | RefusedWhy::Closed }) => Sending::Full(frame),
            Err(Refused { frame, .. }) => {
                state.place = Place::GivenUp;
                Sending::Refused(frame)
            }
        }
    }

    /// Has a member back, if it has not begun.
    pub(super) fn recall(&self, item: u32) -> Returned {
        let mut state = self.state.lock();
        match &mut state.place {
            Place::Loading { left } => {
                *left = true;
                Returned::Yes(None)
            }
            Place::GivenUp => Returned::Yes(None),
            Place::Posted { link, ticket } => match link.recall(*ticket) {
                Some(frame) if frame.window.contains(&item) => Returned::Yes(Some((link.id(), frame))),
                rest => Returned::No(rest.map(|frame| (link.id(), frame))),
            },
        }
    }

    pub(super) fn is_running(&self, item: u32) -> bool {
        let state = self.state.lock();
        matches!(&state.place, Place::Posted { link, ticket } if link.is_running(*ticket, item))
    }

    /// Takes the future of an item whose outcome is there. It is had once.
    pub(crate) fn take(&self, item: u32) -> Option<Arc<Shared>> {
        self.state.lock().members.get_mut(item as usize)?.take()
    }

    fn leave(&self) {
        self.state.lock().place = Place::Loading { left: true };
    }

    fn member(&self, item: u32) -> Option<Arc<Shared>> {
        self.state.lock().members.get(item as usize)?.clone()
    }

    fn rank(&self, item: u32) -> Option<u64> {
        match &self.state.lock().ranks {
            Ranks::From(first) => Some(first + u64::from(item)),
            Ranks::Each(ranks) => ranks.get(item as usize).copied(),
        }
    }
}

/// A pack to which tasks are added as they are submitted, one rank after the other.
pub(crate) struct Filling {
    pack: Arc<Pack>,
    members: Vec<Option<Arc<Shared>>>,
    requests: PackWriter,
    first: u64,
}

impl Filling {
    /// An empty one, for so many tasks at most, the first of this rank.
    pub(crate) fn new(most: usize, first: u64) -> Self {
        let (pack, members) = (Pack::with(Vec::new(), Ranks::From(first)), Vec::with_capacity(most));
        Self { pack, members, requests: PackWriter::default(), first }
    }

    /// The rank that the next task must have.
    pub(crate) fn next_rank(&self) -> u64 {
        self.first + self.members.len() as u64
    }

    /// Adds a task.
    pub(crate) fn add(&mut self, shared: &mut Arc<Shared>, request: &[u8]) {
        if !Shared::begin_in(shared, &self.pack, number(self.members.len())) {
            self.pack.leave();
        }
        self.requests.push(request);
        self.members.push(Some(Arc::clone(shared)));
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The frame that is to be posted.
    pub(crate) fn finish(self) -> Frame {
        let Self { pack, members, requests, first } = self;
        let count = number(members.len());
        pack.state.lock().members = members;
        Frame { rank: first, ..Frame::new(pack as Owner, requests.finish(), count) }
    }
}

fn number(item: usize) -> u32 {
    u32::try_from(item).expect("a frame has fewer items than that")
}

/// Whose an item is, and its number there.
pub(crate) fn addressee(owner: Owner, item: u32) -> (Owner, u32) {
    match owner.downcast_ref::<Pack>().and_then(|pack| pack.member(item)) {
        Some(member) => (member, 0),
        None => (owner, item),
    }
}

/// The same of what runs.
pub(crate) fn addressed(running: Running) -> Running {
    let (owner, item) = addressee(running.owner, running.item);
    Running { owner, item, ..running }
}

/// Each of the tasks of a pack in a frame of its own, as it was before, but for those that are done; any other frame as it
/// is.
pub(crate) fn unpacked(frame: Frame) -> Vec<Frame> {
    let Some(pack) = frame.owner.downcast_ref::<Pack>() else { return vec![frame] };
    let mut cursor = Cursor::default();
    let single = |item: u32| {
        let member = pack.member(item).filter(|member| !member.is_done())?;
        let request = unpack(frame.payload.as_slice(), item, &mut cursor)?;
        let rank = pack.rank(item).unwrap_or(frame.rank);
        Some(Frame { rank, ..Frame::new(member as Owner, Body::copied(request), 1) })
    };
    frame.window.clone().filter_map(single).collect()
}

/// The rank of the last task in a frame.
pub(crate) fn last_rank(frame: &Frame) -> u64 {
    rank_of(frame, frame.window.end.saturating_sub(1))
}

fn rank_of(frame: &Frame, item: u32) -> u64 {
    frame.owner.downcast_ref::<Pack>().and_then(|pack| pack.rank(item)).unwrap_or(frame.rank)
}

/// Takes the first tasks out of a frame that is a pack's and waits, each in a frame of its own. The rest goes on waiting in
/// the pack.
pub(crate) fn unpacked_first(frame: &mut Frame, tasks: usize) -> Vec<Frame> {
    let mut rest = frame.split_off(number(tasks));
    rest.rank = rank_of(&rest, rest.window.start);
    let first = unpacked(std::mem::replace(frame, rest));
    // They are nobody's any more: whoever cancels one of them has the others go on together.
    let alone = first.iter().filter_map(|frame| frame.owner.downcast_ref::<Shared>());
    alone.for_each(Shared::unpost);
    first
}
