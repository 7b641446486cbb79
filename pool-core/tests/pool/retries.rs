//! Retries: what is run again, how often, and what the last error says.

use std::time::Duration;

use pool_core::{Builder, ExitCause, FutureState, RetryPolicy, SubmitError, TaskError, task};

use crate::backends::pool;
use crate::gate::{Gate, pass, stop_at};
use crate::watchdog::{until, when};

claims! { on_each_backend:
    a_value_that_is_not_wanted_is_asked_for_again,
    a_panic_is_run_again_only_where_that_was_asked_for,
    cancelling_between_attempts_ends_them,
    shutdown_runs_the_attempts_that_are_left,
    cancelling_what_waits_ends_the_attempts_that_are_left,
    a_predicate_of_another_type_is_refused,
    a_task_that_was_stopped_is_not_run_again_whatever_it_came_to,
}

claims! { on_processes:
    a_task_that_costs_its_worker_is_run_again,
    all_causes_are_in_the_last_error,
    each_item_of_a_map_is_run_again_by_itself,
    who_did_not_run_does_not_use_up_an_attempt,
    a_task_past_its_limit_is_run_again_where_that_was_asked_for,
    a_killed_task_is_not_run_again,
    a_kill_in_the_grace_of_a_time_limit_is_the_last_word,
    shutdown_runs_the_attempts_of_what_costs_the_last_worker,
}

const HOUR: Duration = Duration::from_secs(3600);

fn quickly(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts).backoff(Duration::from_millis(1), Duration::from_millis(2))
}

fn abort_before(attempt: u32) -> u32 {
    if task::attempt() < attempt {
        std::process::abort();
    }
    task::attempt()
}

fn a_task_that_costs_its_worker_is_run_again(builder: Builder) {
    let pool = pool(builder, 1);
    assert_eq!(pool.task().retry(quickly(3)).submit(abort_before, (2,)).unwrap().result().unwrap(), 2);
    assert_eq!(pool.submit(abort_before, (0,)).unwrap().result().unwrap(), 0);
}

fn fail_in_turn() -> u32 {
    match task::attempt() {
        0 => std::process::exit(3),
        1 => panic!("the second time"),
        _ => std::process::abort(),
    }
}

fn all_causes_are_in_the_last_error(builder: Builder) {
    let pool = pool(builder, 2);
    let error = pool.task().retry(quickly(3).on_panic(true)).submit(fail_in_turn, ()).unwrap().result().unwrap_err();
    let TaskError::Exhausted(exhausted) = &error else { panic!("{error}") };
    let [TaskError::WorkerDied(first), TaskError::Panicked(second), TaskError::WorkerDied(third)] = &*exhausted.causes
    else {
        panic!("{error}")
    };
    assert_eq!((first.cause, third.cause), (ExitCause::Code(3), ExitCause::Signal(6)));
    assert_eq!(second.message, "the second time");
    assert_ne!(first.pid, third.pid);
    let text = error.to_string();
    for part in
        ["failed in attempt 3: worker", "SIGABRT", "\n  attempt 1: worker", "exit code 3", "\n  attempt 2: task"]
    {
        assert!(text.contains(part), "{text}");
    }
}

fn abort_once_at(item: u32) -> (u32, u32) {
    if item.is_multiple_of(5) && task::attempt() == 0 {
        std::process::abort();
    }
    (item, task::attempt())
}

fn each_item_of_a_map_is_run_again_by_itself(builder: Builder) {
    let pool = pool(builder, 2);
    let results = pool.batch().chunksize(7).retry(quickly(2)).map(abort_once_at, 0..40).unwrap();
    for (item, result) in (0u32..).zip(results) {
        assert_eq!(result.unwrap(), (item, u32::from(item.is_multiple_of(5))));
    }
}

/// The task waits behind others that cost their workers, again and again.
fn who_did_not_run_does_not_use_up_an_attempt(builder: Builder) {
    let pool = pool(builder, 1);
    let vandals: Vec<_> = (0..6).map(|_| pool.submit(|| std::process::abort(), ()).unwrap()).collect();
    let innocent = pool.task().retry(quickly(2)).submit(abort_before, (0,)).unwrap();
    assert!(vandals.into_iter().all(|vandal: pool_core::Future<()>| vandal.result().is_err()));
    assert_eq!(innocent.result().unwrap(), 0);
}

