//! How the task comes into the pool, and what else goes on there: the columns of the table. Each checks how the task
//! and its neighbours ended; what holds in every cell is checked in `cell`.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use pool_core::{Bytes, Future, ProcessPoolExecutor, Shutdown, SubmitError, TaskError};

use crate::clock::Clock;
use crate::deeds::{Deed, perform};
use crate::expected::Expected;
use crate::gate::{Gate, stop_at};
use crate::values::{Answer, Order};

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Direct,
    Callback,
    MapItem,
    NeighbourBusy,
    OneWorker,
    LargeArgument,
    Shutdown,
}

pub(crate) const COLUMNS: [Column; 7] = [
    Column::Direct,
    Column::Callback,
    Column::MapItem,
    Column::NeighbourBusy,
    Column::OneWorker,
    Column::LargeArgument,
    Column::Shutdown,
];

impl Column {
    /// What the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Callback => "callback",
            Self::MapItem => "map item",
            Self::NeighbourBusy => "neighbour busy",
            Self::OneWorker => "one worker",
            Self::LargeArgument => "large argument",
            Self::Shutdown => "shutdown",
        }
    }

    pub(crate) fn workers(self) -> usize {
        if self == Self::OneWorker { 1 } else { 2 }
    }

    /// Lets it happen.
    pub(crate) fn play(self, scene: &Scene, pool: &ProcessPoolExecutor) -> Ended {
        match self {
            Self::Direct | Self::OneWorker => scene.among_neighbours(pool, 0),
            Self::LargeArgument => scene.among_neighbours(pool, 8 << 20),
            Self::Callback => scene.inside_a_callback(pool),
            Self::MapItem => scene.as_an_item(pool),
            Self::NeighbourBusy => scene.beside_a_busy_worker(pool),
            Self::Shutdown => scene.in_a_shutdown(pool),
        }
    }
}

/// What the cells of a row have in common.
pub(crate) struct Scene {
    pub(crate) deed: Deed,
    pub(crate) clock: Clock,
    /// Where tasks stop.
    pub(crate) gate: Gate,
    /// Where threads stop that were left behind.
    pub(crate) behind: Gate,
    /// How many neighbours failed with the guilty one, as they may where it wrote over what tells whether they ran.
    pub(crate) lost: Cell<usize>,
    /// How often the guilty one was begun again, for the same reason.
    pub(crate) again: Cell<usize>,
}

/// How the task ended, which was as expected.
pub(crate) struct Ended {
    pub(crate) answer: Option<Answer>,
    /// From the event to the future, where the event is in another process.
    pub(crate) took: Option<Duration>,
}

type Submitted = Result<Future<Answer>, SubmitError>;

impl Scene {
    pub(crate) fn new(deed: Deed) -> Self {
        Self {
            deed,
            clock: Clock::new(),
            gate: Gate::new(),
            behind: Gate::new(),
            lost: Cell::new(0),
            again: Cell::new(0),
        }
    }

    fn order(&self, deed: Deed, number: u64, size: usize) -> Order {
        let bulk = Bytes::from(vec![7; size]);
        Order { clock: self.clock.name(), gate: self.behind.name(), deed, number, bulk }
    }

    fn guilty(&self, pool: &ProcessPoolExecutor, size: usize) -> Submitted {
        pool.submit(perform, (self.order(self.deed, 1, size),))
    }

    fn neighbour(&self, pool: &ProcessPoolExecutor, number: u64, size: usize) -> Neighbour {
        let order = self.order(Deed::Nothing, number, size);
        let value = order.expected_value();
        Neighbour { value, future: pool.submit(perform, (order,)).unwrap() }
    }

    /// Waits for the end of the guilty task, and judges it.
    fn settle(&self, submitted: Submitted) -> Ended {
        let end = submitted.map_err(TaskError::from).and_then(|future| future.result());
        self.judge(end)
    }

