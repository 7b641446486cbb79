//! What is promised for each deed: the very variant, and what it says.

use pool_core::{Coded, ExitCause, TaskError};

use crate::deeds::{Deed, MESSAGE};
use crate::values::Answer;

/// How the task's own future ends.
pub(crate) enum Expected {
    /// With an answer: what it did harms nobody.
    Answer,
    /// With the death of its worker.
    Death(ExitCause),
    /// With the death of its worker, which broke the protocol: by itself, or by the pool.
    Judgement,
    /// With this death, unless the pool saw before that the worker broke the protocol, and ended it.
    DeathUnlessJudged(ExitCause),
    Panic(&'static str),
    /// With a value that failed on its way, for a reason of the value's own.
    Codec(Coded, &'static str, Way),
}

/// In which way a value failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Refused,
    Panicked,
}

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;

impl Expected {
    pub(crate) fn of(deed: Deed) -> Self {
        match deed {
            Deed::ExitsWith0 => Self::Death(ExitCause::Code(0)),
            Deed::OverwritesAndExits => Self::DeathUnlessJudged(ExitCause::Code(0)),
            Deed::ExitsWith1 => Self::Death(ExitCause::Code(1)),
            // Rust's runtime ends a process that has no memory left by an abort.
            Deed::Aborts | Deed::ExhaustsItsMemory => Self::Death(ExitCause::Signal(SIGABRT)),
            // The runtime would explain it and abort, in a program whose main it has started: the workers of tests are
            // taken over before that.
            Deed::Segfaults | Deed::OverflowsItsStack => Self::Death(ExitCause::Signal(SIGSEGV)),
            Deed::IsKilled => Self::Death(ExitCause::Signal(SIGKILL)),
            Deed::OverwritesAndGoesOn => Self::Judgement,
            Deed::Panics => Self::Panic(MESSAGE),
            Deed::PanicsWithANumber => Self::Panic("a payload that is no string"),
            Deed::ResultIsNotEncoded => Self::Codec(Coded::ResultInWorker, ANSWER, Way::Refused),
            Deed::ResultIsNotDecoded => Self::Codec(Coded::ResultInCaller, ANSWER, Way::Refused),
            Deed::ResultPanicsInSerialize => Self::Codec(Coded::ResultInWorker, ANSWER, Way::Panicked),
            Deed::ResultPanicsInDeserialize => Self::Codec(Coded::ResultInCaller, ANSWER, Way::Panicked),
            Deed::ArgumentsAreNotDecoded => Self::Codec(Coded::ArgumentsInWorker, ORDER, Way::Refused),
            Deed::ArgumentsPanicInDeserialize => Self::Codec(Coded::ArgumentsInWorker, ORDER, Way::Panicked),
            Deed::ArgumentsPanicInSerialize => Self::Codec(Coded::ArgumentsInCaller, ORDER, Way::Panicked),
            Deed::Nothing
            | Deed::LeavesAThread
            | Deed::LeavesAGrandchild
            | Deed::ClosesDescriptors
            | Deed::BlocksSigterm => Self::Answer,
        }
    }

    /// Fails unless it ended so.
    #[track_caller]
    pub(crate) fn assert(&self, end: &Result<Answer, TaskError>) {
        if let Err(TaskError::WorkerDied(died)) = end {
            assert!(died.task.ends_with(TASK) && died.pid > 0, "{died:?}");
        }
        let is_it = match (self, end) {
            (Self::Answer, Ok(_)) => true,
            (Self::Death(cause), Err(TaskError::WorkerDied(died))) => died.cause == *cause,
            (Self::DeathUnlessJudged(cause), Err(TaskError::WorkerDied(died))) => {
                let judged = died.corrupt.is_some() && died.cause == ExitCause::Signal(SIGKILL);
                died.cause == *cause || judged
            }
            (Self::Judgement, Err(TaskError::WorkerDied(_))) => true,
            (Self::Panic(message), Err(TaskError::Panicked(panic))) => {
                panic.message == *message && panic.task.ends_with(TASK)
            }
            (Self::Codec(what, name, way), Err(TaskError::Encode(codec) | TaskError::Decode(codec))) => {
                let panicked = codec.reason.contains("panicked");
                codec.what == *what
                    && codec.reason.contains(MESSAGE)
                    && !codec.by_codec
                    && codec.type_name.contains(name)
                    && codec.task.ends_with(TASK)
                    && panicked == (*way == Way::Panicked)
                    && matches!(end, Err(TaskError::Encode(_))) == is_encoding(*what)
            }
            _ => false,
        };
        assert!(is_it, "the task ended in {end:?}");
    }
}

const TASK: &str = "deeds::perform";
const ANSWER: &str = "values::Answer";
const ORDER: &str = "values::Order";

fn is_encoding(what: Coded) -> bool {
    matches!(what, Coded::ArgumentsInCaller | Coded::ResultInWorker)
}
