//! A process pool.

pub mod thread;

mod error;
mod bytes;
mod task;
mod json;
mod wire;
mod sync;
mod future;
mod worker;
mod init;
mod manager;
mod executor;

pub use bytes::Bytes;
pub use executor::{BatchOptions, Builder, Handle, Inputs, Map, ProcessPoolExecutor, Shutdown, TaskOptions};
pub use pool_ipc::{Backend, ExitCause, Fault, FaultPlan, InProcess, SharedMemory};
pub use error::{
    Broken, CodecError, Coded, NoMemory, NotFound, Panic, PoolError, RemoteError, StartFailure, SubmitError, TaskError,
    TimedOut, WaitTimedOut, WorkerDied,
};
pub use future::{
    AsCompleted, Completer, Future, FutureState, InvalidState, ReturnWhen, WaitError, Waited, as_completed, wait,
};
pub use init::init;
pub use json::Json;
pub use task::{Arguments, Initialized, Initializer, Task};
