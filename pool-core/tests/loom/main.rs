//! Models of futures, and of the hand-over of the manager's turns: every order of steps that their locks and flags allow, up
//! to the checker's bound.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p pool-core --test loom`. Limits of time are not modelled: a model has no
//! clock. `LOOM_MAX_PREEMPTIONS` sets another bound.
#![cfg(loom)]

mod futures;
mod turns;
