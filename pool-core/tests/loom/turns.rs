//! Models of the hand-over of the manager's turns: its orders and flags are the real ones, and what lies around them is written
//! here again, in few lines (see `pool.rs`, `threads.rs` and `caller.rs` of src/manager). Each is explored twice, see
//! `sync/flag.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use loom::sync::{Condvar, Mutex};
use loom::thread;

use pool_core::model::{Flag, Lease, Loads, Mind, Turns, choose_loads};

fn explore(model: impl Fn() + Send + Sync + Clone + 'static) {
    for looks in [Loads::Plain, Loads::Strong] {
        let model = model.clone();
        loom::model(move || {
            choose_loads(looks);
            model();
        });
    }
}

/// What callers, the feeder and the manager share, as far as turns need it.
struct Pool {
    turns: Turns,
    woken: Flag,
    /// How much was said that no turn has heard.
    inbox: Mutex<u32>,
    /// What workers brought that no turn has heard, and what turns have brought to futures and to the pool.
    brought: Mutex<Brought>,
    /// Something was heard, or a future is done.
    changed: Condvar,
    /// How many workers have something to do.
    away: Mutex<u32>,
    hub: Hub,
}

#[derive(Default)]
struct Brought {
    published: bool,
    done: bool,
    heard: u32,
}

/// Who waits here is woken by workers and by those who say something.
#[derive(Default)]
struct Hub {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Hub {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.bell.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.bell.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Pool {
    fn new(lease: Lease) -> Arc<Self> {
        Arc::new(Self {
            turns: Turns::new(lease),
            woken: Flag::default(),
            inbox: Mutex::default(),
            brought: Mutex::default(),
            changed: Condvar::default(),
            away: Mutex::default(),
            hub: Hub::default(),
        })
    }

    /// One whose manager has left its mind.
    fn left(lease: Lease) -> Arc<Self> {
        let pool = Self::new(lease);
        assert!(pool.turns.leave(Box::default(), || true).is_ok());
        pool
    }

    /// The manager is told something.
    fn tell(&self) {
        *self.inbox.lock().unwrap() += 1;
        if self.woken.raise() {
            self.hub.ring();
            self.turns.call();
        }
    }

    fn is_quiet_but_for(&self, workers: u32) -> bool {
        !self.woken.is_raised() && *self.away.lock().unwrap() <= workers
    }

    /// A turn, once the wait is over.
    fn decide(&self, mind: &mut Mind) {
        mind.turns += 1;
        let mut heard = 0;
        if self.woken.is_raised() {
            self.woken.set(false);
            heard = std::mem::take(&mut *self.inbox.lock().unwrap());
        }
        let mut brought = self.brought.lock().unwrap();
        brought.heard += heard;
        if std::mem::take(&mut brought.published) {
            brought.done = true;
            *self.away.lock().unwrap() -= 1;
        }
        self.changed.notify_all();
    }

    fn has_heard(&self) -> u32 {
        self.brought.lock().unwrap().heard
    }

    fn is_done(&self) -> bool {
        self.brought.lock().unwrap().done
    }

    fn await_brought(&self, is_enough: impl Fn(&Brought) -> bool) {
        let mut brought = self.brought.lock().unwrap();
        while !is_enough(&brought) {
            brought = self.changed.wait(brought).unwrap();
        }
    }

    /// The manager, which leaves its mind whenever it may, until it was told so much. A turn does not wait here.
    fn manage(&self, mut mind: Box<Mind>, tales: u32) -> Box<Mind> {
        loop {
            self.decide(&mut mind);
            if self.has_heard() >= tales {
                return mind;
            }
            mind = match self.turns.leave(mind, || self.is_quiet_but_for(0)) {
                Ok(()) => self.turns.stand_by(),
                Err(mind) => mind,
            };
        }
    }

    /// The same, where turns wait for the bell.
    fn manage_by_the_bell(&self, tales: u32) {
        let mut mind = self.turns.stand_by();
        while self.has_heard() < tales {
            self.hub.wait();
            self.decide(&mut mind);
            mind = match self.turns.leave(mind, || self.is_quiet_but_for(0)) {
                Ok(()) if self.has_heard() < tales => self.turns.stand_by(),
                Ok(()) => return,
                Err(mind) => mind,
            };
        }
    }

    /// A caller that waits for the result of the task that is away.
    fn result(&self) {
        if self.is_done() {
            return;
        }
        self.take_turns();
        self.await_brought(|brought| brought.done);
    }

    fn take_turns(&self) {
        let Some(mut mind) = self.turns.borrow(|| self.is_quiet_but_for(1)) else { return self.turns.call() };
        while !self.is_done() {
            self.hub.wait();
            self.decide(&mut mind);
            if self.is_done() {
                break;
            }
            if !self.is_quiet_but_for(1) {
                drop(mind);
                return self.turns.call();
            }
        }
        mind.leave(|| self.is_quiet_but_for(0));
    }

