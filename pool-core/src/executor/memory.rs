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
}
