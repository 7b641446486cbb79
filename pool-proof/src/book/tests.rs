//! Each rule of the book finds what breaks it, and lets pass what does not.

use super::*;

const WORKER: Worker = Worker { pid: 7, life: 1 };

/// How many violations these entries about tasks 0 and 1 are. What is left open is settled as not looked at.
fn violations(enter: impl FnOnce(&Book)) -> u64 {
    let book = Book::new(Arc::new(Findings::new()), Arc::new(Progress::new()));
    let tasks = [book.open(), book.open()];
    enter(&book);
    for task in tasks {
        let is_open = book.pages().account(task).end == Came::Nothing;
        if is_open {
            book.settle(task, End::Unseen);
        }
    }
    book.audit();
    book.findings.count()
}

fn begin(book: &Book, task: u64, worker: Worker) {
    book.enter_record(&Record { task, worker, deed: Deed::Began });
}

fn died(pid: u32, signal: i32) -> End {
    End::Lost(Death { pid, signal: Some(signal), text: "of a test".to_owned() })
}

#[test]
fn tasks_that_ran_once_and_have_values_are_fine() {
    let fine = violations(|book| {
        begin(book, 0, WORKER);
        book.settle(0, End::Right);
        book.settle(1, End::Panicked);
        begin(book, 1, WORKER);
    });
    assert_eq!(fine, 0);
}

#[test]
fn an_end_too_many_or_none_is_found() {
    let twice = violations(|book| {
        begin(book, 0, WORKER);
        book.settle(0, End::Right);
        book.settle(0, End::Right);
    });
    assert_eq!(twice, 1);
    let book = Book::new(Arc::new(Findings::new()), Arc::new(Progress::new()));
    book.open();
    book.audit();
    assert_eq!(book.findings.count(), 1);
}

#[test]
fn a_second_run_is_found_wherever_it_is() {
    for other in [WORKER, Worker { pid: 8, life: 1 }] {
        let twice = violations(|book| {
            begin(book, 0, WORKER);
            begin(book, 0, other);
        });
        assert_eq!(twice, 1);
    }
}

#[test]
fn a_value_of_what_never_ran_is_found() {
    assert_eq!(violations(|book| book.settle(0, End::Right)), 1);
}

#[test]
fn an_end_by_a_signal_is_fine_once_for_each_that_was_sent() {
    let lose = |shots: u32, ends: u64| {
        violations(|book| {
            (0..shots).for_each(|_| book.shoot(7, 9));
            (0..ends).for_each(|task| book.settle(task, died(7, 9)));
        })
    };
    assert_eq!([lose(1, 1), lose(2, 2), lose(1, 2), lose(0, 1)], [0, 0, 1, 1]);
}

#[test]
fn an_end_by_another_signal_or_another_process_or_in_another_way_is_found() {
    for end in [died(7, 6), died(8, 9), End::Lost(Death { pid: 7, signal: None, text: String::new() })] {
        let found = violations(|book| {
            book.shoot(7, 9);
            book.settle(0, end);
        });
        assert_eq!(found, 1);
    }
}

#[test]
fn only_the_last_that_a_worker_began_may_be_lost() {
    let lose = |lost: u64, known_before: bool| {
        violations(|book| {
            book.shoot(7, 9);
            if known_before {
                book.settle(lost, died(7, 9));
            }
            begin(book, 0, WORKER);
            begin(book, 1, WORKER);
            if !known_before {
                book.settle(lost, died(7, 9));
            }
        })
    };
    assert_eq!([lose(1, true), lose(1, false)], [0, 0]);
    assert!(lose(0, true) > 0 && lose(0, false) > 0);
}

#[test]
fn blame_for_what_ran_in_another_worker_is_found() {
    let found = violations(|book| {
        book.shoot(7, 9);
        begin(book, 0, Worker { pid: 8, life: 1 });
        book.settle(0, died(7, 9));
    });
    assert_eq!(found, 1);
}

#[test]
fn a_cancel_counts_if_it_was_asked_for_and_the_task_did_not_run() {
    let cancel = |asked: Cancel, end: End, ran: bool| {
        violations(|book| {
            book.cancel(0, asked);
            if ran {
                begin(book, 0, WORKER);
            }
            book.settle(0, end);
        })
    };
    assert_eq!(cancel(Cancel::Granted, End::Cancelled, false), 0);
    assert_eq!(cancel(Cancel::Declined, End::Right, true), 0);
    assert_eq!(cancel(Cancel::NotAsked, End::Cancelled, false), 1);
    assert_eq!(cancel(Cancel::Granted, End::Right, true), 1);
    assert!(cancel(Cancel::Granted, End::Cancelled, true) > 0);
}

#[test]
fn a_pool_that_ends_may_refuse_or_cancel_as_it_was_asked() {
    let end = |phase: Phase, end: End| {
        violations(|book| {
            book.enter(phase);
            book.settle(0, end);
        })
    };
    assert_eq!(end(Phase::ShuttingDown, End::ShutDown), 0);
    assert_eq!(end(Phase::Cancelling, End::Cancelled), 0);
    assert_eq!(end(Phase::Open, End::ShutDown), 1);
    assert_eq!(end(Phase::ShuttingDown, End::Cancelled), 1);
}
