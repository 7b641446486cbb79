//! What a worker writes to stderr: it goes where the program's goes, or through the pool, which keeps the end of it.
//!
//! What holds: a pool that keeps it has one thread for that, however many workers there are. That thread reads, keeps and
//! passes on, in this order and a piece at a time; so a program whose stderr takes nothing makes those wait who write
//! there, as an inherited stderr does, and nobody else. What a worker writes costs bounded memory, whatever it is. What
//! never happens here: a wait of the one who asks for last lines.

#[cfg(all(target_os = "linux", not(pool_portable)))]
mod ear;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod repeater;
#[cfg(all(target_os = "linux", not(pool_portable)))]
mod tail;

#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::ear::Ear;
#[cfg(all(target_os = "linux", not(pool_portable)))]
pub(crate) use self::repeater::Repeater;

/// What becomes of what workers write to stderr.
///
/// `Kept` lets errors say what a worker said last, such as `free(): invalid pointer` or a decoder's own message. It is not
/// the default because workers notice it: their stderr is a pipe then, and no terminal (programs that ask for that drop
/// their colours).
///
/// - Everything is passed on to this program's stderr, byte by byte as it was written. It comes out a line at a time,
///   so that lines of several workers do not run into each other; a line that does not end comes out when it is 8 KiB
///   long, or with the worker's end. It may come out a moment after the result of the task that wrote it. When the pool has
///   ended, all of it is out; a program that is killed takes with it what it has not passed on.
/// - Where this program's stderr takes nothing for a while, workers that write to theirs wait for that once their pipe is
///   full, as they do with an inherited one. The pool does not. Its end waits for a second; what a worker leaves that
///   ends meanwhile is passed on later, up to 4 MiB.
/// - What a worker left behind in a process group of its own (`setsid`), and that still writes there when the worker has
///   ended, writes to a closed pipe: that is SIGPIPE, unless it is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerStderr {
    /// It is this program's own.
    #[default]
    Inherit,
    /// It goes through the pool, which passes it on and keeps the last lines of each worker.
    Kept {
        /// How many lines at most, of 8 KiB together.
        lines: usize,
    },
}
