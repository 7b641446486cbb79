//! How much memory workers may have: the builder's options about that.
//!
//! Keeps true: a limit that cannot be kept is refused when the pool is made. Decides nothing about a running pool.

use std::sync::Arc;

use pool_ipc::{Cgroup, Groups};

use crate::error::PoolError;
use crate::executor::Builder;
use crate::manager::Staffing;

impl Builder {
    /// A worker that has more memory than this after a task, in bytes, makes room for a new one: for tasks that leak. More
    /// than 0.
    ///
    /// What counts is what the worker has in RAM, shared libraries and the program itself included, but no shared memory, in
    /// which large arguments and results and what the pool shares with its workers lie. It is looked at after a task, at
    /// most ten times a second for each worker; while it is being replaced the worker works on. No task fails by it, and
    /// none is run again. A limit below what a fresh worker has costs a new worker for almost each task.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().soft_memory_limit(512 << 20).build()?;
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Workers that are threads ([`InProcess`](crate::InProcess)) have no memory of their own to look at: with such a
    /// backend [`build`](Self::build) refuses the option.
    pub fn soft_memory_limit(mut self, bytes: u64) -> Self {
        self.staff.soft_memory = Some(bytes);
        self
    }

    /// A worker gets no more private memory than this, in bytes, from before its initializer on; and no process that it
    /// starts does. More than 0. By default workers may have what this process may.
    ///
    /// What counts is the heap, the stacks of threads (2 MiB each, in Rust), and other memory that can be written and is not
    /// shared, whether it is in RAM or not; the system calls it `RLIMIT_DATA`. Arguments and results on their way do not
    /// count. Native code gets a null pointer when there is no more, and Rust aborts, unless it asks by
    /// [`try_reserve`](Vec::try_reserve) and the like. Then that task fails with
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), which says "probably out of memory", or "perhaps" where it had
    /// less than half of it or that is not known, with what the worker had and might have had, and nobody else does. A limit that is too small for a worker to come up breaks the pool, with
    /// [`StartFailure::EndedUnderLimit`](crate::StartFailure::EndedUnderLimit).
    ///
    /// ```
    /// use pool_core::{ProcessPoolExecutor, TaskError};
    ///
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).memory_limit(256 << 20).build()?;
    /// let hungry = pool.submit(|| vec![1_u8; 1 << 30].len(), ())?;
    /// let Err(TaskError::WorkerDied(died)) = hungry.result() else { panic!("{hungry:?}") };
    /// assert_eq!(died.postmortem.memory_limit, Some(256 << 20));
    /// assert!(died.to_string().ends_with("limit 256 MiB"), "{died}");
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A backend whose workers are threads cannot do that, and [`build`](Self::build) says so.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.staff.memory_limit = Some(bytes);
        self
    }

    /// Each worker gets a control group of its own (version 2, of Linux), with these limits for the worker and all that it
    /// starts together. By default workers are in this process's.
    ///
    /// When a worker ends, in whatever way, all that it has started ends with it, also what has left its process group, and
    /// its group is removed. Kernels before 5.14 cannot end a group, and keep to the limits alone. A worker that is killed
    /// by the kernel's OOM killer, which is what [`memory_max`](Cgroup::memory_max) amounts to, fails its task with a
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied) that says so.
    ///
    /// The group is entered after the worker was started and before it runs anything of this library: what `main` starts
    /// before [`init`](crate::init) stays outside.
    ///
    /// ```no_run
    /// use pool_core::{Cgroup, ProcessPoolExecutor};
    ///
    /// let cgroup = Cgroup::at("/sys/fs/cgroup/pool.slice").memory_max(512 << 20).pids_max(64);
    /// let pool = ProcessPoolExecutor::builder().cgroup(cgroup).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Where no such group can be made, [`build`](Self::build) says so, with the path: see [`Cgroup::own`] and
    /// [`Cgroup::at`].
    pub fn cgroup(mut self, cgroup: Cgroup) -> Self {
        self.cgroup = Some(cgroup);
        self
    }
}

/// Makes the place where workers have their groups.
pub(super) fn open_cgroup(cgroup: &Cgroup) -> Result<Arc<Groups>, PoolError> {
    if cgroup.memory_max == Some(0) {
        return Err(PoolError::Option { name: "the memory_max of cgroup", allowed: "more than 0" });
    }
    if cgroup.pids_max == Some(0) {
        return Err(PoolError::Option { name: "the pids_max of cgroup", allowed: "at least 1" });
    }
    cgroup.open().map_err(PoolError::Cgroup)
}

/// The limits that only processes can have.
pub(super) fn refuse_for_threads(staffing: &Staffing, cgroup: Option<&Cgroup>) -> Result<(), PoolError> {
    let refused = |name| Err(PoolError::Option { name, allowed: "left out where workers are threads" });
    match (staffing.memory_limit, staffing.soft_memory, cgroup) {
        (Some(_), ..) => refused("memory_limit"),
        (None, Some(_), _) => refused("soft_memory_limit"),
        (None, None, Some(_)) => refused("cgroup"),
        (None, None, None) => Ok(()),
    }
}
