//! Time limits, deadlines and kills: what is stopped and when, what it costs, and what a task may do about it.

use std::time::{Duration, Instant};

use pool_core::{
    Builder, ExitCause, Future, PoolError, ProcessPoolExecutor, SubmitError, TaskError, TimeLimit, TimedOut, task,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::backends::{again, pool};
use crate::gate::{Gate, pass, stop_at};
use crate::holdings::is_alive;
use crate::watchdog::{until, when};

claims! { on_each_backend:
    b15_a_task_that_minds_its_limit_delivers_its_result,
    b15_the_limit_counts_from_the_start_of_execution,
    b16_a_task_that_minds_its_kill_delivers_its_result,
    b16_killing_what_has_not_begun_cancels_it,
    a_deadline_ends_what_has_not_begun_and_it_never_runs,
    a_deadline_does_not_touch_what_is_done_in_time,
    a_deadline_of_a_map_ends_all_items_that_have_not_begun,
    a_limit_of_the_pool_holds_where_a_submit_says_nothing,
    a_task_knows_when_it_will_be_stopped,
}

claims! { on_processes:
    b14_an_item_past_its_limit_costs_nothing_but_itself,
    b15_a_task_past_its_limit_is_stopped_and_the_next_one_runs,
    b15_a_task_that_does_not_mind_sigterm_is_killed_after_the_grace,
    b15_what_a_task_started_is_stopped_with_it,
    b15_a_stop_never_hits_the_next_task,
    b16_a_running_task_is_killed_and_its_worker_replaced,
    b16_kills_never_hit_the_next_task,
    b21_a_stopped_worker_harms_nobody_and_its_limit_fires,
    a_deadline_stops_what_runs,
}

mod a_task_past_its_limit_in_a_thread_is_given_up {
    test_on!(super::give_up_a_thread: in_process);
}

const SOON: Duration = Duration::from_millis(30);
/// Long enough for a task that does next to nothing, on any machine.
const LATER: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn for_ever() {
    loop {
        std::thread::park();
    }
}

/// Comes to the gate if it gets to ask in time, and minds its end from then on.
fn until_cancelled(gate: String) -> u32 {
    if task::cancelled() {
        return 0;
    }
    stop_at(gate, 0);
    while !task::cancelled() {
        std::thread::yield_now();
    }
    7
}

/// Runs a task that minds its limit. How long a task takes to its first question is the machine's matter, so the limit grows
/// until the task comes to the gate before it; from there on nothing but its result will do.
#[track_caller]
fn assert_minds_its_limit(gate: &Gate, mut submit: impl FnMut(Duration) -> Future<u32>) {
    let mut limit = SOON;
    loop {
        let future = submit(limit);
        until("the task to come to the gate, or to its end", || {
            when(future.done() || !gate.is_empty(), future.state())
        });
        if !gate.is_empty() {
            drop(gate.next());
            return assert_eq!(future.result().unwrap(), 7, "{future:?}");
        }
        let result = future.result();
        assert!(matches!(result, Ok(0) | Err(TaskError::TimedOut(_))), "{result:?}");
        limit *= 2;
    }
}

#[track_caller]
fn assert_timed_out<T: std::fmt::Debug>(result: Result<T, TaskError>) -> TimedOut {
    match result {
        Err(TaskError::TimedOut(late)) => TimedOut::clone(&late),
        other => panic!("{other:?}"),
    }
}

fn await_running<T>(future: &Future<T>) {
    until("the task to run", || when(future.running(), future.state()));
}

fn b15_a_task_past_its_limit_is_stopped_and_the_next_one_runs(builder: Builder) {
    let pool = pool(builder.stop_grace(HOUR), 1);
    let before = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    let late = pool.task().timeout(SOON).submit(for_ever, ()).unwrap();
    let next = pool.submit(std::process::id, ()).unwrap();
    let timed_out = assert_timed_out(late.result());
    assert_eq!((timed_out.kind, timed_out.limit, timed_out.pid), (TimeLimit::Timeout, SOON, Some(before)));
    assert_eq!(timed_out.cause, Some(ExitCause::Signal(15)));
    assert!(timed_out.task.contains("for_ever"));
    let text = timed_out.to_string();
    assert!(text.ends_with(&format!("time limit of 30ms (worker {before} ended: signal 15 (SIGTERM))")), "{text}");
    assert_ne!(next.result().unwrap(), before);
}

fn b15_the_limit_counts_from_the_start_of_execution(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let first = pool.submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let limit = Duration::from_millis(300);
    let behind = pool.task().timeout(limit).submit(u32::pow, (2, 8)).unwrap();
    until("the limit to pass twice while the task waits", {
        let since = Instant::now();
        move || when(since.elapsed() > 2 * limit, ())
    });
    drop(held);
    assert_eq!((first.result().unwrap(), behind.result().unwrap()), (0, 256));
}

fn b15_a_task_that_minds_its_limit_delivers_its_result(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(HOUR), 1);
    assert_minds_its_limit(&gate, |limit| pool.task().timeout(limit).submit(until_cancelled, (gate.name(),)).unwrap());
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn mind_and_go_on(gate: String) {
    task::cancelled();
    pass(gate, 0);
    for_ever();
}

fn b15_a_task_that_does_not_mind_sigterm_is_killed_after_the_grace(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(SOON), 1);
    let mut limit = SOON;
    // Until it gets to ask in time.
    while gate.is_empty() {
        let future = pool.task().timeout(limit).submit(mind_and_go_on, (gate.name(),)).unwrap();
        let cause = assert_timed_out(future.result()).cause;
        assert!(gate.is_empty() || cause == Some(ExitCause::Signal(9)), "{cause:?}");
        limit *= 2;
    }
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

/// Starts a process that sleeps, and leaves it running.
#[expect(clippy::disallowed_methods, reason = "the task starts a program, as any may")]
fn start_child() -> u32 {
    std::process::Command::new("sleep").arg("1000").spawn().unwrap().id()
}

fn b15_what_a_task_started_is_stopped_with_it(builder: Builder) {
    let pool = pool(builder, 1);
    // By a task without a limit, which might be over before the child is there; it is the worker's that is stopped then.
    let child = pool.submit(start_child, ()).unwrap().result().unwrap();
    assert_timed_out(pool.task().timeout(SOON).submit(for_ever, ()).unwrap().result());
    until("the child to end", || when(!is_alive(child), child));
}

/// Runs for about the limit: some are stopped, some are done in time, and the others never notice.
fn run_for(micros: u64) -> u64 {
    let since = Instant::now();
    while since.elapsed() < Duration::from_micros(micros) {
        std::hint::spin_loop();
    }
    micros
}

fn b15_a_stop_never_hits_the_next_task(builder: Builder) {
    let pool = pool(builder, 2);
    let limit = Duration::from_millis(2);
    let mut futures = Vec::new();
    for turn in 0..60u64 {
        futures.push((turn, pool.task().timeout(limit).submit(run_for, (1500 + turn % 10 * 100,)).unwrap()));
        futures.push((turn, pool.submit(run_for, (turn,)).unwrap()));
    }
    for (index, (turn, future)) in futures.into_iter().enumerate() {
        match (index % 2, future.result()) {
            (0, Ok(micros)) => assert_eq!(micros, 1500 + turn % 10 * 100),
            (0, late) => assert_eq!(assert_timed_out(late).limit, limit),
            (_, result) => assert_eq!(result.unwrap(), turn, "it has no limit"),
        }
    }
}

fn stop_seven(gate: String, item: u32) -> u32 {
    if item == 7 { stop_at(gate, item) } else { item }
}

fn b14_an_item_past_its_limit_costs_nothing_but_itself(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let names = std::iter::repeat(gate.name());
    let results = pool.batch().chunksize(20).timeout(LATER).map(stop_seven, (names, 0..20)).unwrap();
    let held = gate.next();
    for (item, result) in (0..).zip(results) {
        match item {
            7 => assert_eq!(assert_timed_out(result).pid, Some(held.pid)),
            _ => assert_eq!(result.unwrap(), item),
        }
    }
}

fn b16_a_running_task_is_killed_and_its_worker_replaced(builder: Builder) {
    let pool = pool(builder.stop_grace(HOUR), 1);
    let future = pool.submit(for_ever, ()).unwrap();
    await_running(&future);
    let worker = pool.worker_pids()[0];
    assert!(future.kill());
    let Err(TaskError::Killed(killed)) = future.result() else { panic!("{future:?}") };
    assert_eq!((killed.pid, killed.cause), (worker, Some(ExitCause::Signal(15))));
    assert!(!future.kill() && !future.cancelled(), "it is done");
    until("a new worker, before anybody submits", || {
        let pids = pool.worker_pids();
        when(matches!(*pids, [pid] if pid != worker), pids)
    });
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn b16_killing_what_has_not_begun_cancels_it(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let first = pool.submit(stop_at, (gate.name(), 3)).unwrap();
    let held = gate.next();
    let behind = pool.submit(u32::pow, (2, 8)).unwrap();
    assert!(behind.kill() && behind.cancelled());
    assert!(matches!(behind.result(), Err(TaskError::Cancelled)));
    drop(held);
    assert_eq!(first.result().unwrap(), 3);
    assert!(!first.kill());
}

fn b16_a_task_that_minds_its_kill_delivers_its_result(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(HOUR), 1);
    let future = pool.submit(until_cancelled, (gate.name(),)).unwrap();
    let held = gate.next();
    assert!(future.kill());
    drop(held);
    assert_eq!(future.result().unwrap(), 7);
}

fn b16_kills_never_hit_the_next_task(builder: Builder) {
    let pool = pool(builder, 1);
    for turn in 0..40u64 {
        let victim = pool.submit(run_for, (turn % 8 * 50,)).unwrap();
        let next = pool.submit(run_for, (turn,)).unwrap();
        if turn % 2 == 0 {
            await_running_or_done(&victim);
        }
        let stopped = victim.kill();
        match victim.result() {
            Ok(micros) => assert_eq!(micros, turn % 8 * 50),
            Err(TaskError::Killed(_) | TaskError::Cancelled) => assert!(stopped),
            Err(other) => panic!("{other}"),
        }
        assert_eq!(next.result().unwrap(), turn);
    }
}

fn await_running_or_done<T>(future: &Future<T>) {
    until("the task to run", || when(future.running() || future.done(), future.state()));
}

fn stop_myself() {
    let own = Pid::from_raw(std::process::id().cast_signed()).unwrap();
    kill_process(own, Signal::STOP).unwrap();
}

fn b21_a_stopped_worker_harms_nobody_and_its_limit_fires(builder: Builder) {
    let pool = pool(builder.stop_grace(SOON), 2);
    let stopped = pool.task().timeout(LATER).submit(stop_myself, ()).unwrap();
    let results = pool.batch().chunksize(1).map(|n: u64| n + 1, 0..200).unwrap();
    assert_eq!(results.map(Result::unwrap).sum::<u64>(), 20_100);
    assert_eq!(assert_timed_out(stopped.result()).cause, Some(ExitCause::Signal(9)), "it cannot take SIGTERM");
}

fn a_deadline_ends_what_has_not_begun_and_it_never_runs(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let first = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let held = gate.next();
    let late = pool.task().deadline(SOON).submit(stop_at, (gate.name(), 2)).unwrap();
    let timed_out = assert_timed_out(late.result());
    assert_eq!((timed_out.kind, timed_out.limit, timed_out.pid), (TimeLimit::Deadline, SOON, None));
    assert!(timed_out.to_string().contains("had not begun by the deadline of 30ms"), "{timed_out}");
    drop(held);
    assert_eq!(first.result().unwrap(), 1);
    pool.shutdown();
    assert!(gate.is_empty(), "it ran");
}

fn a_deadline_does_not_touch_what_is_done_in_time(builder: Builder) {
    let pool = pool(builder.deadline(HOUR), 2);
    let futures: Vec<_> = (0..2000u64).map(|n| pool.submit(u64::wrapping_add, (n, 1)).unwrap()).collect();
    for (n, future) in (0..).zip(futures) {
        assert_eq!(future.result().unwrap(), n + 1);
    }
}

fn a_deadline_stops_what_runs(builder: Builder) {
    let pool = pool(builder.stop_grace(HOUR), 1);
    let future = pool.task().deadline(SOON).submit(for_ever, ()).unwrap();
    let timed_out = assert_timed_out(future.result());
    assert_eq!(timed_out.kind, TimeLimit::Deadline);
    // A worker that took more than that to come up never began it.
    assert!(matches!(timed_out.cause, None | Some(ExitCause::Signal(15))), "{timed_out}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}

fn a_deadline_of_a_map_ends_all_items_that_have_not_begun(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(HOUR), 1);
    let names = std::iter::repeat(gate.name());
    // A worker is there by the time that counts.
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    let mut results = pool.batch().chunksize(3).deadline(LATER).map(wait_or_leave, (names, 0..9)).unwrap();
    assert_eq!(results.next().unwrap().unwrap(), 0, "it minds its end");
    for result in results {
        assert_eq!(assert_timed_out(result).pid, None);
    }
}

fn wait_or_leave(_gate: String, item: u32) -> u32 {
    while !task::cancelled() {
        std::thread::yield_now();
    }
    item
}

fn a_limit_of_the_pool_holds_where_a_submit_says_nothing(builder: Builder) {
    let gate = Gate::new();
    let mut pools = Vec::new();
    assert_minds_its_limit(&gate, |limit| {
        pools.push(pool(again(&builder).timeout(limit).stop_grace(HOUR), 1));
        pools.last().unwrap().submit(until_cancelled, (gate.name(),)).unwrap()
    });
    let pool = pool(builder.timeout(SOON), 1);
    let future = pool.task().timeout(HOUR).submit(stop_at, (gate.name(), 3)).unwrap();
    let held = gate.next();
    until("the pool's limit to pass twice", {
        let since = Instant::now();
        move || when(since.elapsed() > 2 * SOON, ())
    });
    drop(held);
    assert_eq!(future.result().unwrap(), 3, "it was not");
}

fn a_task_knows_when_it_will_be_stopped(builder: Builder) {
    fn left() -> Option<u64> {
        assert_eq!(task::attempt(), 0);
        task::deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs())
    }
    let pool = pool(builder, 1);
    assert_eq!(pool.submit(left, ()).unwrap().result().unwrap(), None);
    for options in [pool.task().timeout(HOUR), pool.task().deadline(HOUR), pool.task().timeout(HOUR).deadline(2 * HOUR)]
    {
        let left = options.submit(left, ()).unwrap().result().unwrap().unwrap();
        assert!((3500..=3600).contains(&left), "{left}");
    }
    assert_eq!((task::deadline(), task::cancelled(), task::attempt()), (None, false, 0), "there is no task here");
}

/// A thread cannot be ended: its task's future is, and another worker takes the place.
fn give_up_a_thread(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder.stop_grace(SOON), 1);
    let future = pool.task().timeout(SOON).submit(stop_at, (gate.name(), 0)).unwrap();
    let held = gate.next();
    let timed_out = assert_timed_out(future.result());
    assert_eq!((timed_out.pid, timed_out.cause), (Some(std::process::id()), None));
    assert!(timed_out.to_string().ends_with("(its worker is a thread, which goes on)"));
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256, "beside it");
    drop(held);
}

