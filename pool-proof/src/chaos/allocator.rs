//! Has the C library give memory back at once, so that what is resident tells what is in use, and a leak from what an
//! allocator keeps for later.
//!
//! It reads how to do so at its very start, hence the program becomes itself once more, with variables set. Workers are
//! started without those.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What is set: one arena for all threads, and memory of its own for whatever is not small.
const VARIABLES: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

/// Returns once the variables are set, in this process or in the one that it becomes.
///
/// # Errors
/// It cannot become itself.
pub(super) fn make_frugal() -> Result<(), String> {
    if VARIABLES.iter().all(|(name, value)| std::env::var(name).as_deref() == Ok(value)) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).envs(VARIABLES).exec();
    Err(format!("this program cannot be started again: {error}"))
}

/// What workers are to be started without.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VARIABLES.into_iter().map(|(name, _)| name)
}
