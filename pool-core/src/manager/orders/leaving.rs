//! The mind of a quiet pool: left by the manager to whoever waits for a result, who takes the turns until that is there.
//!
//! So the worker's doorbell wakes the one who waits, and not the manager first. While the mind is left nobody hears workers,
//! and while a caller has it that caller alone does. Keeps true: the manager has it back after a while in which nobody left
//! it anew, and at once when somebody calls for that; a caller that goes, in whatever way, leaves it or hands it over; who
//! leaves it looks, after everybody can see that, whether the pool is quiet still. A manager that stands by has a limit of
//! time only while something goes on, so that an idle pool wakes nobody.

#[cfg(feature = "simulation")]
mod simulated;

use std::mem;
use std::ops::{Deref, DerefMut};
#[cfg(any(test, loom))]
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Mind, Orders, State, Turns};
use crate::sync::{Condvar, Flag, MutexGuard, Wakeup};

/// How long nobody may have to hear workers, as long as nobody looks at what these do: at most twice this.
pub(crate) const LEASE: Duration = Duration::from_millis(1);

/// What those look at who may want the manager back, and what it waits for.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The mind is left, or about to be. Only changed under the lock of the orders.
    is_left: Flag,
    /// For the manager: the mind was handed over, or it is to count the time again.
    back: Condvar,
    /// For tests of what is not to wait for it, and of what is to be right however long that takes: another lease.
    #[cfg(any(test, loom))]
    lease: OnceLock<Duration>,
}

impl Standing {
    fn lease(&self) -> Duration {
        #[cfg(any(test, loom))]
        if let Some(lease) = self.lease.get() {
            return *lease;
        }
        LEASE
    }
}

/// A lease that does not end.
#[cfg(any(test, loom))]
pub(crate) const ENDLESS: Duration = Duration::from_secs(u32::MAX as u64);

/// What a manager that stands by knows of the time in which callers had its mind.
#[derive(Debug, Default)]
pub(crate) struct Vigil {
    /// How many times the mind had been left when it last looked.
    leaves: u64,
    /// Nobody has left it anew for a lease.
    is_over: bool,
}

impl Vigil {
    /// A wait has ended so.
    fn note(&mut self, waited: Wakeup, leaves: u64) {
        self.is_over = waited == Wakeup::TooLate && self.leaves == leaves;
        self.leaves = leaves;
    }
}

/// The mind in the hands of a caller, who is to leave it. Dropped without that it goes to the manager.
pub(crate) struct Borrowed<'a, M: Mind> {
    orders: &'a Orders<M>,
    mind: Option<Box<M>>,
}

impl<M: Mind> Orders<M> {
    /// The manager leaves its mind to callers, or has it back where the pool is not quiet. It is asked that after everybody
    /// can see that the mind is left: what was told before is found there, and who tells something later calls.
    ///
    /// # Errors
    /// The mind.
    pub(crate) fn leave(&self, mind: Box<M>, is_quiet: impl FnOnce(&M) -> bool) -> Result<(), Box<M>> {
        let mut state = self.state.lock();
        self.standing.is_left.set(true);
        if !is_quiet(&mind) {
            self.standing.is_left.set(false);
            return Err(mind);
        }
        state.turns = Turns::Left(mind);
        state.leaves = state.leaves.wrapping_add(1);
        if state.dozes {
            self.standing.back.notify_one();
        }
        Ok(())
    }

    /// The manager, which has left its mind, waits until it has it back.
    #[must_use]
    pub(crate) fn stand_by(&self) -> Box<M> {
        let mut state = self.state.lock();
        let (mut vigil, mut waited) = (Vigil::default(), Wakeup::Look);
        loop {
            vigil.note(waited, state.leaves);
            if let Some(mind) = self.relieve(&mut state, &vigil) {
                return mind;
            }
            waited = self.await_relief(&mut state, &vigil);
        }
    }