/// The shortest limits that there are, and the longest.
#[test]
fn odd_limits_are_limits() {
    let pool = crate::backends::pool(ProcessPoolExecutor::builder(), 1);
    let soonest = Duration::from_nanos(1);
    assert_timed_out(pool.task().timeout(soonest).submit(for_ever, ()).unwrap().result());
    assert_timed_out(pool.task().deadline(soonest).submit(for_ever, ()).unwrap().result());
    let endless = pool.task().timeout(Duration::MAX).deadline(Duration::MAX).submit(u32::pow, (2, 8)).unwrap();
    assert_eq!(endless.result().unwrap(), 256);
}

/// Whether a task is over a limit of nothing would be a matter of luck.
#[test]
fn limits_of_zero_are_refused_by_submits_and_maps() {
    let pool = crate::backends::pool(ProcessPoolExecutor::builder(), 1);
    let (task, batch) = (|| pool.task(), || pool.batch());
    for (options, text) in [
        (task().timeout(Duration::ZERO), "timeout must be more than 0"),
        (task().deadline(Duration::ZERO), "deadline must be more than 0"),
    ] {
        let error = options.submit(u32::pow, (2, 8)).unwrap_err();
        assert!(matches!(error, SubmitError::Option { .. }) && error.to_string() == text, "{error}");
    }
    assert!(batch().timeout(Duration::ZERO).map(|n: u32| n, 0..3).is_err());
    assert!(batch().deadline(Duration::ZERO).map(|n: u32| n, 0..3).is_err());
    assert!(pool.worker_pids().is_empty(), "nothing was submitted");
}

#[test]
fn limits_of_zero_are_refused_by_pools() {
    let builder = ProcessPoolExecutor::builder;
    for (builder, text) in [
        (builder().timeout(Duration::ZERO), "timeout must be more than 0"),
        (builder().deadline(Duration::ZERO), "deadline must be more than 0"),
        (builder().hello_timeout(Duration::ZERO), "hello_timeout must be more than 0"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, PoolError::Option { .. }) && error.to_string() == text, "{error}");
    }
}
