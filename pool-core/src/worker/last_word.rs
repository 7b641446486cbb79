//! The reply of a call whose panic ends the process: written by the panic hook, before the abort.
//!
//! Compiled only where panics abort. Keeps true: the job is lent to the hook of its own thread only, and only while the
//! call runs, when nobody else uses it. Never: returns to the call; whoever published a last word is aborted next.

use std::cell::Cell;

use pool_ipc::Job;

use crate::wire::{Failure, PanicReport, write_failure};

thread_local! {
    /// The job of the call that this thread runs.
    static LENT: Cell<Option<*mut dyn Job>> = const { Cell::new(None) };
}

/// Runs `call` on the job's request, while the hook may publish what it panics with.
pub(super) fn lend<R>(job: &mut dyn Job, call: impl FnOnce(&[u8]) -> R) -> R {
    let job: *mut (dyn Job + '_) = job;
    // SAFETY: only the lifetime changes. The pointer is forgotten below, before the job's own lifetime can end: `call`
    // either returns or panics, and a panic ends the process.
    let job = unsafe { std::mem::transmute::<*mut (dyn Job + '_), *mut (dyn Job + 'static)>(job) };
    LENT.set(Some(job));
    // SAFETY: `job` is borrowed for this function, and used through this pointer alone. The request is read by `call`
    // until it returns or panics; `publish` is called after that.
    let value = call(unsafe { (*job).request() });
    LENT.set(None);
    value
}

/// Publishes the panic, and says whether there was a call on this thread.
pub(super) fn publish(report: PanicReport) -> bool {
    let Some(job) = LENT.take() else { return false };
    let mut reply = Vec::new();
    write_failure(&mut reply, &Failure::Panicked(report));
    // SAFETY: the pointer was put there by `lend`, further down on this very thread's stack, and has been taken, so that
    // it is used once. What `lend` lent of the job before is not read again: the process is aborted after the hook.
    unsafe { (*job).publish(&reply) };
    true
}
