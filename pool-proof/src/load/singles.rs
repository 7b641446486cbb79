//! Single submits whose futures nobody waits for: a callback settles each, and some callbacks submit the next task.
//! Some are cancelled, at once or a little later.

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use pool_core::{Bytes, Future, Handle, SubmitError};
use serde::de::DeserializeOwned;

use super::verdict::{Expected, end_of, refusal};
use super::{Player, Room};
use crate::book::{Book, Cancel};
use crate::random::Random;
use crate::tasks::{self, answer};

/// How many may be under way.
const MOST_UNDER_WAY: usize = 64;

/// The size of what travels inside of a link's own memory.
const BYTES: usize = 100_000;

/// One of so many is cancelled.
const CANCELS: u64 = 8;

/// The longest until a cancel.
const LONGEST_HESITATION: Duration = Duration::from_millis(3);

/// What is submitted, and how many of a hundred it is.
const KINDS: [(Kind, u64); 7] = [
    (Kind::Tiny, 62),
    (Kind::FiveMilliseconds, 10),
    (Kind::Takes, 10),
    (Kind::Gives, 10),
    (Kind::Panics, 4),
    (Kind::LeavesChild, 2),
    (Kind::WaitsForChild, 2),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tiny,
    FiveMilliseconds,
    Takes,
    Gives,
    Panics,
    LeavesChild,
    WaitsForChild,
}

/// One turn: a few tasks of one kind, or for tiny ones a burst.
pub(super) fn play(player: &Player, random: &mut Random) -> ControlFlow<()> {
    let desk = Desk { handle: player.pool.handle(), book: Arc::clone(&player.book), room: Arc::clone(&player.room) };
    let (kind, _) = KINDS[random.position(&KINDS)];
    let tasks = match kind {
        Kind::Tiny if random.one_in(8) => MOST_UNDER_WAY,
        Kind::Tiny => 1 + random.index(8),
        _ => 1,
    };
    for _ in 0..tasks {
        player.room.enter_below(MOST_UNDER_WAY);
        let followers = if random.one_in(4) { 2 } else { 0 };
        let hesitation = random.one_in(CANCELS).then(|| match random.one_in(2) {
            true => Duration::ZERO,
            false => random.duration(LONGEST_HESITATION),
        });
        desk.submit(kind, Plan { followers, hesitation })?;
    }
    ControlFlow::Continue(())
}

/// What is to become of a task.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// How many tasks are submitted after it, each by the callback of the one before.
    followers: u32,
    /// When it is cancelled, if it is.
    hesitation: Option<Duration>,
}

/// What callbacks own.
#[derive(Clone, Debug)]
struct Desk {
    handle: Handle,
    book: Arc<Book>,
    room: Arc<Room>,
}

impl Desk {
    /// Submits one. The caller has entered the room for it.
    fn submit(&self, kind: Kind, plan: Plan) -> ControlFlow<()> {
        let task = self.book.open();
        let is_answer = move |value: &u64| *value == answer(task);
        let number = |submitted, expected| self.launch(task, plan, submitted, expected, is_answer);
        match kind {
            Kind::Tiny => number(self.handle.submit(tasks::tiny, (task,)), Expected::Value),
            Kind::FiveMilliseconds => number(self.handle.submit(tasks::five_milliseconds, (task,)), Expected::Value),
            Kind::Panics => number(self.handle.submit(tasks::panics, (task,)), Expected::Panic),
            Kind::LeavesChild => number(self.handle.submit(tasks::leave_child, (task,)), Expected::Value),
            Kind::WaitsForChild => number(self.handle.submit(tasks::wait_for_child, (task,)), Expected::Value),
            Kind::Takes => {
                let payload = tasks::payload(task, BYTES);
                number(self.handle.submit(tasks::take, (task, payload)), Expected::Value)
            }
            Kind::Gives => {
                let submitted = self.handle.submit(tasks::give, (task, BYTES));
                let is_right = move |bytes: &Bytes| bytes.len() == BYTES && tasks::is_payload(task, bytes);
                self.launch(task, plan, submitted, Expected::Value, is_right)
            }
        }
    }

    /// Sees to it that the task is settled.
    fn launch<R: DeserializeOwned + Debug + Send + 'static>(
        &self,
        task: u64,
        plan: Plan,
        submitted: Result<Future<R>, SubmitError>,
        expected: Expected,
        is_right: impl FnOnce(&R) -> bool + Send + 'static,
    ) -> ControlFlow<()> {
        let future = match submitted {
            Ok(future) => future,
            Err(error) => {
                self.book.settle(task, refusal(&error));
                self.room.leave();
                return ControlFlow::Break(());
            }
        };
        let desk = self.clone();
        future.add_done_callback(move |future| {
            desk.book.settle(task, end_of(future.result(), expected, is_right));
            if let Some(followers) = plan.followers.checked_sub(1) {
                desk.room.enter();
                // A pool that takes nothing any more has settled it.
                let _ = desk.submit(Kind::Tiny, Plan { followers, hesitation: None });
            }
            desk.room.leave();
        });
        if let Some(hesitation) = plan.hesitation {
            std::thread::park_timeout(hesitation);
            self.cancel(task, &future);
        }
        ControlFlow::Continue(())
    }

    fn cancel<R>(&self, task: u64, future: &Future<R>) {
        self.book.cancel(task, Cancel::Asked);
        let answer = if future.cancel() { Cancel::Granted } else { Cancel::Declined };
        self.book.cancel(task, answer);
    }
}
