//! `map`: many calls, in chunks, with the results in order.
//!
//! Keeps true: an item's error stands at its position; results are decoded one by one, when they are asked for; an
//! iterator that was begun and is dropped cancels what has not begun.

mod chunks;

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use self::chunks::Chunker;
use crate::error::{SubmitError, TaskError, WaitTimedOut};
use crate::executor::submit;
use crate::future::RetryPolicy;
use crate::manager::{Batch, NotYet, Pool, Replies, Run, TimeLimits};
use crate::task::{Arguments, Task, is_plain};

/// What `map` takes: an iterable for a function of one argument, or a tuple of iterables for one of several.
///
/// `M` only tells the two apart, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no input for `map`",
    label = "expected an iterable, or a tuple of up to four iterables"
)]
pub trait Inputs<M> {
    /// The arguments of one call.
    type Args;
    /// Gives the arguments of one call after the other.
    type Iter: Iterator<Item = Self::Args>;
    /// The calls' arguments, in order. Ends with the shortest input.
    fn into_args(self) -> Self::Iter;
}

/// Marks inputs that are a single iterable.
#[derive(Debug)]
pub enum One {}

/// Marks inputs that are a tuple of iterables.
#[derive(Debug)]
pub enum Several {}

impl<I: IntoIterator> Inputs<One> for I {
    type Args = (I::Item,);
    type Iter = std::iter::Map<I::IntoIter, fn(I::Item) -> (I::Item,)>;

    fn into_args(self) -> Self::Iter {
        self.into_iter().map(|item| (item,))
    }
}

impl<A: IntoIterator> Inputs<Several> for (A,) {
    type Args = (A::Item,);
    type Iter = std::iter::Map<A::IntoIter, fn(A::Item) -> (A::Item,)>;

    fn into_args(self) -> Self::Iter {
        self.0.into_iter().map(|item| (item,))
    }
}

impl<A: IntoIterator, B: IntoIterator> Inputs<Several> for (A, B) {
    type Args = (A::Item, B::Item);
    type Iter = std::iter::Zip<A::IntoIter, B::IntoIter>;

    fn into_args(self) -> Self::Iter {
        self.0.into_iter().zip(self.1)
    }
}

/// The arguments of functions of three and four parameters, taken out of nested pairs.
type Unnested<I, From, To> = std::iter::Map<I, fn(From) -> To>;

impl<A: IntoIterator, B: IntoIterator, C: IntoIterator> Inputs<Several> for (A, B, C) {
    type Args = (A::Item, B::Item, C::Item);
    type Iter = Unnested<
        std::iter::Zip<std::iter::Zip<A::IntoIter, B::IntoIter>, C::IntoIter>,
        ((A::Item, B::Item), C::Item),
        Self::Args,
    >;

    fn into_args(self) -> Self::Iter {
        let (a, b, c) = self;
        a.into_iter().zip(b).zip(c).map(|((a, b), c)| (a, b, c))
    }
}

impl<A: IntoIterator, B: IntoIterator, C: IntoIterator, D: IntoIterator> Inputs<Several> for (A, B, C, D) {
    type Args = (A::Item, B::Item, C::Item, D::Item);
    type Iter = Unnested<
        std::iter::Zip<std::iter::Zip<A::IntoIter, B::IntoIter>, std::iter::Zip<C::IntoIter, D::IntoIter>>,
        ((A::Item, B::Item), (C::Item, D::Item)),
        Self::Args,
    >;

    fn into_args(self) -> Self::Iter {
        let (a, b, c, d) = self;
        a.into_iter().zip(b).zip(c.into_iter().zip(d)).map(|((a, b), (c, d))| (a, b, c, d))
    }
}

