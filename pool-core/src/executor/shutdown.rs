//! How a pool is to be shut down.

/// Options of [`ProcessPoolExecutor::shutdown_with`](crate::ProcessPoolExecutor::shutdown_with).
///
/// ```
/// use pool_core::{ProcessPoolExecutor, Shutdown};
///
/// let pool = ProcessPoolExecutor::new(1)?;
/// pool.shutdown_with(Shutdown::new().no_wait().cancel_pending());
/// # Ok::<(), pool_core::PoolError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    pub(super) no_wait: bool,
    pub(super) cancel_pending: bool,
}

impl Shutdown {
    /// Runs what was submitted, and waits for it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns at once. The tasks still run; the end of the program waits for them.
    #[must_use]
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    /// Cancels what has not begun.
    #[must_use]
    pub fn cancel_pending(mut self) -> Self {
        self.cancel_pending = true;
        self
    }
}