    fn judge(&self, end: Result<Answer, TaskError>) -> Ended {
        let (count, took) = self.clock.events();
        Expected::of(self.deed).assert(&end);
        match (self.deed, count) {
            // It took place here.
            (Deed::ArgumentsPanicInSerialize, 0) => {}
            // Their Deserialize is run once more, for its message; the task is not.
            (Deed::ArgumentsAreNotDecoded, 2) => {}
            (deed, 1) if deed != Deed::ArgumentsAreNotDecoded => {}
            // What told that it was begun is gone, and today the pool guesses wrong in the middle of a chunk.
            (deed, 2..) if deed.overwrites() => self.again.set(count - 1),
            (_, count) => panic!("the task began {count} times"),
        }
        Ended { answer: end.ok(), took }
    }

    fn among_neighbours(&self, pool: &ProcessPoolExecutor, size: usize) -> Ended {
        let before = self.neighbour(pool, 2, size);
        let guilty = self.guilty(pool, size);
        let behind = [self.neighbour(pool, 3, size), self.neighbour(pool, 4, 0)];
        let ended = self.settle(guilty);
        self.assert_finishes(before);
        behind.into_iter().for_each(|neighbour| self.assert_finishes(neighbour));
        ended
    }

    fn inside_a_callback(&self, pool: &ProcessPoolExecutor) -> Ended {
        let (send, receive) = mpsc::channel();
        let handle = pool.handle();
        let order = self.order(self.deed, 1, 0);
        pool.submit(u64::pow, (2, 8)).unwrap().add_done_callback(move |_| {
            let guilty = handle.submit(perform, (order.clone(),));
            let neighbour = handle.submit(u64::pow, (3, 2));
            send.send((guilty, neighbour)).unwrap();
        });
        let (guilty, neighbour) = receive.recv().unwrap();
        let ended = self.settle(guilty);
        assert_eq!(neighbour.unwrap().result().unwrap(), 9);
        ended
    }

    fn as_an_item(&self, pool: &ProcessPoolExecutor) -> Ended {
        const GUILTY: u64 = 2;
        let orders = (0..8).map(|number| {
            let deed = if number == GUILTY { self.deed } else { Deed::Nothing };
            self.order(deed, number, 0)
        });
        let results = pool.batch().chunksize(4).map(perform, orders).unwrap();
        let mut ended = None;
        let mut count = 0;
        for (number, result) in (0..).zip(results) {
            count += 1;
            match number {
                GUILTY => ended = Some(self.judge(result)),
                _ => self.assert_value(number * 3, result),
            }
        }
        assert_eq!(count, 8, "items");
        ended.unwrap()
    }

    fn beside_a_busy_worker(&self, pool: &ProcessPoolExecutor) -> Ended {
        let busy = pool.submit(stop_at, (self.gate.name(), 5)).unwrap();
        let held = self.gate.next();
        let ended = self.settle(self.guilty(pool, 0));
        assert!(busy.running(), "{busy:?}");
        drop(held);
        assert_eq!(busy.result().unwrap(), 5);
        ended
    }

    fn in_a_shutdown(&self, pool: &ProcessPoolExecutor) -> Ended {
        let busy = [5, 6].map(|number| pool.submit(stop_at, (self.gate.name(), number)).unwrap());
        let held = [self.gate.next(), self.gate.next()];
        let guilty = self.guilty(pool, 0);
        let behind = [2, 3].map(|number| self.neighbour(pool, number, 0));
        pool.shutdown_with(Shutdown::new().no_wait());
        drop(held);
        let ended = self.settle(guilty);
        assert_eq!(busy.map(|future| future.result().unwrap()), [5, 6]);
        behind.into_iter().for_each(|neighbour| self.assert_finishes(neighbour));
        ended
    }

    #[track_caller]
    fn assert_finishes(&self, neighbour: Neighbour) {
        self.assert_value(neighbour.value, neighbour.future.result());
    }

    #[track_caller]
    fn assert_value(&self, value: u64, end: Result<Answer, TaskError>) {
        match end {
            Ok(answer) => assert_eq!(answer.value, value),
            // It was posted to the same worker ahead of time. Whether it ran was written where the task wrote.
            Err(TaskError::WorkerDied(died)) if self.deed.overwrites() && died.corrupt.is_some() => {
                self.lost.set(self.lost.get() + 1);
            }
            Err(error) => panic!("a neighbour failed: {error}"),
        }
    }
}

/// A task that does nothing wrong.
struct Neighbour {
    value: u64,
    future: Future<Answer>,
}
