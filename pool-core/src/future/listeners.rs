//! Who wants to hear that a future is done: callbacks, wakers, watches. A plain list, guarded by the future's lock.
//!
//! Never calls any of them, and never drops one: whatever leaves the list is handed out, to be called or dropped once
//! the lock is free.

use std::mem;
use std::sync::Arc;
use std::task::Waker;

use crate::future::desk::Callback;
use crate::future::watch::Watch;

/// The list, in the order of arrival. An empty one owns no memory.
#[derive(Default)]
pub(super) struct Listeners(Vec<Listener>);

/// One who listens. Callbacks stay until the end; the other two may leave before.
pub(super) enum Listener {
    /// Run by whoever completes the future, or on the desk's thread.
    Callback(Callback),
    /// An await of the future handle that holds this key.
    Waker(WakerKey, Waker),
    /// A `wait` or `as_completed` that counts the future under this number.
    Watch(Arc<Watch>, usize),
}

/// Names the waker of one future handle within a future. Free to be used again once its waker has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WakerKey(u32);

impl Listeners {
    pub(super) fn push(&mut self, listener: Listener) {
        if self.0.is_empty() {
            // Most futures that have a listener have one.
            self.0.reserve_exact(1);
        }
        self.0.push(listener);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the waker under this key wakes the same task.
    pub(super) fn has_waker(&self, key: WakerKey, waker: &Waker) -> bool {
        self.0.iter().any(|listener| matches!(listener, Listener::Waker(k, own) if *k == key && own.will_wake(waker)))
    }

    /// Puts a waker under its key, or under a new one, and hands out what stood there.
    pub(super) fn set_waker(&mut self, key: Option<WakerKey>, waker: Waker) -> (WakerKey, Option<Waker>) {
        for listener in &mut self.0 {
            match listener {
                Listener::Waker(own, old) if Some(*own) == key => return (*own, Some(mem::replace(old, waker))),
                _ => {}
            }
        }
        let key = self.free_key();
        self.push(Listener::Waker(key, waker));
        (key, None)
    }

    pub(super) fn remove_waker(&mut self, key: WakerKey) -> Option<Listener> {
        self.remove(|listener| matches!(listener, Listener::Waker(own, _) if *own == key))
    }

    pub(super) fn remove_watch(&mut self, watch: &Arc<Watch>) -> Option<Listener> {
        self.remove(|listener| matches!(listener, Listener::Watch(own, _) if Arc::ptr_eq(own, watch)))
    }

    fn remove(&mut self, is_meant: impl Fn(&Listener) -> bool) -> Option<Listener> {
        self.0.iter().position(is_meant).map(|position| self.0.remove(position))
    }

    /// Keys ascend along the list, so the last one is the greatest.
    fn free_key(&self) -> WakerKey {
        let last = self.0.iter().rev().find_map(|listener| match listener {
            Listener::Waker(key, _) => Some(*key),
            _ => None,
        });
        WakerKey(last.map_or(0, |key| key.0 + 1))
    }
}

impl IntoIterator for Listeners {
    type Item = Listener;
    type IntoIter = std::vec::IntoIter<Listener>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
