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
    begin_again(book, task, worker, 0);
}

fn begin_again(book: &Book, task: u64, worker: Worker, attempt: u32) {
    book.enter_record(&Record { task, worker, deed: Deed::Began, attempt });
}

fn death(pid: u32, signal: i32) -> Death {
    Death { pid, signal: Some(signal), text: "of a test".to_owned() }
}

fn died(pid: u32, signal: i32) -> End {
    End::Lost(death(pid, signal))
}

/// How many violations these entries about a task on these terms are.
fn trial(terms: Terms, enter: impl FnOnce(&Book, u64)) -> u64 {
    violations(|book| {
        let task = book.open_on(terms);
        enter(book, task);
    })
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

#[test]
fn a_task_is_tried_as_often_as_it_may_be_and_no_more() {
    let terms = Terms { attempts: 2, fails_first: true, aborts_first: true, ..Terms::default() };
    let other = Worker { pid: 8, life: 1 };
    let passes = |again: u32| {
        trial(terms, |book, task| {
            begin(book, task, WORKER);
            begin_again(book, task, other, again);
            book.settle(task, End::Right);
        })
    };
    assert_eq!([passes(1), passes(0), passes(2)].map(|found| found.min(1)), [0, 1, 1]);
    let value_at_once = trial(terms, |book, task| {
        begin(book, task, WORKER);
        book.settle(task, End::Right);
    });
    assert_eq!(value_at_once, 1, "it fails in its first attempt");
    assert_eq!(trial(terms, |book, task| book.settle(task, died(7, 6))), 1, "it was not tried again");
    let exhausted = |attempts: usize, shots: u32| {
        trial(terms, |book, task| {
            (0..shots).for_each(|_| book.shoot(8, 9));
            book.settle(task, End::Exhausted { attempts, deaths: vec![death(7, 6), death(8, 9)] });
        })
    };
    assert_eq!([exhausted(2, 1), exhausted(1, 1), exhausted(3, 1), exhausted(2, 0)], [0, 1, 1, 1]);
}

#[test]
fn a_task_kills_one_worker_itself_and_no_other() {
    let terms = Terms { attempts: 2, aborts_first: true, ..Terms::default() };
    let deaths = |second: i32| vec![death(7, 6), death(8, second)];
    let found = trial(terms, |book, task| book.settle(task, End::Exhausted { attempts: 2, deaths: deaths(6) }));
    assert_eq!(found, 1);
}

#[test]
fn only_a_task_with_a_limit_is_timed_out_and_only_a_killed_one_killed() {
    let limited = Terms { is_limited: true, ..Terms::default() };
    for end in [End::TimedOut, End::Late] {
        assert_eq!(trial(limited, |book, task| book.settle(task, end.clone())), 0);
        assert_eq!(trial(Terms::default(), |book, task| book.settle(task, end)), 1);
    }
    let kill = |asked: bool, end: End| {
        trial(Terms { is_killed: true, ..Terms::default() }, |book, task| {
            if asked {
                book.kill(task);
            }
            book.settle(task, end);
        })
    };
    assert_eq!([kill(true, End::Killed), kill(false, End::Killed)], [0, 1]);
    assert_eq!([kill(true, End::Cancelled), kill(false, End::Cancelled)], [0, 1]);
}

#[test]
fn who_was_stopped_was_the_last_and_who_came_too_late_did_not_run() {
    let limited = Terms { is_limited: true, ..Terms::default() };
    let late = trial(limited, |book, task| {
        book.settle(task, End::Late);
        begin(book, task, WORKER);
    });
    assert!(late > 0);
    let went_on = trial(limited, |book, task| {
        begin(book, task, WORKER);
        book.settle(task, End::TimedOut);
        begin(book, 0, WORKER);
    });
    assert!(went_on > 0);
}

#[test]
fn a_first_attempt_that_fails_as_it_was_to_is_the_end_only_where_nothing_is_tried_again() {
    let terms = Terms { attempts: 4, fails_first: true, ..Terms::default() };
    let end = |phase| {
        trial(terms, |book, task| {
            begin(book, task, WORKER);
            book.enter(phase);
            book.settle(task, End::Panicked);
        })
    };
    assert_eq!(end(Phase::Cancelling), 0);
    assert_eq!(end(Phase::Open), 1);
    let never_ran = trial(terms, |book, task| {
        book.enter(Phase::Cancelling);
        book.settle(task, End::Panicked);
    });
    assert_eq!(never_ran, 1);
}
