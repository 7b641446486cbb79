//! Every case, in the order in which they run.

mod ping_pong;
mod single_submits;
mod map;
mod echo;
mod echo_shared;
mod broadcast;
mod start;
pub(crate) mod pending;
mod scale;
pub(crate) mod idle;
mod memory;
mod completion;

use crate::case::Case;

/// What can be measured.
pub(crate) const ALL: &[Case] = &[
    ping_pong::PING_PONG,
    ping_pong::PING_PONG_HOT,
    single_submits::SINGLE_SUBMITS,
    single_submits::SUBMIT_FROM_8_THREADS,
    map::AUTO,
    map::SKEWED,
    map::OF_5_MS,
    echo::ECHO_1_MIB,
    echo::ECHO_64_MIB,
    echo_shared::ECHO_SHARED,
    broadcast::BROADCAST_64_MIB,
    start::TWO,
    start::BIG_PARENT,
    pending::PENDING,
    scale::MANY_WORKERS,
    scale::SIXTEEN_ON_TWO,
    idle::IDLE,
    memory::WORKER_MEMORY,
    completion::CALLBACKS,
    completion::WAIT_100K,
];
