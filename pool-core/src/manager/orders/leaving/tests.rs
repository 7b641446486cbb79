//! The mind of a quiet pool, step by step and between threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::future::Callback;

/// Counts its turns, and notices if two threads have it.
#[derive(Default)]
struct Counter {
    turns: u32,
    callbacks: Vec<Callback>,
}

impl Mind for Counter {
    fn is_over(&self) -> bool {
        false
    }

    fn callbacks(&mut self) -> &mut Vec<Callback> {
        &mut self.callbacks
    }
}

/// Orders whose mind was left.
fn left() -> Orders<Counter> {
    let orders = Orders::default();
    assert!(orders.leave(Box::default(), |_| true).is_ok());
    orders
}

fn is_left(orders: &Orders<Counter>) -> bool {
    let seen = orders.standing.is_left.is_raised();
    assert_eq!(seen, matches!(orders.state.lock().turns, Turns::Left(_)));
    seen
}

#[test]
fn what_is_left_is_the_managers_again_when_the_lease_is_over() {
    let orders = left();
    assert_eq!(orders.stand_by().turns, 0);
    assert!(!is_left(&orders) && orders.borrow(|_| true).is_none());
}

#[test]
fn whoever_looks_while_it_is_being_left_is_heard() {
    let orders = Orders::<Counter>::default();
    let mind = orders.leave(Box::default(), |_| {
        assert!(orders.standing.is_left.is_raised(), "whoever says something now is going to call");
        false
    });
    assert!(mind.is_err() && !is_left(&orders));
    orders.call();
    assert!(matches!(orders.state.lock().turns, Turns::Kept));
}

#[test]
fn a_caller_borrows_what_is_left_and_leaves_it_again() {
    let orders = left();
    let mut mind = orders.borrow(|_| true).unwrap();
    assert!(!is_left(&orders) && orders.borrow(|_| true).is_none());
    mind.turns += 1;
    mind.leave(|mind| mind.turns == 1);
    assert!(is_left(&orders));
    assert!(orders.borrow(|_| false).is_none() && is_left(&orders));
    assert_eq!(orders.stand_by().turns, 1);
}

#[test]
fn a_call_takes_what_is_left_from_callers_and_a_loan_from_nobody() {
    let orders = left();
    orders.let_leases_last();
    orders.call();
    assert!(!is_left(&orders) && orders.borrow(|_| true).is_none());
    assert!(orders.leave(orders.stand_by(), |_| true).is_ok());
    let loan = orders.borrow(|_| true).unwrap();
    orders.call();
    assert!(matches!(orders.state.lock().turns, Turns::Borrowed));
    loan.leave(|_| true);
    assert!(is_left(&orders));
}

#[test]
fn a_caller_that_finds_no_quiet_or_panics_hands_over() {
    let orders = left();
    orders.let_leases_last();
    orders.borrow(|_| true).unwrap().leave(|_| false);
    assert!(!is_left(&orders));
    assert!(orders.leave(orders.stand_by(), |_| true).is_ok());
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _loan = orders.borrow(|_| true);
        panic!("in a turn");
    }));
    assert!(panic.is_err());
    assert_eq!(orders.stand_by().turns, 0);
}

#[test]
fn a_manager_that_dozes_while_a_caller_has_its_mind_counts_the_time_again_afterwards() {
    let orders = Arc::new(left());
    let loan = orders.borrow(|_| true).unwrap();
    let theirs = Arc::clone(&orders);
    let manager = crate::thread::spawn(move || theirs.stand_by().turns);
    while !orders.state.lock().dozes {
        std::thread::yield_now();
    }
    loan.leave(|_| true);
    assert_eq!(manager.join().unwrap(), 0);
}

/// A manager that stands by for ever unless it is called, callers that borrow and leave, and one that says something in
/// between: everything that was said is heard, and each turn is counted.
#[test]
fn nothing_that_is_said_waits_for_the_lease() {
    const ROUNDS: u32 = 20_000;
    let orders = Arc::new(Orders::<Counter>::default());
    orders.let_leases_last();
    // What was said, and how much of that a turn has heard.
    let said = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let heard = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let hear = |said: &std::sync::atomic::AtomicU32, heard: &std::sync::atomic::AtomicU32, mind: &mut Counter| {
        mind.turns += 1;
        heard.fetch_max(said.load(Ordering::SeqCst), Ordering::SeqCst);
    };
    let theirs = (Arc::clone(&orders), Arc::clone(&said), Arc::clone(&heard));
    let (done, finished) = std::sync::mpsc::channel();
    let manager = crate::thread::spawn(move || {
        let (orders, said, heard) = theirs;
        let mut mind = Box::<Counter>::default();
        while heard.load(Ordering::SeqCst) < ROUNDS {
            hear(&said, &heard, &mut mind);
            let is_quiet = |_: &Counter| said.load(Ordering::SeqCst) == heard.load(Ordering::SeqCst);
            mind = match orders.leave(mind, is_quiet) {
                Ok(()) => orders.stand_by(),
                Err(mind) => mind,
            };
        }
        done.send(mind.turns).unwrap();
    });
    let theirs = (Arc::clone(&orders), Arc::clone(&said), Arc::clone(&heard));
    let caller = crate::thread::spawn(move || {
        let (orders, said, heard) = theirs;
        let mut turns = 0;
        while heard.load(Ordering::SeqCst) < ROUNDS {
            if let Some(mut mind) = orders.borrow(|_| true) {
                turns += 1;
                hear(&said, &heard, &mut mind);
                mind.leave(|_| said.load(Ordering::SeqCst) == heard.load(Ordering::SeqCst));
            }
            std::thread::yield_now();
        }
        turns
    });
    for round in 1..=ROUNDS {
        said.store(round, Ordering::SeqCst);
        orders.call();
        while heard.load(Ordering::SeqCst) < round {
            std::thread::yield_now();
        }
    }
    let turns = caller.join().unwrap();
    let taken = loop {
        orders.call();
        if let Ok(taken) = finished.try_recv() {
            break taken;
        }
        std::thread::yield_now();
    };
    manager.join().unwrap();
    assert!(taken >= turns, "no turn is lost");
}
