//! A pool of worker processes, with futures, done callbacks and named threads, after Python's `concurrent.futures` and
//! `multiprocessing`.
//!
//! A task runs in a process of its own kind: it may crash, leak, exit or be killed, and that fails its own future, with
//! the reason, and nothing else.
//!
//! ```
//! use pool_core::{ProcessPoolExecutor, TaskError};
//!
//! fn reciprocal(number: u32) -> f64 {
//!     if number == 0 {
//!         std::process::abort();
//!     }
//!     1.0 / f64::from(number)
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     pool_core::init();
//!     let pool = ProcessPoolExecutor::new(2)?;
//!     assert_eq!(pool.submit(reciprocal, (2,))?.result()?, 0.5);
//!
//!     let results: Vec<_> = pool.map(reciprocal, [4, 0, 8])?.collect();
//!     assert!(matches!(results[0], Ok(0.25)));
//!     assert!(matches!(results[1], Err(TaskError::WorkerDied(_))));
//!     assert!(matches!(results[2], Ok(0.125)));
//!     Ok(())
//! }
//! ```
//!
//! Start at [`ProcessPoolExecutor`] for tasks, at [`Process`] for one process that runs one function, at [`thread`] for
//! threads that have names. [`init`] is the first line of `main`.
//!
//! # How a task flows
//!
//! Boxes are types, arrows are variants. Nothing flows backwards, and nobody skips a step: the executor never sees a
//! worker, a worker never sees a future, a future never sees why it has to wait.
//!
//! ```text
//!  any thread of the caller            the pool's own two threads                       a worker
//!  ------------------------            --------------------------                       --------
//!  ProcessPoolExecutor::submit
//!    | the arguments become a Frame, its owner the Future (map: a Batch)
//!    v
//!  Pool ---- an idle Link, nothing waits ------------------- Link::post --------------> slot
//!    |                                                                                    |
//!    +-- else --> Backlog ----> feeder "QueueFeederThread" --- Link::post ------------> slot
//!    |                            ^         |     |                                       |
//!    |             Order::Start,  |         |     +----------- Hub::start ----------> new worker
//!    |             Order::Feed    |         | Event::Started,                             |
//!    | Event::Submitted,          |         | Event::StartFailed,         worker::run "MainThread"
//!    | Withdrawn, Recalled,       |         v Event::Fed, Burdened, ...   claims an item, calls the
//!    | ShutDown                  Manager "Thread-1"                       task, publishes the outcome
//!    +------------------------>   Event --> State::step --> Action                        |
//!                                 ^   |                                                   |
//!                                 |   | Action::Start, Feed: an Order for the feeder      |
//!                                 |   | Action::Offer: the Link is idle                   |
//!                                 |   | Action::Steal, Recall, Halve, Close, Kill: Links  |
//!                                 |   | Action::Look, Corner, Soften: to what is stopped  |
//!                                 |   | Action::Break, Finish: the end of the pool        |
//!                                 |   |                                                   |
//!                                 |   +--> Future, Batch: result() wakes                  |
//!                                 |   +--> done callbacks, on this thread                 |
//!                                 |                                                       |
//!                                 +-- LinkEvent::Said, Outcome(s), Declined, Ended <-- Hub::wait
//! ```
//!
//! The modules stand in the order in which they build on each other; each uses only those above it.

mod sync;
pub mod thread;

mod error;
mod bytes;
mod sharing;
pub mod task;
mod json;
mod wire;
mod future;
mod worker;
pub mod process;
mod init;
mod manager;
mod executor;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;

#[cfg(loom)]
#[doc(hidden)]
pub use manager::modelled as model;

pub use bytes::Bytes;
pub use error::{
    Broken, CodecError, Coded, Exhausted, ForcedBy, ForcedShutdown, Killed, Loss, LossTime, NoMemory, NotFound, Panic,
    PoolError, RemoteError, SharedBufferError, SharedBytesError, StartFailure, SubmitError, TaskError, TimeLimit,
    TimedOut, WaitTimedOut, WorkerDied,
};
pub use executor::{
    BatchOptions, Builder, Handle, Inputs, Map, OnWorkerLoss, ProcessPoolExecutor, Shutdown, ShutdownReport,
    TaskOptions,
};
pub use future::{
    AsCompleted, Completer, Future, FutureState, InvalidState, RetryPolicy, ReturnWhen, WaitError, Waited,
    as_completed, wait,
};
pub use init::init;
pub use json::Json;
pub use pool_ipc::{
    Backend, Cgroup, CgroupError, CommandError, ExitCause, Fault, FaultPlan, InProcess, IpcChannel, Killer, Postmortem,
    SharedMemory, StartError, WorkerStderr,
};
pub use process::{Process, ProcessError, active_children, cpu_count, current_process, parent_process};
pub use sharing::{SharedBuffer, SharedBytes};
pub use task::{Arguments, CapturesNothing, Initialized, Initializer, Task};

/// The examples of the README, which run as doctests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
