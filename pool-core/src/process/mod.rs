//! Processes that run one function each, as Python's `multiprocessing.Process`.
//!
//! Keeps true: a child is started once, and reaped once it has ended, whoever holds it or does not; it ends with its
//! parent unless it was told to outlive it; at the orderly end of a process its children that are no daemons are waited
//! for, and its daemons are ended. Never: a signal to anybody else's process, a wait in a fork of the program or in a
//! pool's task, or the program's own code under a lock.
//!
//! ```text
//! Process::start --- ProcessBoot, request ---> child::run ---> the function ---> exit
//!   |    ^                                                                        |
//!   |    +---- exitcode, join, sentinel <------------- pidfd --------------------+
//!   +--> children (what runs) <--- at_exit, active_children
//! ```

mod builder;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod child;
mod children;
mod error;
mod handle;
mod identity;
mod look;
mod stage;
mod target;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod unbegun;

#[cfg(all(target_os = "linux", not(pool_portable)))]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(all(target_os = "linux", not(pool_portable)))]
use std::time::Duration;

pub use self::builder::Builder;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::child::run;
pub use self::children::active_children;
pub use self::error::ProcessError;
pub use self::handle::Process;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub use self::handle::Sentinel;
pub(crate) use self::identity::depth;
pub use self::identity::{CurrentProcess, ParentProcess, current_process, parent_process};
pub use self::target::{ExitValue, Target};
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::unbegun::{refuse, watch_end};

/// How many CPUs this process may use, as far as can be told: the affinity mask and the control group's quota count. At
/// least 1.
///
/// ```
/// assert!(pool_core::cpu_count() >= 1);
/// ```
pub fn cpu_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Waits until one of these can be read, or has reached its end, and gives the places of all that are ready. They may be
/// [sentinels](Process::sentinel) of processes, sockets, pipes: anything that has a descriptor. Of different kinds they are
/// given as `&dyn AsFd`.
///
/// Without a timeout it waits for ever. Once a timeout is over the list is empty; a timeout of zero only looks. A wait for
/// nothing lasts as long as its timeout.
///
/// ```
/// use std::io::Write;
/// use std::os::fd::AsFd;
/// use std::time::Duration;
///
/// use pool_core::{Process, process};
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let child = Process::new(|| (), ());
/// child.start()?;
/// writer.write_all(b"x")?;
/// assert_eq!(process::wait(&[&reader], Some(Duration::ZERO))?, [0]);
/// assert_eq!(process::wait(&[&child.sentinel()?], None)?, [0]);
/// let both: [&dyn AsFd; 2] = [&reader, &child.sentinel()?];
/// assert_eq!(process::wait(&both, None)?, [0, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The system has no memory for the wait, or there are more descriptors than a process may have.
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub fn wait<F: AsFd>(descriptors: &[F], timeout: Option<Duration>) -> std::io::Result<Vec<usize>> {
    let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    pool_ipc::wait_readable(&borrowed, timeout)
}
