//! For whom a thread encodes, and what it decodes: what decides whether a shared value may stand there.
//!
//! Keeps true: a value that is encoded for a worker is noted for the frame; a number is looked up nowhere but among what
//! came with the bytes that are being read, so that a worker cannot name what it was not given. Never: a lock held, or a
//! cell borrowed, while a user's code runs.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::{Arc, OnceLock};

use pool_ipc::{Body, SharedValue, SharedValues};

use super::buffer::Holding;
use crate::bytes::sharing::Source;

/// What the thread is at. One byte, since this is set for each task, and most have nothing to do with shared values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Nothing that a shared value may be part of.
    Elsewhere,
    /// It is a worker and decodes its arguments.
    Arguments,
    /// It is a worker and encodes a result.
    Answering,
    /// The same, with a shared value in it.
    AnsweringShared,
    /// It encodes arguments for a worker, which have one attempt.
    Sending,
    /// The same, and they may have several.
    SendingAgain,
    /// It decodes a result that came without shared values.
    Result,
    /// It decodes a result that came with shared values.
    ResultShared,
    /// As [`Self::Sending`], with a shared value in them.
    SendingShared,
    /// As [`Self::SendingAgain`], with a shared value in them.
    SendingSharedAgain,
}

impl Scope {
    /// Whether the last of the parties is this scope's.
    #[inline]
    fn has_party(self) -> bool {
        matches!(self, Self::ResultShared | Self::SendingShared | Self::SendingSharedAgain)
    }
}

/// What is in arguments that are being encoded, or came with a result.
#[derive(Default)]
struct Party {
    values: Vec<SharedValue>,
    /// Of the buffers that are sent: how those have them that send them.
    holdings: Vec<Arc<Holding>>,
}

/// How often a task may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempts {
    One,
    /// A policy says how often.
    Several,
}

/// What a number was decoded from.
pub(super) enum Place {
    Arguments,
    Result,
}

/// Why a shared value cannot be encoded, or not be decoded.
pub(super) enum Misplaced {
    /// It is encoded for something else than a pool's worker, or a worker's pool.
    Encoded,
    /// A task has made it and returns it.
    Fresh,
    /// It would be sent to a task that may have to begin again.
    Repeated,
    /// It came to a task, and is sent on.
    Borrowed,
    /// It is decoded from something else than arguments or a result.
    Decoded,
    /// It did not come with the arguments of the task that returned it.
    Foreign,
    /// It came, and there is no room for it.
    Lost(std::io::Error),
}

impl Attempts {
    /// Of a task that has a policy, or none.
    pub(crate) fn of(has_policy: bool) -> Self {
        if has_policy { Self::Several } else { Self::One }
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoded => {
                f.write_str("a shared value can only be sent to a pool's workers, as an argument of a task")
            }
            Self::Fresh => f.write_str("a shared value that a task made cannot be its result; return Bytes instead"),
            Self::Repeated => f.write_str(
                "a SharedBuffer cannot go to a task with a retry policy: an attempt may have changed half of it",
            ),
            Self::Borrowed => f.write_str("a SharedBuffer that came to a task can only be returned by it"),
            Self::Decoded => f.write_str(
                "a shared value can only be read from the arguments of a task, or the result of a task that it came to",
            ),
            Self::Foreign => f.write_str("a shared value that did not come with the task's arguments was returned"),
            Self::Lost(error) => write!(f, "a shared value did not get here: {error}"),
        }
    }
}

static OF_PROCESS: OnceLock<Arc<dyn SharedValues>> = OnceLock::new();

thread_local! {
    static SCOPE: Cell<Scope> = const { Cell::new(Scope::Elsewhere) };
    /// Of the scopes that have one, the innermost one's last.
    static PARTIES: RefCell<Vec<Party>> = const { RefCell::new(Vec::new()) };
    static OF_THREAD: RefCell<Option<Arc<dyn SharedValues>>> = const { RefCell::new(None) };
}

/// Makes this process a worker whose values come from there.
pub(crate) fn serve_process(values: Arc<dyn SharedValues>) {
    // Set once: a process becomes a worker once.
    let _ = OF_PROCESS.set(values);
}

/// Makes this thread a worker whose values come from there.
pub(crate) fn serve_thread(values: Arc<dyn SharedValues>) {
    OF_THREAD.set(Some(values));
}

/// A thread that encodes arguments for a worker, from `begin` to `end`, between which nothing may unwind.
#[must_use]
pub(crate) struct Sending {
    former: Scope,
}

impl Sending {
    #[inline]
    pub(crate) fn begin(attempts: Attempts) -> Self {
        let scope = if attempts == Attempts::One { Scope::Sending } else { Scope::SendingAgain };
        Self { former: SCOPE.replace(scope) }
    }

    /// Adds to `values`, if there are some, what is in the arguments and was not there, each once.
    #[inline]
    pub(crate) fn end(self, values: Option<&mut Vec<SharedValue>>) {
        if SCOPE.replace(self.former).has_party() {
            leave(values);
        }
    }
}

