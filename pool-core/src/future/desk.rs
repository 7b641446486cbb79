//! Where done callbacks run.
//!
//! Keeps true: a callback runs once, outside every lock, and a panic of it is logged and goes no further. Never decides
//! when a callback is due: that is `state`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::time::Instant;

use pool_ipc::Owner;

use crate::future::state::{NoOutcome, Recall};

/// A done callback, with the future that it is about inside.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// A future's way to the thread that runs its callbacks.
///
/// A future holds its desk weakly and asks it for the length of one call, outside of its own lock. The desk's last owner
/// may let go of it during such a call, so that it is dropped on the caller's thread.
pub(crate) trait Desk: Send + Sync {
    /// Has the callbacks run on the desk's own thread, in this order and after all that it was given before.
    ///
    /// # Errors
    /// That thread takes no more; the callbacks come back.
    fn run_soon(&self, callbacks: Vec<Callback>) -> Result<(), Vec<Callback>>;

    /// Whether the calling thread is the one that runs callbacks and completes futures.
    fn is_current_thread(&self) -> bool;

    /// Brings outcomes itself, until one is there or the deadline has passed, if that is the quickest way for a caller who
    /// waits. Who has no outcome afterwards waits for it.
    fn take_turns(&self, is_done: &dyn Fn() -> bool, deadline: Option<Instant>) {
        let _ = (is_done, deadline);
    }

    /// Hears that somebody looks at a future of this desk, and does not take turns: outcomes are to come without that.
    fn attend(&self) {}

    /// Whether this process is a fork of the desk's: then nobody brings anything, and links are not to be touched.
    fn is_foreign(&self) -> bool {
        false
    }

    /// Has frames taken back from links by somebody who cancels. Nobody else sees those until they are given here.
    fn recall(&self, take_back: &mut dyn FnMut() -> Vec<Recall>) {
        drop(take_back());
    }

    /// Hears that a task was cancelled which may have waited for its next attempt.
    fn withdrawn(&self) {}

    /// Hears that a task is to be stopped wherever it is.
    fn kill(&self, owner: Owner) {
        let _ = owner;
    }
}

/// Says so to the desk, where there is one.
pub(super) fn attend(desk: Option<&dyn Desk>) {
    if let Some(desk) = desk {
        desk.attend();
    }
}

/// Why the calling thread would wait for ever for what comes from there.
pub(super) fn never_from(desk: &dyn Desk) -> Option<NoOutcome> {
    match desk.is_current_thread() {
        _ if desk.is_foreign() => Some(NoOutcome::Forked),
        true => Some(NoOutcome::WouldDeadlock),
        false => None,
    }
}

/// The desk of a future that has none.
pub(super) fn no_desk() -> Weak<dyn Desk> {
    Weak::<Nobody>::new()
}

/// Runs one callback. Its panic is logged.
pub(crate) fn run_callback(callback: Callback) {
    guard("a done callback", callback);
}

/// Calls code that is not ours from where a panic would harm others.
pub(super) fn guard(what: &str, call: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(call)) else { return };
    pool_ipc::tell!(Error, "{what} panicked: {}", panic_text(&*payload));
    pool_ipc::discard(payload);
}

/// What a panic said, where it said it in words.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a value that is no text")
}

enum Nobody {}

impl Desk for Nobody {
    fn run_soon(&self, _: Vec<Callback>) -> Result<(), Vec<Callback>> {
        match *self {}
    }

    fn is_current_thread(&self) -> bool {
        match *self {}
    }
}
