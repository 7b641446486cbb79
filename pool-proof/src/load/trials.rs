//! Tasks with terms: such as fail in their first attempt and are run again, such as have to be stopped at a limit or by a
//! kill, such as have a limit and keep it, and such as may come too late while they wait. The player waits for each.

use std::ops::ControlFlow;
use std::time::Duration;

use pool_core::{Future, RetryPolicy, SubmitError};

use super::Player;
use super::verdict::{Expected, end_of, refusal};
use crate::book::Terms;
use crate::random::Random;
use crate::tasks::{self, answer};

/// How often a task is run at most: the storm takes some of the attempts.
const ATTEMPTS: u32 = 4;

/// A limit that every task keeps that is not made to go over it, also where its worker is stopped for a while.
const WIDE: Duration = Duration::from_secs(60);

/// A limit that no endless task keeps.
const NARROW: Duration = Duration::from_millis(20);

/// The longest until a kill, and the longest until a deadline.
const SOON: Duration = Duration::from_millis(15);

/// What is submitted, and how many of a hundred it is.
const TRIALS: [(Trial, u64); 8] = [
    (Trial::AbortFirst, 15),
    (Trial::PanicFirst, 10),
    (Trial::WithinTimeout, 20),
    (Trial::PastTimeout, 15),
    (Trial::PastDeadline, 10),
    (Trial::DeadlineInQueue, 15),
    (Trial::KillEndless, 10),
    (Trial::KillQuick, 5),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    AbortFirst,
    PanicFirst,
    WithinTimeout,
    PastTimeout,
    PastDeadline,
    DeadlineInQueue,
    KillEndless,
    KillQuick,
}

impl Trial {
    fn terms(self) -> Terms {
        let plain = Terms::default();
        match self {
            Self::AbortFirst => Terms { attempts: ATTEMPTS as u8, aborts_first: true, fails_first: true, ..plain },
            Self::PanicFirst => Terms { attempts: ATTEMPTS as u8, fails_first: true, ..plain },
            Self::WithinTimeout => plain,
            Self::PastTimeout | Self::PastDeadline | Self::DeadlineInQueue => Terms { is_limited: true, ..plain },
            Self::KillEndless | Self::KillQuick => Terms { is_killed: true, ..plain },
        }
    }

    /// What the task comes to.
    fn expected(self, task: u64) -> Expected {
        match self {
            Self::PastTimeout | Self::PastDeadline | Self::KillEndless if !tasks::ends_when_asked(task) => {
                Expected::Stop
            }
            Self::PanicFirst => Expected::ValueAtLast,
            _ => Expected::Value,
        }
    }
}

/// One turn: a few of one kind, side by side.
pub(super) fn play(player: &Player, random: &mut Random) -> ControlFlow<()> {
    let trial = match TRIALS[random.position(&TRIALS)].0 {
        Trial::AbortFirst if player.spares_workers => Trial::PanicFirst,
        trial => trial,
    };
    let count = if trial == Trial::DeadlineInQueue { 16 } else { 1 + random.index(3) };
    let mut under_way = Vec::new();
    for _ in 0..count {
        let task = player.book.open_on(trial.terms());
        match submit(player, trial, task, random) {
            Ok(future) => under_way.push((task, future)),
            Err(error) => player.book.settle(task, refusal(&error)),
        }
    }
    if trial.terms().is_killed {
        std::thread::park_timeout(random.duration(SOON));
        under_way.iter().for_each(|(task, future)| kill(player, *task, future));
    }
    let is_open = under_way.len() == count;
    for (task, future) in under_way {
        let end = end_of(future.result(), trial.expected(task), |value| *value == answer(task));
        player.book.settle(task, end);
    }
    if is_open { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn submit(player: &Player, trial: Trial, task: u64, random: &mut Random) -> Result<Future<u64>, SubmitError> {
    let options = player.pool.task();
    let quickly = |random: &mut Random| {
        let first = random.duration(Duration::from_millis(10));
        RetryPolicy::new(ATTEMPTS).poison_limit(ATTEMPTS).on_panic(true).backoff(first, 2 * first)
    };
    match trial {
        Trial::AbortFirst => options.retry(quickly(random)).submit(tasks::abort_first, (task,)),
        Trial::PanicFirst => options.retry(quickly(random)).submit(tasks::panic_first, (task,)),
        Trial::WithinTimeout => options.timeout(WIDE).deadline(WIDE).submit(tasks::tiny, (task,)),
        Trial::PastTimeout => options.timeout(NARROW).submit(tasks::endless, (task,)),
        Trial::PastDeadline => options.deadline(NARROW).submit(tasks::endless, (task,)),
        Trial::DeadlineInQueue => options.deadline(random.duration(SOON)).submit(tasks::five_milliseconds, (task,)),
        Trial::KillEndless => options.submit(tasks::endless, (task,)),
        Trial::KillQuick => options.submit(tasks::five_milliseconds, (task,)),
    }
}

fn kill(player: &Player, task: u64, future: &Future<u64>) {
    player.book.kill(task);
    future.kill();
}
