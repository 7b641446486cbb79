//! Moves frames between two processes and reports exits. Knows nothing of tasks or futures.
//!
//! Read in the order of the modules below.

#[cfg(test)]
mod fuzzing;
mod telling;
mod backend;
mod command;
mod exit;
mod postmortem;
mod cgroup;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod groups;
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
#[path = "groups/portable.rs"]
mod groups;
mod harmless;
mod clock;
mod spare;
mod open_memory;
mod shared_value;
mod body;
mod frame;
mod terms;
mod look;
mod fence;
mod fixed;
mod preemption;
mod spin;
mod stderr;
mod slot;
mod outcomes;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod shelf;
mod in_process;
mod process;
mod soft_stop;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod memfd;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod control;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod passport;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod high_fd;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod standard_fds;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod readiness;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod signals;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod watcher;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod arrival;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod job_control;
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
#[path = "job_control/portable.rs"]
mod job_control;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod exit_record;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod oom;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod memory;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod child;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod launch;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod child_process;
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
#[path = "child_process/portable.rs"]
mod child_process;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod futex;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod hub;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod shared_memory;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod ipc_channel;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod entry;
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
mod unsupported;
#[cfg(loom)]
pub mod model;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;

#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use arrival::{Takeover, awaiting, awaits_one_function, depth, set_init_called};
pub use backend::{
    Abilities, Backend, Corrupt, FarEnd, HELLO_TIMEOUT, Hub, Job, Link, LinkEvent, LinkId, Load, MAX_SAID, OpenError,
    Refused, RefusedWhy, Share, StartError, StartOrder, Ticket,
};
pub use body::{Accompanied, Body, FrozenMemory, FrozenSlice, Inset, LARGE, SmallBytes};
pub use cgroup::{Cgroup, CgroupError};
pub use child_process::{ParentHandle, ProcessHandle, ProcessOptions};
pub use command::{CommandError, WorkerCommand};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use entry::{ChildProcess, Entry, enter};
pub use exit::{ExitCause, signal_name};
pub use fixed::{FixedEnd, FixedItems, FixedOutcome, FixedRun};
pub use frame::{Frame, Lost, MAX_ITEMS, Outcome, Owner, Undelivered};
pub use groups::Groups;
pub use harmless::harmless;
pub use in_process::{Fault, FaultPlan, InProcess};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use ipc_channel::IpcChannel;
pub use job_control::{in_real_time, in_running_time, running_now};
pub use open_memory::OpenMemory;
pub use outcomes::{Outcomes, Values};
pub use postmortem::{Killer, Postmortem, Size};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use process::exit_at_once;
pub use process::{
    at_exit, end_if_forked_since, fork_generation, is_fork_since, main_thread_id, native_thread_id, on_main_thread,
};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use readiness::wait_readable;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use shared_memory::SharedMemory;
pub use shared_value::{SharedValue, SharedValues};
pub use soft_stop::{forget_soft_stop, heed_soft_stop, is_soft_stop_heeded};
pub use stderr::WorkerStderr;
#[doc(hidden)]
pub use telling::{discard, survive};
pub use terms::{Assignment, Running, Terms};
#[cfg(not(all(target_os = "linux", not(pool_portable))))]
pub use unsupported::{
    ChildProcess, Entry, IpcChannel, SharedMemory, Takeover, awaiting, depth, end_own_group, enter, set_init_called,
};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use watcher::end_own_group;
