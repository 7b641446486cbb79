//! `as_completed`: many futures, each as it is done.
//!
//! Keeps true: the whole iteration costs a visit or two of each future; a future that was yielded is no longer held. Holds
//! numbers in the watch, futures only here.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::future::desk::Desk;
use crate::future::listening::Listening;
use crate::future::wait::{WaitError, distinct, never};
use crate::future::watch::{Until, Watch};
use crate::future::{Future, deadline, is_past};

/// Yields each future when it is done: first those that are done already, then the others in the order of their ends. A
/// future that is given twice is yielded once.
///
/// The limit is that of the whole iteration, counted from this call. When it passes, the futures that are done are still
/// yielded; then comes one [`WaitError::Unfinished`], and nothing after it.
///
/// ```
/// use std::collections::HashMap;
/// use pool_core::{Completer, as_completed};
///
/// let (first, one) = Completer::<u32>::new("one");
/// let (second, two) = Completer::<u32>::new("two");
/// let names = HashMap::from([(one, "one"), (two, "two")]);
/// second.set_result(&2)?;
/// let mut ends = as_completed(names.keys(), None);
/// let future = ends.next().expect("there are two")?;
/// assert_eq!((names[&future], future.result()?), ("two", 2));
///
/// first.set_result(&1)?;
/// let future = ends.next().expect("there is one left")?;
/// assert_eq!((names[&future], future.result()?), ("one", 1));
/// assert!(ends.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn as_completed<T, F>(futures: impl IntoIterator<Item = F>, timeout: Option<Duration>) -> AsCompleted<T>
where
    F: Borrow<Future<T>>,
{
    let deadline = timeout.and_then(deadline);
    let watch = Arc::new(Watch::new());
    let mut ready = VecDeque::new();
    let held: Vec<_> = distinct(futures).into_iter().map(Some).collect();
    let mut desks: Vec<Weak<dyn Desk>> = Vec::new();
    for (number, future) in held.iter().flatten().enumerate() {
        let shared = future.shared();
        match shared.add_watch(&watch, number) {
            Listening::Done(()) => ready.push_back(number),
            Listening::Listening if desks.iter().any(|desk| desk.ptr_eq(shared.desk())) => {}
            Listening::Listening => desks.push(shared.desk().clone()),
        }
    }
    let left = held.len();
    AsCompleted { held, left, ready, watch, desks, limit: timeout.unwrap_or(Duration::MAX), deadline }
}

/// The iterator of [`as_completed`]. It can be dropped at any time; the tasks go on.
#[must_use = "iterators are lazy"]
pub struct AsCompleted<T> {
    /// Those that were not yielded, by their numbers.
    held: Vec<Option<Future<T>>>,
    /// How many those are; zero also once an error was yielded.
    left: usize,
    /// The numbers of those that are done and not yielded.
    ready: VecDeque<usize>,
    watch: Arc<Watch>,
    /// Who completes them: each pool once.
    desks: Vec<Weak<dyn Desk>>,
    limit: Duration,
    deadline: Option<Instant>,
}

impl<T> AsCompleted<T> {
    /// Waits for the next end.
    fn wait(&mut self) -> Result<(), WaitError> {
        self.ready.extend(self.watch.take());
        if !self.ready.is_empty() {
            return Ok(());
        }
        if !is_past(self.deadline) {
            if self.is_astray()
                && let Some(error) = never(self.held.iter().flatten())
            {
                return Err(error);
            }
            self.ready.extend(self.watch.wait(Until::Count(1), self.deadline));
        }
        match self.ready.is_empty() {
            true => Err(WaitError::Unfinished { unfinished: self.left, total: self.held.len(), limit: self.limit }),
            false => Ok(()),
        }
    }

    /// Whether the calling thread is a pool's own, or of a fork; if not, it waits for the pools from now on. Asked before each
    /// wait, so it costs a look at each pool and not at each future.
    fn is_astray(&self) -> bool {
        let astray = |desk: Arc<dyn Desk>| {
            let is_astray = desk.is_current_thread() || desk.is_foreign();
            if !is_astray {
                desk.attend();
            }
            is_astray
        };
        self.desks.iter().any(|desk| desk.upgrade().is_some_and(astray))
    }

    /// Lets go of all futures that are still held.
    fn give_up(&mut self) {
        self.left = 0;
        self.ready.clear();
        for future in self.held.drain(..).flatten() {
            future.shared().remove_watch(&self.watch);
        }
    }
}

impl<T> Iterator for AsCompleted<T> {
    type Item = Result<Future<T>, WaitError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.ready.is_empty()
            && let Err(error) = self.wait()
        {
            self.give_up();
            return Some(Err(error));
        }
        let number = self.ready.pop_front()?;
        self.left -= 1;
        self.held[number].take().map(Ok)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.min(1), Some(self.left))
    }
}

impl<T> FusedIterator for AsCompleted<T> {}

impl<T> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("left", &self.left)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
