//! What a task can ask about itself while it runs: [`cancelled`], [`deadline`], [`attempt`]; and what a call is: a function
//! that every process of this executable has, its arguments, and a number that names it.
//!
//! Keeps true: only a number of the table that the linker builds and encoded values ever leave a process, never an address;
//! a worker calls nothing that is not an entry of its own table. Never: knows what a frame, a future or a worker is.

mod args;
mod codec;
mod current;
mod fixed;
pub(crate) mod stack;
mod table;

pub use args::{Arguments, CapturesNothing, Initialized, Initializer, Task};
pub use current::{attempt, cancelled, deadline};

pub(crate) use codec::{
    EncodeFailure, WIDEST, decode, decode_fixed, encode_fixed, encode_into, encode_sharing, is_plain,
};
pub(crate) use current::{assign_process, assign_thread};
pub(crate) use table::{TaskId, find, fingerprint, id_of};

use pool_ipc::{FixedRun, Inset};
use serde::Serialize;

use crate::error::{Reason, RemoteError};
use crate::sharing;

/// What one process needs to know of a task to run it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Decodes the arguments, calls the function and encodes what it returned.
    pub(crate) run: fn(&mut Call<'_>),
    /// The function's name as Rust writes it.
    pub(crate) name: fn() -> &'static str,
}

impl Entry {
    /// Runs it. A panic's stack ends here.
    pub(crate) fn call(self, call: &mut Call<'_>) {
        stack::__rust_begin_short_backtrace(|| (self.run)(call));
    }
}

/// The calls of one task that a process is to run, one after the other.
pub(crate) trait Calls {
    /// The encoded arguments of the first one.
    fn arguments(&self) -> &[u8];

    /// If all arguments are of the same fixed width: what a result begins with that is of fixed width, too.
    fn fixed_tag(&self) -> Option<u8> {
        None
    }

    /// A call has come to its end, and its encoded result is behind what `result` began with. Gives the arguments of the next one,
    /// for whose result there is room then. `None`: there is no next one, or not now.
    fn go_on(&mut self, result: &mut Vec<u8>) -> Option<&[u8]>;

    /// The first of calls whose arguments are of fixed width has come to its end, with this reply. Has `run` make the others, up to
    /// the first that it does not.
    fn go_on_fixed(&mut self, _first: &[u8], _run: &mut FixedCalls<'_>) {}
}

/// Makes calls, as long as each has a reply as long as those before, and nothing else is to happen in between, as the function tells
/// that it gets. False: the reply of the one that runs is where replies are as a rule, or it failed.
pub(crate) type FixedCalls<'a> = dyn FnMut(&mut FixedRun<'_>, fn() -> bool) -> bool + 'a;

/// A single call, of these encoded arguments.
pub(crate) struct Single<'a> {
    pub(crate) arguments: &'a [u8],
    /// As [`Calls::fixed_tag`].
    pub(crate) fixed_tag: Option<u8>,
}

impl Calls for Single<'_> {
    fn arguments(&self) -> &[u8] {
        self.arguments
    }

    fn fixed_tag(&self) -> Option<u8> {
        self.fixed_tag
    }

    fn go_on(&mut self, _result: &mut Vec<u8>) -> Option<&[u8]> {
        None
    }
}

/// Calls under way in a worker: one, and those that follow it in a row.
pub(crate) struct Call<'a> {
    calls: &'a mut dyn Calls,
    answer: Answer<'a>,
}

/// What becomes of the call that runs.
pub(super) struct Answer<'a> {
    /// Where the encoded result is appended.
    result: &'a mut Vec<u8>,
    /// Where the large parts of the result go, if they need not be copied to be appended.
    insets: Option<&'a mut Vec<Inset>>,
    /// How far it has come, if it did not fail.
    progress: Progress,
    /// The type that is being decoded or encoded, once it is known.
    type_name: &'static str,
    /// How it failed. Apart, so that a call that goes well has nothing to build and to drop.
    failed: Option<Box<Stage>>,
    /// The process that answers the call, where its forks must not.
    home: Option<Home>,
}

/// The process that a call came to, told from the copies of it that a task may make by a fork. A copy that comes back from
/// the task has no call to answer: it would speak on its origin's channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home(u64);

impl Home {
    /// This process.
    pub(crate) fn here() -> Self {
        Self(pool_ipc::fork_generation())
    }

    /// Whether this process is a copy.
    pub(crate) fn is_elsewhere(self) -> bool {
        pool_ipc::is_fork_since(self.0)
    }

    /// Ends this process with this exit code if it is a copy.
    #[inline]
    pub(crate) fn end_copy(self, code: i32) {
        pool_ipc::end_if_forked_since(self.0, code);
    }
}

/// The exit code of a copy that has done what the task says.
pub(crate) const COPY_RETURNED: i32 = 0;

/// How far a call has come that has not failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Decoding,
    Running,
    Encoding,
    Done,
}

/// How far a call has come, in this order. Moved by the call alone.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Its arguments are being decoded.
    Decoding {
        /// The arguments' type, once it is known.
        type_name: &'static str,
    },
    /// The function runs, or its result is being dropped.
    Running,
    /// Its result is being encoded.
    Encoding {
        /// The result's type.
        type_name: &'static str,
    },
    /// The result is encoded.
    Done,
    /// The arguments could not be decoded. The function was not called.
    Undecoded {
        /// The arguments' type.
        type_name: &'static str,
        /// What was said of them.
        reason: Reason,
    },
    /// The function has run, but its result could not be encoded.
    Unencoded {
        /// The result's type.
        type_name: &'static str,
        /// What went wrong.
        failure: EncodeFailure,
    },
}

