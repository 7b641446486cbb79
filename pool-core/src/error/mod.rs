//! Every way in which something here can fail, one type an operation.
//!
//! A [`TaskError`] is what a future holds instead of a value. It is cheap to clone, crosses threads, and names what it is
//! about: the task, the worker's pid, the size. It never stands for two things that a caller would treat differently.

mod attempts;
mod codec;
mod forced;
mod last_lines;
mod loss;
mod pool;
mod remote;
mod sharing;
mod stopped;
mod tamed;
mod task;

pub use self::attempts::Exhausted;
pub(crate) use self::attempts::{Causes, is_death};
pub(crate) use self::codec::Reason;
pub use self::codec::{CodecError, Coded};
pub use self::forced::{ForcedBy, ForcedShutdown};
pub use self::loss::{Loss, LossTime};
pub use self::pool::{Broken, PoolError, StartFailure, SubmitError};
pub use self::remote::RemoteError;
pub use self::sharing::{SharedBufferError, SharedBytesError};
pub(crate) use self::stopped::StoppedWorker;
pub(crate) use self::tamed::{escaped, tamed};
pub(crate) use self::task::refused;
pub use self::task::{Killed, NoMemory, NotFound, Panic, TaskError, TimeLimit, TimedOut, WaitTimedOut, WorkerDied};
