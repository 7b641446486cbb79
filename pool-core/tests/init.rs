//! What becomes of a program whose workers cannot become workers: advice and an end, and no process that starts others.
//!
//! One test only. With the hook turned off the worker runs this very program's `main`, which is the test harness, which
//! runs this test again, which makes a pool: the beginning of a fork bomb, were that not refused.

use std::time::Duration;

use pool_core::{Broken, IpcChannel, ProcessPoolExecutor, StartFailure, TaskError};

/// Long enough for a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

#[test]
fn without_hook_and_init_a_pool_is_broken_and_says_what_to_do() {
    // The workers of both end where they come to make the first of them.
    for builder in [ProcessPoolExecutor::builder(), ProcessPoolExecutor::builder().backend(IpcChannel::new())] {
        let pool = builder.max_workers(1).worker_env("POOL_CORE_NO_HOOK", "1").build().unwrap();
        let future = pool.submit(u32::pow, (2, 8)).unwrap();
        let Err(TaskError::Broken(broken)) = future.result_timeout(WATCHDOG) else { panic!("{future:?}") };
        let Broken::Start(failure) = &*broken else { panic!("{broken}") };
        assert!(matches!(**failure, StartFailure::NoInit { .. }), "{failure}");
        assert!(failure.to_string().contains("pool_core::init() first"), "{failure}");
    }
}
