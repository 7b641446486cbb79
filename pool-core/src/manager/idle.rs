//! Links whose workers have nothing to do, for callers to post to.
//!
//! Keeps true: a link is free once at a time, and one caller at most takes it. The last one in is the first one out: its
//! memory is the warmest.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use pool_ipc::{Link, LinkId};

/// The links that are offered.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    state: Mutex<State>,
    /// How many are free. Changed under the lock, and looked at without.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<Arc<dyn Link>>,
    /// Those in `free`, by name.
    names: HashSet<LinkId, BuildHasherDefault<ByNumber>>,
    /// Those that a caller took and has not posted to yet.
    taking: Vec<(Take, LinkId)>,
    /// How many were taken.
    takes: u64,
}

/// Names what a caller took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Take(u64);

/// Spreads the pool's own numbers, which nobody else chooses: cheaper than what withstands hostile ones.
#[derive(Debug, Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(GOLDEN);
    }
}

impl Idle {
    /// The manager offers a link. Whoever took it before has posted since, as it would not be free else; he may not have come to
    /// say so, and must not stand for the next one. (Where a worker says hello and finishes what it was fed at once, the link is
    /// offered twice, and may be somebody's who has not: then two may post to it, which its next news sets right.)
    pub(crate) fn offer(&self, link: Arc<dyn Link>) {
        let mut state = self.state.lock();
        state.taking.retain(|(_, taking)| *taking != link.id());
        if state.names.insert(link.id()) {
            state.free.push(link);
            self.recount(&state);
        }
    }

    /// A caller takes a link, to post one frame to it. Once it has, or has failed to, [`taken`](Self::taken) says so.
    pub(crate) fn take(&self) -> Option<(Arc<dyn Link>, Take)> {
        let mut state = self.state.lock();
        let link = self.pop(&mut state)?;
        state.takes += 1;
        let take = Take(state.takes);
        state.taking.push((take, link.id()));
        Some((link, take))
    }

    /// The caller has posted, or has given up.
    pub(crate) fn taken(&self, id: LinkId, take: Take) {
        self.state.lock().taking.retain(|taking| *taking != (take, id));
    }

    /// The manager takes a link back.
    pub(crate) fn withdraw(&self) -> Option<Arc<dyn Link>> {
        self.pop(&mut self.state.lock())
    }

    /// The manager takes this link back. False: a caller has it, or nobody.
    pub(crate) fn withdraw_one(&self, id: LinkId) -> bool {
        let mut state = self.state.lock();
        state.free.retain(|link| link.id() != id);
        self.recount(&state);
        state.names.remove(&id)
    }

    /// The link has ended.
    pub(crate) fn forget(&self, id: LinkId) {
        self.withdraw_one(id);
    }

    /// Whether a caller may post to the link, or is about to.
    pub(crate) fn is_offered(&self, id: LinkId) -> bool {
        let state = self.state.lock();
        state.names.contains(&id) || state.taking.iter().any(|(_, taking)| *taking == id)
    }

    /// How many are free, by a look that may be out of date at once.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    fn pop(&self, state: &mut State) -> Option<Arc<dyn Link>> {
        let link = state.free.pop()?;
        state.names.remove(&link.id());
        self.recount(state);
        Some(link)
    }

    fn recount(&self, state: &State) {
        self.count.store(state.free.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::future::fake_link::FakeLink;

    #[test]
    fn who_has_posted_and_not_said_so_does_not_stand_for_the_next_who_takes_the_link() {
        let (idle, link) = (Idle::default(), Arc::new(FakeLink::default()));
        let id = link.id();
        let offer = || idle.offer(Arc::clone(&link) as _);
        offer();
        let (_, first) = idle.take().expect("it is offered");
        assert!(idle.is_offered(id), "he is about to post");
        // He has, and his task is done.
        offer();
        let (_, second) = idle.take().expect("it is offered again");
        idle.taken(id, second);
        assert!(!idle.is_offered(id), "both have posted");
        idle.taken(id, first);
        offer();
        let (_, third) = idle.take().expect("it is offered again");
        idle.taken(id, first);
        assert!(idle.is_offered(id), "nobody speaks for another");
        idle.taken(id, third);
        assert!(!idle.is_offered(id) && idle.len() == 0);
    }
}