/// The results of a `map`, in the order of its inputs.
///
/// Each item is the result of one call, or why there is none; iteration goes on after an error, but for a wait that timed
/// out.
pub struct Map<'i, R> {
    task: &'static str,
    segments: VecDeque<Segment>,
    /// What came along with the item that was read last, for the items behind it: none of the segments has those any more.
    ready: Option<Box<Replies>>,
    /// Takes further items of a lazy input; none where all were taken at once.
    source: Option<Source<'i>>,
    /// How many items were read since the source was last asked, and after how many it is asked again: a chunk at a time.
    room: usize,
    chunk: usize,
    deadline: Option<Instant>,
    limit: Duration,
    begun: bool,
    /// Whether the results may be numbers, which are decoded by code that is known.
    is_plain: bool,
    result: PhantomData<fn() -> R>,
}

/// Submits up to so many items more; an empty answer is the end of the input.
type Source<'i> = Box<dyn FnMut(usize) -> Vec<Segment> + 'i>;

/// Some items in a row.
enum Segment {
    /// Items `next..items` of a batch.
    Batch { batch: Arc<Batch>, next: u32, items: u32 },
    /// One item that was not submitted.
    Failed(TaskError),
}

impl Segment {
    fn items(&self) -> usize {
        match self {
            Self::Batch { next, items, .. } => (items - next) as usize,
            Self::Failed(_) => 1,
        }
    }
}

/// How a map is to be made.
#[derive(Clone, Debug)]
pub(super) struct Plan<'p> {
    pub(super) pool: &'p Arc<Pool>,
    pub(super) max_workers: usize,
    pub(super) name: Option<&'static str>,
    pub(super) chunksize: Option<usize>,
    pub(super) buffersize: Option<usize>,
    pub(super) result_timeout: Option<Duration>,
    pub(super) limits: TimeLimits,
    pub(super) retry: Option<RetryPolicy>,
}

/// Submits the calls, all of them or what fits into the buffer.
pub(super) fn map<'i, F, I, M>(plan: &Plan<'_>, _task: F, inputs: I) -> Result<Map<'i, F::Output>, SubmitError>
where
    I: Inputs<M>,
    I::Iter: 'i,
    I::Args: Arguments,
    F: Task<I::Args>,
{
    plan.pool.admit()?;
    at_least_one("chunksize", plan.chunksize)?;
    at_least_one("buffersize", plan.buffersize)?;
    submit::check::<F::Output>(plan.limits, plan.retry.as_ref())?;
    let limit = plan.result_timeout.unwrap_or(Duration::MAX);
    let deadline = Instant::now().checked_add(limit);
    let mut args = inputs.into_args();
    let mut chunker = Chunker::new::<F, I::Args>(plan, args.size_hint());
    let mut refused = false;
    let (segments, source, chunk) = (VecDeque::new(), None, chunker.least());
    let task = chunker.task_name();
    let (ready, room, begun) = (None, 0, false);
    let (is_plain, result) = (is_plain::<F::Output>(), PhantomData);
    let mut map = Map { task, segments, ready, source, room, chunk, deadline, limit, begun, is_plain, result };
    match plan.buffersize {
        None => map.segments.extend(chunker.submit(&mut args, usize::MAX)),
        Some(items) => {
            let pool = Arc::clone(plan.pool);
            // A pool that takes no more would fail items for as long as there are any: that is said once.
            let mut source: Source<'i> = Box::new(move |items| match pool.admit() {
                Ok(()) => chunker.submit(&mut args, items),
                Err(_) if std::mem::replace(&mut refused, true) => Vec::new(),
                Err(error) => vec![Segment::Failed(error.into())],
            });
            map.segments.extend(source(items));
            map.source = Some(source);
        }
    }
    Ok(map)
}

fn at_least_one(name: &'static str, value: Option<usize>) -> Result<(), SubmitError> {
    if value == Some(0) { Err(SubmitError::Option { name, allowed: "at least 1" }) } else { Ok(()) }
}