    /// The manager has its mind back, if that was handed over, or lies there at the end of the lease.
    fn relieve(&self, state: &mut State<M>, vigil: &Vigil) -> Option<Box<M>> {
        match mem::replace(&mut state.turns, Turns::Kept) {
            Turns::Returned(mind) => return Some(mind),
            Turns::Left(mind) if vigil.is_over => {
                self.standing.is_left.set(false);
                return Some(mind);
            }
            waiting => state.turns = waiting,
        }
        None
    }

    fn await_relief(&self, state: &mut MutexGuard<'_, State<M>>, vigil: &Vigil) -> Wakeup {
        if !vigil.is_over {
            return self.standing.back.wait_until(state, Instant::now() + self.standing.lease());
        }
        // A caller has it, and for long: it says when it is done.
        state.dozes = true;
        self.standing.back.wait(state);
        state.dozes = false;
        Wakeup::Look
    }

    /// A caller has the mind, if that is left and `may` says so.
    pub(crate) fn borrow(&self, may: impl FnOnce(&M) -> bool) -> Option<Borrowed<'_, M>> {
        if !self.standing.is_left.is_raised() {
            return None;
        }
        let mut state = self.state.lock();
        match mem::replace(&mut state.turns, Turns::Borrowed) {
            Turns::Left(mind) if may(&mind) => {
                self.standing.is_left.set(false);
                Some(Borrowed { orders: self, mind: Some(mind) })
            }
            other => {
                state.turns = other;
                None
            }
        }
    }

    /// The manager is to have its mind back, if nobody has that.
    pub(crate) fn call(&self) {
        if !self.standing.is_left.is_raised() {
            return;
        }
        let mut state = self.state.lock();
        match mem::replace(&mut state.turns, Turns::Kept) {
            Turns::Left(mind) => self.return_to_manager(state, mind),
            other => state.turns = other,
        }
    }

    fn return_to_manager(&self, mut state: MutexGuard<'_, State<M>>, mind: Box<M>) {
        self.standing.is_left.set(false);
        state.turns = Turns::Returned(mind);
        self.standing.back.notify_one();
    }
}

impl<M: Mind> Borrowed<'_, M> {
    /// The caller goes: the mind is left if the pool is quiet, as the manager leaves it, and else the manager's again.
    pub(crate) fn leave(mut self, is_quiet: impl FnOnce(&M) -> bool) {
        if let Some(mind) = self.mind.take() {
            self.mind = self.orders.leave(mind, is_quiet).err();
        }
    }
}

impl<M: Mind> Drop for Borrowed<'_, M> {
    fn drop(&mut self) {
        if let Some(mind) = self.mind.take() {
            self.orders.return_to_manager(self.orders.state.lock(), mind);
        }
    }
}

impl<M: Mind> Deref for Borrowed<'_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        self.mind.as_ref().expect(HAS_IT)
    }
}

impl<M: Mind> DerefMut for Borrowed<'_, M> {
    fn deref_mut(&mut self) -> &mut M {
        self.mind.as_mut().expect(HAS_IT)
    }
}

const HAS_IT: &str = "it is only taken by what consumes the loan";

#[cfg(any(test, loom))]
impl<M: Mind> Orders<M> {
    /// Leases last so long. Said once.
    pub(crate) fn lease_for(&self, lease: Duration) {
        self.standing.lease.get_or_init(|| lease);
    }
}

#[cfg(any(test, feature = "simulation"))]
impl<M: Mind> Orders<M> {
    /// Whether nobody has the mind now, and callers may.
    pub(crate) fn is_left(&self) -> bool {
        self.standing.is_left.is_raised()
    }
}

#[cfg(test)]
impl<M: Mind> Orders<M> {
    /// Who needs the manager has to call it from now on.
    pub(crate) fn let_leases_last(&self) {
        self.lease_for(ENDLESS);
    }

    /// How many times the mind was left.
    pub(crate) fn leaves(&self) -> u64 {
        self.state.lock().leaves
    }
}

#[cfg(test)]
mod tests;