impl<'a> Call<'a> {
    /// A call that has not begun.
    #[inline]
    pub(crate) fn new(calls: &'a mut dyn Calls, result: &'a mut Vec<u8>) -> Self {
        let (progress, type_name) = (Progress::Decoding, "");
        Self { calls, answer: Answer { result, insets: None, progress, type_name, failed: None, home: None } }
    }

    /// The same, with a result that has insets, in a process whose copies end when they come back from the function.
    #[inline]
    pub(crate) fn of_worker(
        calls: &'a mut dyn Calls,
        result: &'a mut Vec<u8>,
        insets: &'a mut Vec<Inset>,
        home: Home,
    ) -> Self {
        let mut call = Self::new(calls, result);
        (call.answer.insets, call.answer.home) = (Some(insets), Some(home));
        call
    }

    /// Whether its result is encoded.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.answer.is_done()
    }

    /// How far it came.
    pub(crate) fn stage(self) -> Stage {
        let Answer { failed, progress, type_name, .. } = self.answer;
        match (failed, progress) {
            (Some(failed), _) => *failed,
            (None, Progress::Decoding) => Stage::Decoding { type_name },
            (None, Progress::Running) => Stage::Running,
            (None, Progress::Encoding) => Stage::Encoding { type_name },
            (None, Progress::Done) => Stage::Done,
        }
    }

    /// Runs `task` from the first byte of its arguments to the last byte of its result, again and again while there are further
    /// calls. The arguments belong to the task, so they are dropped when it returns or panics, and the result is dropped
    /// before this returns or goes on.
    fn run<F: Task<Args>, Args: Arguments>(&mut self, task: F) {
        let Self { calls, answer } = self;
        let fixed_tag = calls.fixed_tag();
        if let Some(tag) = fixed_tag.filter(|_| is_plain::<F::Output>()) {
            return fixed::run(&task, *calls, tag, answer);
        }
        let mut arguments = calls.arguments();
        loop {
            answer.begin(std::any::type_name::<Args>());
            sharing::begin_arguments();
            let decoded = if fixed_tag.is_some() { decode_fixed(arguments) } else { decode::<Args>(arguments) };
            sharing::end_arguments();
            let args = match decoded {
                Ok(args) => args,
                Err(reason) => return answer.refuse(reason),
            };
            answer.call(&task, args, |answer, result| answer.encode(result));
            let has_insets = answer.insets.as_ref().is_some_and(|insets| !insets.is_empty());
            if !answer.is_done() || has_insets {
                return;
            }
            match calls.go_on(answer.result) {
                Some(next) => arguments = next,
                None => return,
            }
        }
    }
}

impl Answer<'_> {
    #[inline]
    fn is_done(&self) -> bool {
        self.progress == Progress::Done
    }

    /// The arguments, of this type, are about to be decoded.
    #[inline]
    fn begin(&mut self, type_name: &'static str) {
        (self.progress, self.type_name) = (Progress::Decoding, type_name);
    }

    /// Calls the function and encodes what it returns.
    #[cfg_attr(not(debug_assertions), inline(always))] // A frame of its own is cut out of backtraces by its name.
    fn call<F: Task<Args>, Args: Arguments, E>(
        &mut self,
        task: &F,
        args: Args,
        encode: impl FnOnce(&mut Self, &F::Output) -> E,
    ) -> E {
        self.progress = Progress::Running;
        let result = task.call(args);
        self.end_copy();
        (self.progress, self.type_name) = (Progress::Encoding, std::any::type_name::<F::Output>());
        let encoded = encode(self, &result);
        drop(result);
        self.end_copy();
        encoded
    }

    /// Ends this process if it is a copy of the one that was called.
    #[inline]
    fn end_copy(&self) {
        if let Some(home) = self.home {
            home.end_copy(COPY_RETURNED);
        }
    }

    #[inline]
    fn encode<R: Serialize>(&mut self, result: &R) {
        sharing::begin_answer();
        match encode_sharing(self.result, self.insets.as_deref_mut(), result) {
            Ok(()) => self.progress = Progress::Done,
            Err(failure) => self.fail(Stage::Unencoded { type_name: self.type_name, failure }),
        }
    }

    /// The arguments are not what they should be.
    #[cold]
    fn refuse(&mut self, reason: Reason) {
        self.fail(Stage::Undecoded { type_name: self.type_name, reason });
    }

    #[cold]
    fn fail(&mut self, stage: Stage) {
        self.failed = Some(Box::new(stage));
    }
}

/// The number of a worker's initializer.
pub(crate) fn initializer_id_of<F: Initializer<Args>, Args: Arguments>() -> TaskId {
    id_of::<Initialize<F>, Args>()
}

/// Makes a task of an initializer, one whose result says how it went whatever the initializer returns.
#[derive(Clone, Copy)]
struct Initialize<F>(F);

impl<F: Initializer<Args>, Args: Arguments> Task<Args> for Initialize<F> {
    type Output = InitializerResult;

    fn call(&self, args: Args) -> Self::Output {
        self.0.initialize(args)
    }
}

/// What an initializer's call gives.
pub(crate) type InitializerResult = Result<(), RemoteError>;
