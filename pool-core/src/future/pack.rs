//! Small tasks of several futures that travel together in one frame.
//!
//! The futures are told first, one by one, and then the frame is posted: a future that is cancelled in between has the
//! frame given up. Keeps true: which task has which number never changes; what is taken back of a frame is answered for
//! whole, the one that was asked for and its neighbours. Lock order: a future's lock, then the pack's, then the link's.

use std::sync::Arc;

use parking_lot::Mutex;
use pool_ipc::{Frame, Link, LinkId, Owner, RefusedWhy, Running, Ticket};

use crate::future::state::Shared;
use crate::wire::{Cursor, pack, unpack};

/// The futures of one frame, which it has for its owner.
pub(crate) struct Pack {
    members: Box<[Member]>,
    place: Mutex<Place>,
}

/// One of them, by the number of its item.
struct Member {
    shared: Arc<Shared>,
    /// Its frame's rank.
    rank: u64,
}

enum Place {
    /// It is being put together. Whether a member left meanwhile.
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
    Broken,
    Refused(RefusedWhy),
}

/// The largest request that goes into a pack, in bytes.
const LARGEST: usize = 64;

impl Pack {
    /// Whether a frame is of a kind that goes into packs: one small task, without limits, without further attempts, and
    /// without shared values, which would be all of its neighbours' as well.
    pub(crate) fn may_have(frame: &Frame) -> bool {
        let payload = &frame.payload;
        let is_plain = frame.items() == 1 && frame.terms.is_none() && payload.len() <= LARGEST;
        let is_plain = is_plain && payload.values().is_empty();
        is_plain && frame.owner.downcast_ref::<Shared>().is_some_and(|shared| shared.retry().is_none())
    }

    /// Puts frames of one future each together. `None`: they are not, but of something else.
    pub(crate) fn of(frames: &[Frame]) -> Option<Arc<Self>> {
        let member = |frame: &Frame| {
            let shared = Arc::clone(&frame.owner).downcast().ok()?;
            Some(Member { shared, rank: frame.rank })
        };
        let members = frames.iter().map(member).collect::<Option<_>>()?;
        Some(Arc::new(Self { members, place: Mutex::new(Place::Loading { left: false }) }))
    }

    /// Tells the futures, and posts what they are for.
    pub(crate) fn post(self: &Arc<Self>, frames: &[Frame], link: &Arc<dyn Link>) -> Sending {
        let number = |item: usize| u32::try_from(item).expect("a frame has fewer items than that");
        for (item, member) in self.members.iter().enumerate() {
            if !member.shared.load_onto(self, number(item)) {
                self.leave();
            }
        }
        let request = pack(frames.iter().map(|frame| frame.payload.as_slice()));
        let owner: Owner = Arc::<Self>::clone(self);
        let mut frame = Frame::new(owner, request, number(frames.len()));
        frame.rank = frames.first().map_or(0, |frame| frame.rank);
        pool_ipc::tell!(Trace, "{} tasks in one frame for {:?}", frames.len(), link.id());
        let mut place = self.place.lock();
        let posted = match *place {
            Place::Loading { left: false } => link.post(frame),
            _ => {
                *place = Place::GivenUp;
                return Sending::Broken;
            }
        };
        match posted {
            Ok(ticket) => {
                *place = Place::Posted { link: Arc::clone(link), ticket };
                Sending::Posted
            }
            Err(refused) => {
                *place = Place::GivenUp;
                Sending::Refused(refused.why)
            }
        }
    }

    /// Has a member back, if it has not begun.
    pub(super) fn recall(&self, item: u32) -> Returned {
        let mut place = self.place.lock();
        match &mut *place {
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
        let place = self.place.lock();
        matches!(&*place, Place::Posted { link, ticket } if link.is_running(*ticket, item))
    }

    /// The future of an item.
    ///
    /// # Panics
    /// There is no such item.
    pub(crate) fn future(&self, item: u32) -> &Shared {
        &self.members[item as usize].shared
    }

    fn leave(&self) {
        *self.place.lock() = Place::Loading { left: true };
    }

    fn member(&self, item: u32) -> Option<&Member> {
        self.members.get(item as usize)
    }
}

/// Whose an item is, and its number there.
pub(crate) fn addressee(owner: Owner, item: u32) -> (Owner, u32) {
    match owner.downcast_ref::<Pack>().and_then(|pack| pack.member(item)) {
        Some(member) => (Arc::<Shared>::clone(&member.shared), 0),
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
        let member = pack.member(item).filter(|member| !member.shared.is_done())?;
        let request = unpack(frame.payload.as_slice(), item, &mut cursor)?;
        let owner: Owner = Arc::<Shared>::clone(&member.shared);
        Some(Frame { rank: member.rank, ..Frame::new(owner, request.to_vec(), 1) })
    };
    frame.window.clone().filter_map(single).collect()
}
