//! What a pool promises, claim by claim, on every backend: the names carry the numbers of the list of behaviours.
//!
//! `backends` makes the claims' pools, `watchdog` ends what hangs, `gate` holds tasks at a known point, `alone` gives a
//! test a process of its own, and `holdings` counts what a process has. The rest are claims.
#![expect(clippy::unwrap_used, reason = "this is all test code")]

#[macro_use]
mod backends;
mod alone;
mod gate;
mod holdings;
mod watchdog;

mod awaited;
mod bad_input;
mod buffers;
mod cgroups;
mod chaos;
mod deadlock;
mod descriptors;
mod draining;
mod escapes;
mod executor;
mod forced;
mod forks;
mod hostile;
mod hosts;
mod initializer;
mod job_control;
mod limits;
mod loggers;
mod losses;
mod map;
mod memory;
mod memory_limits;
mod nesting;
mod numbers;
mod order;
mod outliving;
mod panics;
mod parent_death;
mod payloads;
mod programs;
mod recycling;
mod refusals;
mod registry;
mod restarts;
mod retries;
mod sharing;
mod shortages;
mod shutdown;
mod slow_callbacks;
mod spinning;
mod stderr;
mod strict;
mod terminal;
mod thread_workers;
mod together;
mod unannounced;
mod workers;
