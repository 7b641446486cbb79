//! Faults by plan: which item of which worker dies, stalls, garbles or is not announced. The same seed gives the same
//! faults.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::backend::{Job, LinkId};

/// What goes wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The worker is gone right after it claimed the item.
    DieAfterClaim,
    /// The worker is gone right after it published the outcome.
    DieAfterDone,
    /// The worker claims the item and does nothing more until it is signalled, and then is gone.
    Stall,
    /// The outcome's bytes are replaced by random ones.
    Garble,
    /// The outcome is published and the manager not told.
    LoseDoorbell,
}

/// Which faults happen when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    seed: u64,
    /// One item in so many has the fault.
    random: Vec<(Fault, u64)>,
    /// The item that a worker claims as its so-manieth (from 0) has the fault.
    fixed: Vec<(u64, u64, Fault)>,
}

impl FaultPlan {
    /// No faults yet; random ones will follow from this seed.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, random: Vec::new(), fixed: Vec::new() }
    }

    /// About one in `items` items has the fault.
    ///
    /// # Panics
    /// `items` is 0.
    #[must_use]
    pub fn one_in(mut self, items: u64, fault: Fault) -> Self {
        assert!(items > 0, "one in 0 items cannot have a fault");
        self.random.push((fault, items));
        self
    }

    /// The worker of this link has the fault at the item that it claims as number `claim`, counted from 0.
    #[must_use]
    pub fn at(mut self, link: LinkId, claim: u64, fault: Fault) -> Self {
        self.fixed.push((link.0, claim, fault));
        self
    }

    fn fault(&self, link: LinkId, claim: u64) -> Option<Fault> {
        let fixed = self.fixed.iter().find(|&&(of, at, _)| of == link.0 && at == claim).map(|&(.., fault)| fault);
        fixed.or_else(|| {
            let mut state = mix(self.seed ^ mix(link.0) ^ mix(claim.wrapping_mul(3)));
            self.random.iter().find_map(|&(fault, items)| {
                state = mix(state);
                state.is_multiple_of(items).then_some(fault)
            })
        })
    }
}

/// The payload of the panic that ends a worker by plan. Raised without the panic hook.
#[derive(Debug)]
pub(super) struct Killed;

/// The plan of one worker, and how far it is.
#[derive(Debug)]
pub(super) struct Faults {
    plan: Option<FaultPlan>,
    link: LinkId,
    claims: AtomicU64,
    lose: Mutex<bool>,
    /// Set when stalls are to end.
    released: Mutex<bool>,
    changed: Condvar,
}

impl Faults {
    pub(super) fn new(plan: Option<&FaultPlan>, link: LinkId) -> Self {
        let (claims, lose, released, changed) =
            (AtomicU64::new(0), Mutex::new(false), Mutex::new(false), Condvar::new());
        Self { plan: plan.cloned(), link, claims, lose, released, changed }
    }

    pub(super) fn any(&self) -> bool {
        self.plan.is_some()
    }

    /// Lets a stalled worker go, to its death.
    pub(super) fn release(&self) {
        *self.released.lock() = true;
        self.changed.notify_all();
    }

    pub(super) fn loses_doorbell(&self) -> bool {
        std::mem::take(&mut *self.lose.lock())
    }

    fn next(&self) -> Option<Fault> {
        let claim = self.claims.fetch_add(1, Ordering::Relaxed);
        self.plan.as_ref()?.fault(self.link, claim)
    }

    fn stall(&self) {
        let mut released = self.released.lock();
        while !*released {
            self.changed.wait(&mut released);
        }
    }
}

/// A job whose worker fails as planned.
pub(super) struct FaultyJob<'a> {
    job: &'a mut dyn Job,
    faults: &'a Faults,
    fault: Option<Fault>,
}

impl<'a> FaultyJob<'a> {
    pub(super) fn new(job: &'a mut dyn Job, faults: &'a Faults) -> Self {
        Self { job, faults, fault: None }
    }
}

impl Job for FaultyJob<'_> {
    fn request(&self) -> &[u8] {
        self.job.request()
    }

    fn claim(&mut self) -> Option<u32> {
        let item = self.job.claim()?;
        self.fault = self.faults.next();
        match self.fault {
            Some(Fault::DieAfterClaim) => die(),
            Some(Fault::Stall) => {
                self.faults.stall();
                die()
            }
            _ => Some(item),
        }
    }

    fn publish(&mut self, outcome: &[u8]) {
        match self.fault {
            Some(Fault::Garble) => {
                let mut state = mix(outcome.len() as u64);
                let garbled = outcome.iter().map(|_| {
                    state = mix(state);
                    state as u8
                });
                self.job.publish(&garbled.collect::<Vec<_>>());
            }
            Some(Fault::LoseDoorbell) => {
                *self.faults.lose.lock() = true;
                self.job.publish(outcome);
            }
            Some(Fault::DieAfterDone) => {
                self.job.publish(outcome);
                die()
            }
            _ => self.job.publish(outcome),
        }
    }
}

fn die() -> ! {
    std::panic::resume_unwind(Box::new(Killed))
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