fn hang_before(attempt: u32) -> u32 {
    while task::attempt() < attempt {
        std::thread::park();
    }
    task::attempt()
}

fn a_task_past_its_limit_is_run_again_where_that_was_asked_for(builder: Builder) {
    let pool = pool(builder, 1);
    let limit = Duration::from_millis(50);
    let options = || pool.task().timeout(limit);
    assert_eq!(options().retry(quickly(2).on_timeout(true)).submit(hang_before, (1,)).unwrap().result().unwrap(), 1);
    let error = options().retry(quickly(2)).submit(hang_before, (1,)).unwrap().result().unwrap_err();
    assert!(matches!(error, TaskError::TimedOut(_)), "{error}");
}

fn a_killed_task_is_not_run_again(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let policy = quickly(9).on_timeout(true).on_panic(true);
    let future = pool.task().retry(policy).submit(stop_at, (gate.name(), 1)).unwrap();
    let _held = gate.next();
    assert!(future.kill());
    assert!(matches!(future.result(), Err(TaskError::Killed(_))));
    pool.shutdown();
    assert!(gate.is_empty(), "it was run again");
}

/// Minds its end, and comes to something that a policy may have run again: a panic, or a value.
fn mind_the_end(gate: String, panics: bool) -> u32 {
    let _minded_from_here_on = task::cancelled();
    pass(gate, task::attempt());
    while !task::cancelled() {
        std::thread::yield_now();
    }
    assert!(!panics, "it was asked to end");
    7
}

fn a_task_that_was_stopped_is_not_run_again_whatever_it_came_to(builder: Builder) {
    let policy = || quickly(9).on_panic(true).on_value(|value: &u32| *value == 7);
    let pool = pool(builder.stop_grace(HOUR), 1);
    for panics in [true, false] {
        let gate = Gate::new();
        let future = pool.task().retry(policy()).submit(mind_the_end, (gate.name(), panics)).unwrap();
        drop(gate.next());
        assert!(future.kill());
        match future.result() {
            Ok(7) => assert!(!panics),
            Err(TaskError::Panicked(_)) => assert!(panics),
            other => panic!("{other:?}"),
        }
        assert!(gate.is_empty(), "it was run again");
    }
}

/// Tells that its limit has passed, and does not mind that.
fn tell_of_the_grace(gate: String) {
    while !task::cancelled() {
        std::thread::yield_now();
    }
    pass(gate, task::attempt());
    loop {
        std::thread::park();
    }
}

fn a_kill_in_the_grace_of_a_time_limit_is_the_last_word(builder: Builder) {
    let gate = Gate::new();
    // Long enough for the kill to come in time, and short enough to be waited for.
    let pool = pool(builder.stop_grace(Duration::from_secs(2)), 1);
    let options = pool.task().timeout(Duration::from_millis(100)).retry(quickly(9).on_timeout(true));
    let future = options.submit(tell_of_the_grace, (gate.name(),)).unwrap();
    drop(gate.next());
    assert!(future.kill());
    assert!(future.exception().is_some());
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    assert!(gate.is_empty(), "it was run again");
}

fn odd_attempts() -> Result<u32, u32> {
    if task::attempt() % 2 == 1 { Ok(task::attempt()) } else { Err(task::attempt()) }
}

fn a_value_that_is_not_wanted_is_asked_for_again(builder: Builder) {
    let pool = pool(builder, 1);
    let wanted = |attempts| quickly(attempts).on_value(|result: &Result<u32, u32>| result.is_err());
    assert_eq!(pool.task().retry(wanted(5)).submit(odd_attempts, ()).unwrap().result().unwrap(), Ok(1));
    assert_eq!(pool.task().retry(wanted(1)).submit(odd_attempts, ()).unwrap().result().unwrap(), Err(0));
    let results = pool.batch().retry(wanted(2)).map(|_: u32| odd_attempts(), 0..10).unwrap();
    assert!(results.map(Result::unwrap).all(|result| result == Ok(1)));
}

fn panic_before(attempt: u32) -> u32 {
    assert!(task::attempt() >= attempt, "not yet");
    task::attempt()
}