#[cold]
fn leave(values: Option<&mut Vec<SharedValue>>) {
    let noted = PARTIES.with_borrow_mut(Vec::pop).map_or_else(Vec::new, |party| party.values);
    let Some(values) = values else { return };
    for value in noted {
        // Most often all items of a map have the same.
        if values.iter().rev().all(|known| known.id() != value.id()) {
            values.push(value);
        }
    }
}

/// What was encoded so far is not sent: who had a buffer has it again.
pub(crate) fn undo() {
    if let Scope::SendingShared | Scope::SendingSharedAgain = SCOPE.get() {
        with_party(|party| party.holdings.drain(..).for_each(|holding| holding.undo()));
    }
}

/// A worker begins to decode arguments. It runs no call within another, so there is no scope to come back to, nor anything to
/// undo after a panic: what a call leaves is of no account until the next one begins.
#[inline]
pub(crate) fn begin_arguments() {
    SCOPE.set(Scope::Arguments);
}

/// It has decoded them.
#[inline]
pub(crate) fn end_arguments() {
    SCOPE.set(Scope::Elsewhere);
}

/// A worker begins to encode a result.
#[inline]
pub(crate) fn begin_answer() {
    SCOPE.set(Scope::Answering);
}

/// Whether there is a shared value in the result that the worker has encoded.
#[inline]
pub(crate) fn is_answer_shared() -> bool {
    SCOPE.get() == Scope::AnsweringShared
}

/// The worker runs no more calls.
pub(crate) fn end_calls() {
    SCOPE.set(Scope::Elsewhere);
}

/// A thread begins to decode a result, and does so until what this gives is dropped. The result may speak of the values that
/// are with this body, and keep parts of it.
#[inline]
pub(crate) fn begin_result(body: Option<&Body>) -> Option<Box<Decoding>> {
    let apart = body.filter(|body| body.is_apart());
    // Elsewhere no value is found anyway.
    if apart.is_none() && SCOPE.get() == Scope::Elsewhere { None } else { Some(Decoding::begin(apart)) }
}

/// What the thread was at before it decoded a result.
pub(crate) struct Decoding {
    former: Scope,
    _source: Option<Source>,
}

impl Decoding {
    #[cold]
    fn begin(body: Option<&Body>) -> Box<Self> {
        let values = body.map_or(&[][..], Body::values);
        let any = !values.is_empty();
        if any {
            PARTIES.with_borrow_mut(|parties| parties.push(Party { values: values.to_vec(), holdings: Vec::new() }));
        }
        let former = SCOPE.replace(if any { Scope::ResultShared } else { Scope::Result });
        Box::new(Self { former, _source: body.and_then(Body::memory).map(Source::named) })
    }
}

impl Drop for Decoding {
    fn drop(&mut self) {
        if SCOPE.replace(self.former).has_party() {
            leave(None);
        }
    }
}

/// Notes a value that is being encoded.
pub(super) fn note(value: &SharedValue) -> Result<(), Misplaced> {
    let begun = match SCOPE.get() {
        Scope::SendingShared | Scope::SendingSharedAgain => None,
        Scope::Sending => Some(Scope::SendingShared),
        Scope::SendingAgain => Some(Scope::SendingSharedAgain),
        Scope::Answering | Scope::AnsweringShared if value.is_received() || is_thread_worker() => {
            SCOPE.set(Scope::AnsweringShared);
            return Ok(());
        }
        Scope::Answering | Scope::AnsweringShared => return Err(Misplaced::Fresh),
        Scope::Elsewhere | Scope::Arguments | Scope::Result | Scope::ResultShared => return Err(Misplaced::Encoded),
    };
    if let Some(scope) = begun {
        PARTIES.with_borrow_mut(|parties| parties.push(Party::default()));
        SCOPE.set(scope);
    }
    with_party(|party| party.note(value));
    Ok(())
}

/// Notes a buffer that is being sent.
pub(super) fn note_loan(value: &SharedValue, holding: &Arc<Holding>) -> Result<(), Misplaced> {
    match SCOPE.get() {
        Scope::SendingAgain | Scope::SendingSharedAgain => Err(Misplaced::Repeated),
        Scope::Sending | Scope::SendingShared => {
            note(value)?;
            with_party(|party| party.holdings.push(Arc::clone(holding)));
            Ok(())
        }
        Scope::Answering | Scope::AnsweringShared => Err(Misplaced::Fresh),
        Scope::Elsewhere | Scope::Arguments | Scope::Result | Scope::ResultShared => Err(Misplaced::Encoded),
    }
}

/// Notes a buffer that came with arguments and is being returned.
pub(super) fn note_return(value: &SharedValue) -> Result<(), Misplaced> {
    match SCOPE.get() {
        Scope::Sending | Scope::SendingAgain | Scope::SendingShared | Scope::SendingSharedAgain => {
            Err(Misplaced::Borrowed)
        }
        _ => note(value),
    }
}

