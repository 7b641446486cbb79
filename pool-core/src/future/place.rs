//! Where a future's task is, and in the end what came of it, in two words: a million futures may wait.
//!
//! Keeps true: it is no larger than that. Never moves by itself: that is `state`.

use std::sync::Arc;

use pool_ipc::{Link, Ticket};

use crate::error::TaskError;
use crate::future::pack::Pack;
use crate::future::value::{Conclusion, Encoded, SmallValue};

/// Where the task is. Only `Shared`'s methods move it; the drawing in `state` has every step.
pub(super) enum Place {
    /// With the pool, or with nobody yet.
    Queued,
    /// With a worker, which may or may not have begun it, in a frame of its own. Most tasks of many have a pack instead.
    Posted(Box<(Arc<dyn Link>, Ticket)>),
    /// The same, with others, or about to be.
    Packed {
        pack: Arc<Pack>,
        item: u32,
    },
    /// A completer said that it runs.
    Running,
    /// It is done, and this is the outcome, as the other two: those of [`Conclusion`], which would take more room in one.
    Small(SmallValue),
    Value(Arc<Encoded>),
    Error(Arc<TaskError>),
}

impl From<Conclusion> for Place {
    fn from(conclusion: Conclusion) -> Self {
        match conclusion {
            Conclusion::Small(small) => Self::Small(small),
            Conclusion::Value(encoded) => Self::Value(encoded),
            Conclusion::Error(error) => Self::Error(error),
        }
    }
}

impl Place {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Small(_) | Self::Value(_) | Self::Error(_))
    }

    /// The outcome, if it is there.
    pub(super) fn conclusion(&self) -> Option<Conclusion> {
        Some(match self {
            Self::Small(small) => Conclusion::Small(*small),
            Self::Value(encoded) => Conclusion::Value(Arc::clone(encoded)),
            Self::Error(error) => Conclusion::Error(Arc::clone(error)),
            Self::Queued | Self::Posted(_) | Self::Packed { .. } | Self::Running => return None,
        })
    }
}
