//! Listening to a future's end: to be taken on while there is none, to leave, to be called.
//!
//! Keeps true: to look for an outcome and to be put on the list are one step under the future's lock, so that whoever is
//! on the list is called. Never calls or drops a listener under that lock.

use std::sync::Arc;
use std::task::Waker;

use crate::future::desk::{Callback, guard, run_callback};
use crate::future::listeners::{Listener, WakerKey};
use crate::future::state::{Settled, Shared};
use crate::future::watch::Watch;

/// Whether a listener was taken on.
#[must_use]
pub(super) enum Listening<L> {
    /// It will be called.
    Listening,
    /// The future is done, and will not call it.
    Done(L),
}

/// Futures that are done, and in which threads sleep that have not been woken yet. They are when this is dropped, and not
/// each at once: a thread that reads one result after the other would be woken for every one.
#[derive(Default)]
pub(crate) struct Sleepers(Vec<Arc<Shared>>);

impl Drop for Sleepers {
    fn drop(&mut self) {
        self.0.iter().for_each(|shared| shared.done.notify_all());
    }
}

impl Shared {
    /// Wakes all who wait, calls those who listen, and hands out the callbacks.
    pub(super) fn announce(&self, settled: Settled) -> Vec<Callback> {
        self.wake_waiters();
        self.call_listeners(settled)
    }

    /// Wakes those who wait for the outcome, which is there.
    pub(crate) fn wake_waiters(&self) {
        self.done.notify_all();
    }

    /// The same, but for threads that sleep in the future: those are woken later.
    pub(super) fn announce_with(self: &Arc<Self>, settled: Settled, sleepers: &mut Sleepers) -> Vec<Callback> {
        if self.done.is_awaited() {
            sleepers.0.push(Arc::clone(self));
        }
        self.call_listeners(settled)
    }

    /// Calls those who listen, and hands out the callbacks.
    pub(super) fn call_listeners(&self, settled: Settled) -> Vec<Callback> {
        let mut callbacks = Vec::new();
        let failed = settled.failed;
        let Some(listeners) = settled.listeners else { return callbacks };
        for listener in listeners {
            match listener {
                Listener::Callback(callback) => callbacks.push(callback),
                Listener::Waker(_, waker) => guard("a waker", || waker.wake()),
                Listener::Watch(watch, number) => watch.report(number, failed),
            }
        }
        callbacks
    }

    /// Adds a callback, which comes back if the future is done.
    pub(super) fn add_callback(&self, callback: Callback) -> Listening<Callback> {
        let mut state = self.state.lock();
        if state.is_done() {
            return Listening::Done(callback);
        }
        state.listeners().push(Listener::Callback(callback));
        drop(state);
        self.attend();
        Listening::Listening
    }

    /// Has callbacks run: on the desk's thread, or here where there is none.
    pub(super) fn hand_over(&self, callbacks: Vec<Callback>) {
        if callbacks.is_empty() {
            return;
        }
        let back = match self.desk().upgrade() {
            Some(desk) => desk.run_soon(callbacks).err(),
            None => Some(callbacks),
        };
        back.into_iter().flatten().for_each(run_callback);
    }

    /// Registers the waker of the handle that holds this key, in place of the one before.
    pub(super) fn set_waker(&self, key: &mut Option<WakerKey>, waker: &Waker) -> Listening<()> {
        {
            let mut state = self.state.lock();
            if state.is_done() {
                return Listening::Done(());
            }
            let listeners = state.listeners_there();
            if key.zip(listeners).is_some_and(|(key, listeners)| listeners.has_waker(key, waker)) {
                return Listening::Listening;
            }
        }
        // To clone a waker is to call code that is not ours, so it happens between two visits to the lock.
        let own = waker.clone();
        let mut state = self.state.lock();
        if state.is_done() {
            drop(state);
            return Listening::Done(());
        }
        let (new_key, old) = state.listeners().set_waker(*key, own);
        drop(state);
        drop(old);
        *key = Some(new_key);
        self.attend();
        Listening::Listening
    }

    pub(super) fn remove_waker(&self, key: WakerKey) {
        let removed = self.state.lock().listeners_there().and_then(|listeners| listeners.remove_waker(key));
        drop(removed);
    }

    /// Has the watch hear of the end, under this number.
    pub(super) fn add_watch(&self, watch: &Arc<Watch>, number: usize) -> Listening<()> {
        let mut state = self.state.lock();
        if state.is_done() {
            return Listening::Done(());
        }
        state.listeners().push(Listener::Watch(Arc::clone(watch), number));
        Listening::Listening
    }

    pub(super) fn remove_watch(&self, watch: &Arc<Watch>) {
        let removed = self.state.lock().listeners_there().and_then(|listeners| listeners.remove_watch(watch));
        drop(removed);
    }

    #[cfg(test)]
    pub(super) fn has_no_listener(&self) -> bool {
        self.state.lock().listeners_there().is_none_or(|listeners| listeners.is_empty())
    }
}