/// The value of a number that is being decoded.
pub(super) fn find(id: u64) -> Result<(SharedValue, Place), Misplaced> {
    match SCOPE.get() {
        Scope::Arguments => {
            let value = own().ok_or(Misplaced::Decoded)?.take(id).map_err(Misplaced::Lost)?;
            Ok((value, Place::Arguments))
        }
        Scope::ResultShared => {
            let named = |party: &mut Party| party.values.iter().find(|value| value.id() == id).cloned();
            with_party(named).flatten().map(|value| (value, Place::Result)).ok_or(Misplaced::Foreign)
        }
        Scope::Result => Err(Misplaced::Foreign),
        _ => Err(Misplaced::Decoded),
    }
}

impl Party {
    fn note(&mut self, value: &SharedValue) {
        if self.values.iter().all(|noted| noted.id() != value.id()) {
            self.values.push(value.clone());
        }
    }
}

/// Does something with what belongs to the scope, which has a party.
fn with_party<R>(with: impl FnOnce(&mut Party) -> R) -> Option<R> {
    PARTIES.with_borrow_mut(|parties| parties.last_mut().map(with))
}

/// Where this worker's values come from.
fn own() -> Option<Arc<dyn SharedValues>> {
    OF_THREAD.with_borrow(Option::clone).or_else(|| OF_PROCESS.get().cloned())
}

/// A worker that is a thread has the values of its pool themselves, which nobody sent to this process.
fn is_thread_worker() -> bool {
    OF_THREAD.with_borrow(Option::is_some)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn value() -> SharedValue {
        SharedValue::new(b"shared").expect("there is memory")
    }

    /// As where arguments are encoded: with a panic caught.
    fn noted<T>(encode: impl FnOnce() -> T) -> (std::thread::Result<T>, Vec<SharedValue>) {
        let (sending, mut values) = (Sending::begin(Attempts::One), Vec::new());
        let encoded = catch_unwind(AssertUnwindSafe(encode));
        sending.end(encoded.is_ok().then_some(&mut values));
        (encoded, values)
    }

    fn in_result<T>(values: &[SharedValue], decode: impl FnOnce() -> T) -> T {
        let body = Body::copied(&[]).accompanied(values.to_vec());
        let _until_decoded = begin_result(Some(&body));
        decode()
    }

    #[test]
    fn a_value_is_noted_once_and_only_where_it_is_sent() {
        let (one, other) = (value(), value());
        assert!(matches!(note(&one), Err(Misplaced::Encoded)));
        let (found, values) = noted(|| [&one, &other, &one].map(|value| note(value).is_ok()));
        assert_eq!(found.unwrap(), [true; 3]);
        assert_eq!(values.iter().map(SharedValue::id).collect::<Vec<_>>(), [one.id(), other.id()]);
        begin_answer();
        assert!(matches!(note(&one), Err(Misplaced::Fresh)) && !is_answer_shared());
        end_calls();
        assert!(matches!(note(&one), Err(Misplaced::Encoded)));
    }

    #[test]
    fn a_number_is_found_only_among_what_came_along() {
        let (came, other) = (value(), value());
        let values = [came.clone()];
        assert!(in_result(&values, || find(came.id())).is_ok());
        assert!(matches!(in_result(&values, || find(other.id())), Err(Misplaced::Foreign)));
        assert!(matches!(find(came.id()), Err(Misplaced::Decoded)));
        begin_arguments();
        assert!(matches!(find(came.id()), Err(Misplaced::Decoded)));
        end_arguments();
    }

    #[test]
    fn what_is_encoded_or_decoded_meanwhile_has_values_of_its_own() {
        let (outer, inner) = (value(), value());
        let (nested, values) = noted(|| {
            assert!(note(&outer).is_ok());
            let (_, nested) = noted(|| assert!(note(&inner).is_ok()));
            assert!(in_result(&nested, || find(outer.id()).is_err() && find(inner.id()).is_ok()));
            assert!(in_result(&[], || find(outer.id()).is_err()));
            nested
        });
        let ids = |values: &[SharedValue]| values.iter().map(SharedValue::id).collect::<Vec<_>>();
        assert_eq!((ids(&values), ids(&nested.unwrap())), (vec![outer.id()], vec![inner.id()]));
        assert!(PARTIES.with_borrow(Vec::is_empty));
    }

    #[test]
    fn what_a_panic_leaves_unfinished_is_not_sent() {
        let value = value();
        let (panicked, values) = noted(|| {
            assert!(note(&value).is_ok());
            panic!("in a Serialize");
        });
        assert!(panicked.is_err() && values.is_empty() && matches!(note(&value), Err(Misplaced::Encoded)));
        assert!(PARTIES.with_borrow(Vec::is_empty));
    }
}
