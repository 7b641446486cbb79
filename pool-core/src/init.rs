//! How a process that was started as a worker becomes one: by `init()` in its `main`, or before `main` by a hook.
//!
//! Keeps true: a worker runs its tasks and then exits, and never runs the program's own `main`, or anything of it beyond
//! `init()`; a process that waits to be a worker and is asked for a pool instead says so and ends, since it would start
//! workers that start workers. Never: does anything in a program that nobody started as a worker, beyond looking.

cfg_select! {
    all(
        target_os = "linux",
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64"),
        not(miri),
        not(pool_portable)
    ) => {
        mod hook;
        mod takeover;
    }
    _ => {
        #[path = "init/portable.rs"]
        mod takeover;
    }
}

pub(crate) use takeover::{keep_hook, refuse_in_worker};

/// Turns this process into a worker if a pool started it as one, and then never returns. Else it returns at once.
///
/// Make it the first line of `main`. Workers are this very program, started again: what `main` did before this call
/// every worker does too, and what it does afterwards no worker has seen. So set a logger or a static that tasks need in
/// the pool's initializer, and not in `main`.
///
/// ```
/// // The first line of main:
/// pool_core::init();
/// // Then arguments, loggers, pools.
/// ```
///
/// Without it workers are taken over before `main` by a hook, so that tests, examples and doctests need no such line. The
/// hook works where a program's constructors are run at its start; it is turned off by the variable
/// `POOL_CORE_NO_HOOK=1`. A worker that finds neither runs `main` until that makes a pool or starts a
/// [`Process`](crate::Process); there it exits with code 3, and the pool is broken. Its futures say that `main` has to call
/// `init` first ([`StartFailure::NoInit`](crate::StartFailure::NoInit)), and so does a line on stderr, one for a pool. A
/// `Process` that is in that place writes such a line, and exits with code 3, at the end of `main`, too. With `init` workers
/// have what Rust sets up for `main`, such as the message of a stack overflow.
///
/// It counts on the main thread only. On another one, such as that of a test, it does nothing.
pub fn init() {
    takeover::init();
}

#[cfg(all(
    test,
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(miri),
    not(pool_portable)
))]
mod tests;