fn a_panic_is_run_again_only_where_that_was_asked_for(builder: Builder) {
    let pool = pool(builder, 1);
    let error = pool.task().retry(quickly(3)).submit(panic_before, (1,)).unwrap().result().unwrap_err();
    assert!(matches!(error, TaskError::Panicked(_)), "{error}");
    let policy = || quickly(3).on_panic(true);
    assert_eq!(pool.task().retry(policy()).submit(panic_before, (2,)).unwrap().result().unwrap(), 2);
    // Items that go on while one of their chunk is tried again.
    let results = pool.batch().chunksize(10).retry(policy()).map(panic_at_three, 0..10).unwrap();
    assert_eq!(results.map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2, 1003, 4, 5, 6, 7, 8, 9]);
}

fn panic_at_three(item: u32) -> u32 {
    assert!(item != 3 || task::attempt() > 0, "not yet");
    item + 1000 * task::attempt()
}

fn an_hour(attempts: u32) -> RetryPolicy {
    RetryPolicy::new(attempts).on_panic(true).backoff(Duration::from_secs(3600), Duration::from_secs(3600))
}

fn fail_and_tell(gate: String) {
    stop_at(gate, task::attempt());
    panic!("always");
}

fn cancelling_between_attempts_ends_them(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.task().retry(an_hour(9)).submit(fail_and_tell, (gate.name(),)).unwrap();
    drop(gate.next());
    // Not while the task is at its worker.
    until("the pause", || when(future.cancel(), ()));
    assert!(future.cancelled() && future.state() == FutureState::Cancelled && future.cancel());
    let Err(TaskError::Exhausted(all)) = future.result() else { panic!("{future:?}") };
    assert!(matches!(*all.causes, [TaskError::Panicked(_), TaskError::Cancelled]), "{all}");
}

fn shutdown_runs_the_attempts_that_are_left(builder: Builder) {
    let pool = pool(builder, 1);
    let future = pool.task().retry(quickly(4).on_panic(true)).submit(panic_before, (3,)).unwrap();
    pool.shutdown();
    assert_eq!(future.result().unwrap(), 3);
}

fn stop_and_abort_before(gate: String, attempt: u32) -> u32 {
    stop_at(gate, task::attempt());
    abort_before(attempt)
}

fn shutdown_runs_the_attempts_of_what_costs_the_last_worker(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.task().retry(quickly(3)).submit(stop_and_abort_before, (gate.name(), 2)).unwrap();
    let first = gate.next();
    pool.shutdown_with(pool_core::Shutdown::new().no_wait());
    drop(first);
    drop(gate.next());
    drop(gate.next());
    assert_eq!(future.result().unwrap(), 2);
}

fn cancelling_what_waits_ends_the_attempts_that_are_left(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let future = pool.task().retry(an_hour(9)).submit(fail_and_tell, (gate.name(),)).unwrap();
    drop(gate.next());
    let report = pool.shutdown_with(pool_core::Shutdown::new().cancel_pending());
    // It was between two attempts, or had not come to the end of the first.
    let error = future.result().unwrap_err();
    match &error {
        TaskError::Panicked(_) => {}
        TaskError::Exhausted(all) => {
            assert!(matches!(*all.causes, [TaskError::Panicked(_), TaskError::Cancelled]), "{all}");
        }
        _ => panic!("{error}"),
    }
    // It has begun, and has come to an end by itself, whichever it was.
    assert_eq!((report.finished, report.cancelled), (1, 0));
}

#[test]
fn a_policy_of_no_attempt_or_no_worker_is_refused() {
    let pool = pool(pool_core::ProcessPoolExecutor::builder(), 1);
    let refusal = |policy: RetryPolicy| {
        assert!(pool.batch().retry(policy.clone()).map(|n: u32| n, 0..3).is_err());
        let error = pool.task().retry(policy).submit(u32::pow, (2, 8)).unwrap_err();
        assert!(matches!(error, SubmitError::Option { .. }), "{error}");
        error.to_string()
    };
    assert_eq!(refusal(RetryPolicy::new(0)), "the attempts of a RetryPolicy must be at least 1");
    assert_eq!(refusal(RetryPolicy::new(2).poison_limit(0)), "poison_limit must be at least 1");
}

fn a_predicate_of_another_type_is_refused(builder: Builder) {
    let pool = pool(builder, 1);
    let policy = RetryPolicy::new(2).on_value(|_: &String| true);
    let error = pool.task().retry(policy.clone()).submit(u32::pow, (2, 8)).unwrap_err();
    assert!(matches!(error, SubmitError::Option { name: "on_value", .. }));
    assert_eq!(error.to_string(), "on_value must be of the type that the task returns");
    assert!(pool.batch().retry(policy).map(|n: u32| n, 0..3).is_err());
}
