//! How much memory workers may have: the builder's options about that.
//!
//! Keeps true: a limit that cannot be kept is refused when the pool is made. Decides nothing about a running pool.

use crate::executor::Builder;

impl Builder {
    /// A worker that has more memory than this after a task, in bytes, makes room for a new one: for tasks that leak. More
    /// than 0.
    ///
    /// What counts is what the worker has in RAM, shared libraries and the program itself included. It is looked at after a
    /// task, at most ten times a second for each worker; while it is being replaced the worker works on. No task fails by
    /// it, and none is run again. A limit below what a fresh worker has costs a new worker for almost each task.
    ///
    /// Workers that are threads ([`InProcess`](crate::InProcess)) have no memory of their own, and are not replaced.
    ///
    /// ```
    /// use pool_core::ProcessPoolExecutor;
    ///
    /// let pool = ProcessPoolExecutor::builder().soft_memory_limit(512 << 20).build()?;
    /// assert_eq!(pool.submit(u32::pow, (2, 8))?.result()?, 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), which says "probably out of memory" with what the worker had
    /// and might have had, and nobody else does. A limit that is too small for a worker to come up breaks the pool, with
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
}