impl<R> Map<'_, R> {
    /// How many items were submitted and not read.
    fn items(&self) -> usize {
        self.ready_items() + self.segments.iter().map(Segment::items).sum::<usize>()
    }

    fn ready_items(&self) -> usize {
        self.ready.as_ref().map_or(0, |replies| replies.window().len())
    }

    /// An item was read. Submits what there is room for, once that makes a chunk.
    #[inline]
    fn refill(&mut self) {
        self.room += 1;
        if self.source.is_some() && (self.room >= self.chunk || (self.segments.is_empty() && self.ready_items() == 0)) {
            self.ask_source();
        }
    }

    #[cold]
    fn ask_source(&mut self) {
        if let Some(source) = &mut self.source {
            let fresh = source(std::mem::take(&mut self.room));
            if fresh.is_empty() {
                self.source = None;
            }
            self.segments.extend(fresh);
        }
    }

    /// Ends with what an item that is waited for came to for now.
    #[cold]
    fn end_by(&mut self, not_yet: NotYet) -> TaskError {
        self.give_up();
        match not_yet {
            NotYet::TooLate => TaskError::WaitTimedOut(WaitTimedOut::new(self.limit)),
            NotYet::WouldDeadlock => TaskError::WouldDeadlock,
            NotYet::Forked => TaskError::Forked,
        }
    }

    /// Cancels what has not begun, and ends.
    fn give_up(&mut self) {
        self.source = None;
        for segment in self.segments.drain(..) {
            if let Segment::Batch { batch, .. } = segment {
                batch.cancel();
            }
        }
    }
}

impl<R: DeserializeOwned> Map<'_, R> {
    /// The result of the next item, which is not among those that are ready. Those that come along with it are then.
    #[cold]
    fn next_coming(&mut self) -> Option<Result<R, TaskError>> {
        self.begun = true;
        let Segment::Batch { batch, next, items } = self.segments.front_mut()? else {
            let Some(Segment::Failed(error)) = self.segments.pop_front() else { return None };
            return Some(Err(error));
        };
        let (result, came) = match batch.take(*next, self.deadline) {
            Ok(Run::One(outcome)) => (outcome.and_then(|encoded| encoded.decode(self.task)), 1),
            Ok(Run::Together(replies)) => {
                let came = (replies.window().len() as u32).max(1);
                let first = self.ready.insert(replies).decode(self.task);
                (first.map_or(Err(TaskError::Taken), |first| first.map_err(|error| *error)), came)
            }
            Err(not_yet) => return Some(Err(self.end_by(not_yet))),
        };
        *next += came;
        if next >= items {
            self.segments.pop_front();
        }
        Some(result)
    }
}

impl<R: DeserializeOwned> Iterator for Map<'_, R> {
    type Item = Result<R, TaskError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_plain
            && let Some(number) = self.ready.as_mut().and_then(|replies| replies.next_number())
        {
            self.refill();
            return Some(Ok(number));
        }
        self.next_of_any_kind()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let items = self.items();
        (items, self.source.is_none().then_some(items))
    }
}

impl<R: DeserializeOwned> Map<'_, R> {
    fn next_of_any_kind(&mut self) -> Option<Result<R, TaskError>> {
        let ready = match &mut self.ready {
            Some(replies) => replies.decode(self.task),
            None => None,
        };
        match ready {
            Some(Ok(value)) => {
                self.refill();
                Some(Ok(value))
            }
            Some(Err(error)) => {
                self.refill();
                Some(Err(*error))
            }
            None => {
                let result = self.next_coming()?;
                self.refill();
                Some(result)
            }
        }
    }
}

impl<R: DeserializeOwned> FusedIterator for Map<'_, R> {}

impl<R> Drop for Map<'_, R> {
    fn drop(&mut self) {
        if self.begun {
            self.give_up();
        }
    }
}

impl<R> fmt::Debug for Map<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("submitted", &self.items())
            .field("lazy", &self.source.is_some())
            .finish_non_exhaustive()
    }
}
