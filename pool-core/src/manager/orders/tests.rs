//! The hand-over of the manager's turns, step by step and between two threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::*;

/// Counts its turns, and has callbacks that tell which turn they are from.
#[derive(Default)]
struct Counter {
    turns: u32,
    over: bool,
    callbacks: Vec<Callback>,
}

impl Counter {
    fn turn(&mut self, said: &mpsc::Sender<u32>) {
        let (turn, said) = (self.turns, said.clone());
        self.turns += 1;
        self.callbacks.push(Box::new(move || said.send(turn).unwrap()));
    }
}

impl Mind for Counter {
    fn is_over(&self) -> bool {
        self.over
    }

    fn callbacks(&mut self) -> &mut Vec<Callback> {
        &mut self.callbacks
    }
}

fn start(link: u64) -> Order {
    Order::Start(LinkId(link))
}

#[track_caller]
fn turn(orders: &Orders<Counter>) -> Box<Counter> {
    match orders.next() {
        Some(Job::Turn(mind)) => mind,
        Some(Job::Order(_)) => panic!("an order"),
        None => panic!("the end"),
    }
}

#[test]
fn a_deputy_that_has_not_begun_is_called_off_without_a_word() {
    let orders = Orders::default();
    orders.lend(Box::new(Counter::default()));
    let mind = orders.recall(|| panic!("nobody is to be roused"));
    assert_eq!(mind.turns, 0);
    orders.stop();
    assert!(orders.next().is_none());
}

#[test]
fn orders_come_before_turns_and_are_all_obeyed_before_the_end() {
    let orders = Orders::default();
    orders.lend(Box::new(Counter::default()));
    orders.give(start(0));
    assert!(matches!(orders.next(), Some(Job::Order(Order::Start(LinkId(0))))));
    let mind = turn(&orders);
    orders.give(start(1));
    orders.stop();
    orders.give_back(mind);
    assert!(matches!(orders.next(), Some(Job::Order(Order::Start(LinkId(1))))));
    assert!(orders.next().is_none());
}

#[test]
fn callbacks_of_a_deputys_turns_come_out_in_order_also_with_the_mind() {
    let (said, heard) = mpsc::channel();
    let orders = Orders::default();
    orders.lend(Box::new(Counter::default()));
    for _ in 0..2 {
        let mut mind = turn(&orders);
        mind.turn(&said);
        orders.give_back(mind);
    }
    orders.due().into_iter().for_each(|callback| callback());
    let mut mind = turn(&orders);
    mind.turn(&said);
    orders.give_back(mind);
    let mut mind = orders.recall(|| panic!("the turn is over"));
    mind.callbacks.drain(..).for_each(|callback| callback());
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_mind_that_is_over_has_no_further_turn() {
    let orders = Orders::default();
    orders.lend(Box::new(Counter { over: true, ..Counter::default() }));
    orders.stop();
    assert!(orders.next().is_none());
    assert!(orders.recall(|| panic!("nobody has it")).over);
}

#[test]
fn a_feeder_that_deserts_takes_the_mind_along_only_while_it_is_lent() {
    let orders = Orders::default();
    orders.give(start(0));
    let order = orders.next();
    assert!(order.is_some() && orders.desert().is_none());
    orders.lend(Box::new(Counter::default()));
    let mind = orders.desert().unwrap();
    orders.give_back(mind);
    assert!(orders.withdraw().is_empty(), "nobody is busy");
    assert_eq!(orders.recall(|| ()).turns, 0);
}

#[test]
fn withdrawn_orders_are_not_obeyed_and_the_one_in_hand_is_waited_for() {
    let orders = Arc::new(Orders::<Counter>::default());
    orders.give(start(0));
    orders.give(start(1));
    assert!(orders.next().is_some());
    let manager = Arc::clone(&orders);
    let obeyed = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&obeyed);
    let manager = crate::thread::spawn(move || {
        assert_eq!(manager.withdraw().len(), 1);
        assert!(done.load(Ordering::SeqCst));
    });
    while !orders.state.lock().stopped {
        std::thread::yield_now();
    }
    obeyed.store(true, Ordering::SeqCst);
    assert!(orders.next().is_none());
    manager.join().unwrap();
}

/// A feeder that takes turns whenever it may, against a manager that lends and recalls: no turn and no callback is lost,
/// and no two threads ever have the mind.
#[test]
fn turns_and_callbacks_survive_ten_thousand_hand_overs() {
    let orders = Arc::new(Orders::<Counter>::default());
    let (said, heard) = mpsc::channel();
    let theirs = (Arc::clone(&orders), said.clone());
    let feeder = crate::thread::spawn(move || {
        let (orders, said) = theirs;
        while let Some(job) = orders.next() {
            if let Job::Turn(mut mind) = job {
                mind.turn(&said);
                orders.give_back(mind);
            }
        }
    });
    let mut mind = Box::new(Counter::default());
    for round in 0..10_000 {
        mind.turn(&said);
        let mut callbacks = mem::take(&mut mind.callbacks);
        orders.lend(mind);
        if round % 7 == 0 {
            orders.give(start(round));
        }
        callbacks.drain(..).for_each(|callback| callback());
        orders.due().into_iter().for_each(|callback| callback());
        mind = orders.recall(|| ());
    }
    orders.stop();
    feeder.join().unwrap();
    mind.callbacks.drain(..).for_each(|callback| callback());
    drop(said);
    assert!(heard.try_iter().eq(0..mind.turns), "callbacks in the order of turns, each once");
}
