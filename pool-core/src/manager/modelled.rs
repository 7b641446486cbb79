//! The hand-over of the manager's turns as the model checker sees it: the real orders and flags, about a mind that counts.
//!
//! Exists under `--cfg loom` alone, for the test `loom`. What a turn does is the model's own.

#![expect(missing_docs, reason = "documented where the same is done by the pool")]

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::future::Callback;
use crate::manager::orders::leaving::{Borrowed, ENDLESS};
use crate::manager::orders::{self, Job, Orders};
use crate::sync;

pub use crate::sync::loads::{Loads, choose as choose_loads};

/// What takes turns, here.
#[derive(Default)]
pub struct Mind {
    pub turns: u32,
    callbacks: Vec<Callback>,
}

impl orders::Mind for Mind {
    fn is_over(&self) -> bool {
        false
    }

    fn callbacks(&mut self) -> &mut Vec<Callback> {
        &mut self.callbacks
    }
}

/// When the manager that stands by has its mind back though nobody calls.
#[derive(Clone, Copy, Debug)]
pub enum Lease {
    /// Never: who needs it has to call.
    Endless,
    /// As soon as nobody else has it.
    Over,
}

/// Whose turn it is.
pub struct Turns(Orders<Mind>);

impl Turns {
    pub fn new(lease: Lease) -> Self {
        let orders = Orders::default();
        orders.lease_for(match lease {
            Lease::Endless => ENDLESS,
            Lease::Over => Duration::ZERO,
        });
        Self(orders)
    }

    /// # Errors
    /// The mind.
    pub fn leave(&self, mind: Box<Mind>, is_quiet: impl FnOnce() -> bool) -> Result<(), Box<Mind>> {
        self.0.leave(mind, |_| is_quiet())
    }

    pub fn stand_by(&self) -> Box<Mind> {
        self.0.stand_by()
    }

    pub fn borrow(&self, may: impl FnOnce() -> bool) -> Option<Loan<'_>> {
        self.0.borrow(|_| may()).map(Loan)
    }

    pub fn call(&self) {
        self.0.call();
    }

    pub fn lend(&self, mind: Box<Mind>) {
        self.0.lend(mind);
    }

    /// As the feeder, which is given no orders here: a turn, or none any more.
    pub fn next(&self) -> Option<Box<Mind>> {
        match self.0.next()? {
            Job::Turn(mind) => Some(mind),
            Job::Order(_) => None,
        }
    }

    pub fn give_back(&self, mind: Box<Mind>) {
        self.0.give_back(mind);
    }

    pub fn recall(&self, rouse: impl FnOnce()) -> Box<Mind> {
        self.0.recall(rouse)
    }

    pub fn stop(&self) {
        self.0.stop();
    }
}

/// The mind in the hands of a caller.
pub struct Loan<'a>(Borrowed<'a, Mind>);

impl Loan<'_> {
    pub fn leave(self, is_quiet: impl FnOnce() -> bool) {
        self.0.leave(|_| is_quiet());
    }
}

impl Deref for Loan<'_> {
    type Target = Mind;

    fn deref(&self) -> &Mind {
        &self.0
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut Mind {
        &mut self.0
    }
}

/// A flag that faces another one.
#[derive(Default)]
pub struct Flag(sync::Flag);

impl Flag {
    pub fn is_raised(&self) -> bool {
        self.0.is_raised()
    }

    pub fn raise(&self) -> bool {
        self.0.raise()
    }

    pub fn set(&self, is_raised: bool) {
        self.0.set(is_raised);
    }
}