    /// A task is posted straight to a worker, which publishes its outcome some time.
    fn submit(self: &Arc<Self>) -> thread::JoinHandle<()> {
        *self.away.lock().unwrap() += 1;
        let pool = Arc::clone(self);
        thread::spawn(move || {
            pool.brought.lock().unwrap().published = true;
            pool.hub.ring();
        })
    }
}

#[test]
fn what_is_told_while_the_mind_is_being_left_is_heard() {
    explore(|| {
        let pool = Pool::new(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.manage(Box::default(), 1));
        pool.tell();
        manager.join().unwrap();
    });
}

#[test]
fn of_two_who_tell_something_at_a_time_both_are_heard() {
    explore(|| {
        let pool = Pool::new(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.manage(Box::default(), 2));
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || theirs.tell());
        pool.tell();
        other.join().unwrap();
        manager.join().unwrap();
    });
}

#[test]
fn what_is_told_while_a_caller_has_the_mind_is_heard_by_it_or_by_the_manager() {
    explore(|| {
        let pool = Pool::left(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.manage(theirs.turns.stand_by(), 2));
        let theirs = Arc::clone(&pool);
        let caller = thread::spawn(move || {
            let Some(mut mind) = theirs.turns.borrow(|| true) else { return };
            theirs.decide(&mut mind);
            mind.leave(|| theirs.is_quiet_but_for(0));
        });
        pool.tell();
        pool.await_brought(|brought| brought.heard == 1);
        caller.join().unwrap();
        pool.tell();
        manager.join().unwrap();
    });
}

#[test]
fn a_caller_that_lets_go_of_the_mind_gives_it_to_the_manager_that_stands_by() {
    explore(|| {
        let pool = Pool::left(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.turns.stand_by().turns);
        let borrowed = pool.turns.borrow(|| true).map(|mut mind| mind.turns += 1);
        assert!(borrowed.is_some(), "nobody else takes it");
        assert_eq!(manager.join().unwrap(), 1);
    });
}

#[test]
fn a_manager_that_is_called_or_whose_lease_is_over_has_every_turn_that_callers_took() {
    for lease in [Lease::Endless, Lease::Over] {
        explore(move || {
            let pool = Pool::left(lease);
            let theirs = Arc::clone(&pool);
            let manager = thread::spawn(move || theirs.turns.stand_by());
            let taken = Arc::new(AtomicU32::new(0));
            let caller = |goes_away: bool| {
                let (pool, taken) = (Arc::clone(&pool), Arc::clone(&taken));
                move || {
                    let Some(mut mind) = pool.turns.borrow(|| true) else { return };
                    mind.turns += 1;
                    taken.fetch_add(1, Ordering::Relaxed);
                    if !goes_away {
                        mind.leave(|| true);
                    }
                }
            };
            let other = thread::spawn(caller(true));
            caller(false)();
            other.join().unwrap();
            if matches!(lease, Lease::Endless) {
                pool.turns.call();
            }
            assert_eq!(manager.join().unwrap().turns, taken.load(Ordering::Relaxed));
            assert!(pool.turns.borrow(|| true).is_none(), "the manager has it");
        });
    }
}

#[test]
fn a_result_is_brought_to_the_caller_that_waits_for_it() {
    explore(|| {
        let pool = Pool::left(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.manage_by_the_bell(1));
        let worker = pool.submit();
        pool.result();
        worker.join().unwrap();
        pool.tell();
        manager.join().unwrap();
    });
}

#[test]
fn a_result_is_brought_to_a_caller_that_comes_while_another_one_leaves_the_mind() {
    explore(|| {
        let pool = Pool::left(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let manager = thread::spawn(move || theirs.manage_by_the_bell(1));
        let theirs = Arc::clone(&pool);
        let other = thread::spawn(move || {
            let Some(mut mind) = theirs.turns.borrow(|| theirs.is_quiet_but_for(0)) else { return };
            mind.turns += 1;
            mind.leave(|| theirs.is_quiet_but_for(0));
        });
        // Its worker is done at once.
        *pool.away.lock().unwrap() += 1;
        pool.brought.lock().unwrap().published = true;
        pool.hub.ring();
        pool.result();
        other.join().unwrap();
        pool.tell();
        manager.join().unwrap();
    });
}

#[test]
fn a_deputy_takes_turns_only_while_they_are_lent() {
    explore(|| {
        let pool = Pool::new(Lease::Endless);
        let theirs = Arc::clone(&pool);
        let feeder = thread::spawn(move || {
            let mut taken = 0;
            while let Some(mut mind) = theirs.turns.next() {
                mind.turns += 1;
                taken += 1;
                theirs.turns.give_back(mind);
                // One is enough: it would take turns for as long as it may.
                break;
            }
            taken
        });
        pool.turns.lend(Box::default());
        let mind = pool.turns.recall(|| ());
        pool.turns.stop();
        assert_eq!(feeder.join().unwrap(), mind.turns);
    });
}
