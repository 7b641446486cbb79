//! Mixed load on a pool: players submit, wait, cancel and map at random, and enter in the book what each future says.
//!
//! Keeps true: every task has a number and is settled once, by its callback or by who waits for it; what is under way is
//! bounded. A kind of load is a file here, and joins `PLAYERS`.

mod batches;
mod large;
mod room;
mod singles;
mod trials;
mod verdict;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pool_core::{ProcessPoolExecutor, thread};

use self::room::Room;
use crate::book::Book;
use crate::random::Random;

/// What a player does in one turn; it breaks off when the pool takes nothing any more.
type Play = fn(&Player, &mut Random) -> ControlFlow<()>;

/// Who plays: two of those that have the most to meet by chance.
const PLAYERS: [Play; 7] =
    [singles::play, singles::play, batches::play, batches::play, large::play, trials::play, trials::play];

/// Load that goes on.
#[derive(Debug)]
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    players: Vec<thread::JoinHandle<()>>,
    room: Arc<Room>,
}

/// What a player has.
#[derive(Debug)]
struct Player {
    pool: Arc<ProcessPoolExecutor>,
    book: Arc<Book>,
    room: Arc<Room>,
    /// No task ends its worker.
    spares_workers: bool,
}

impl Load {
    /// Begins it.
    pub(crate) fn start(pool: &Arc<ProcessPoolExecutor>, book: &Arc<Book>, seed: u64) -> Self {
        Self::start_with(pool, book, seed, false)
    }

    /// Begins one of which no task ends its worker.
    pub(crate) fn start_sparing_workers(pool: &Arc<ProcessPoolExecutor>, book: &Arc<Book>, seed: u64) -> Self {
        Self::start_with(pool, book, seed, true)
    }

    fn start_with(pool: &Arc<ProcessPoolExecutor>, book: &Arc<Book>, seed: u64, spares_workers: bool) -> Self {
        let (over, room) = (Arc::new(AtomicBool::new(false)), Arc::new(Room::default()));
        let players = PLAYERS.into_iter().zip(1..).map(|(play, number)| {
            let player =
                Player { pool: Arc::clone(pool), book: Arc::clone(book), room: Arc::clone(&room), spares_workers };
            let (mut random, over) = (Random::new(seed, number), Arc::clone(&over));
            thread::spawn(move || while !over.load(Ordering::SeqCst) && play(&player, &mut random).is_continue() {})
        });
        let players = players.collect();
        Self { over, players, room }
    }

    /// Ends it, and waits until every future has come to its end.
    pub(crate) fn end(self) {
        self.over.store(true, Ordering::SeqCst);
        for player in self.players {
            player.join().expect("players do not panic");
        }
        self.room.wait_until_empty();
    }
}
