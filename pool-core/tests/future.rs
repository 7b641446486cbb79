//! What a future promises, by the numbers of the list of behaviours (A20 to A40), without a pool: the completer's side.
//!
//! The same promises are kept on real workers elsewhere; here every state is reached exactly, and held.
#![expect(clippy::unwrap_used, reason = "this is all test code")]

use std::collections::HashMap;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, Once, mpsc};

use std::time::Duration;

use pool_core::{Completer, Future, FutureState, Panic, TaskError, thread};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test body that waits, and fails loudly should it wait for ever.
fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let handle = thread::spawn(move || {
        let value = body();
        let _ = sender.send(());
        value
    });
    match receiver.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came for {PATIENCE:?}"),
        _ => handle.join().unwrap_or_else(|payload| std::panic::resume_unwind(payload)),
    }
}

const STATES: [FutureState; 6] = [
    FutureState::Pending,
    FutureState::Running,
    FutureState::Cancelled,
    FutureState::CancelledAndNotified,
    FutureState::Failed,
    FutureState::Returned,
];

fn boom() -> TaskError {
    TaskError::Panicked(Arc::new(Panic::new("work", "boom")))
}

fn in_state(state: FutureState) -> (Completer<u32>, Future<u32>) {
    let (completer, future) = Completer::new("work");
    match state {
        FutureState::Running => assert!(completer.set_running_or_notify_cancel()),
        FutureState::Cancelled => assert!(future.cancel()),
        FutureState::CancelledAndNotified => {
            assert!(future.cancel());
            assert!(!completer.set_running_or_notify_cancel());
        }
        FutureState::Failed => completer.set_error(boom()).unwrap(),
        FutureState::Returned => completer.set_result(&42).unwrap(),
        _ => {}
    }
    assert_eq!((future.state(), completer.state()), (state, state));
    (completer, future)
}

/// Asks a question in each of the six states, in the order of `STATES`.
fn table<A: PartialEq + Debug>(question: impl Fn(&Future<u32>) -> A, answers: [A; 6]) {
    for (state, answer) in STATES.into_iter().zip(answers) {
        let (_completer, future) = in_state(state);
        assert_eq!(question(&future), answer, "{state:?}");
    }
}

/// An error's kind, or `ok`.
fn kind<T>(result: Result<T, TaskError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(TaskError::WaitTimedOut(_)) => "timeout",
        Err(TaskError::Cancelled) => "cancelled",
        Err(TaskError::Panicked(_)) => "panicked",
        Err(TaskError::Decode(_)) => "decode",
        Err(_) => "other",
    }
}

/// Collects what a callback sees.
fn seen_by_callback(
    completer_and_future: &(Completer<u32>, Future<u32>),
    then: impl FnOnce(&Completer<u32>, &Future<u32>),
) -> Vec<String> {
    let (completer, future) = completer_and_future;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&seen);
    future.add_done_callback(move |future| {
        let result = future.result().map_or_else(|error| error.to_string(), |value| value.to_string());
        journal.lock().unwrap().push(result);
    });
    then(completer, future);
    std::mem::take(&mut seen.lock().unwrap())
}

#[test]
fn a020_a_callback_sees_the_result() {
    let seen = seen_by_callback(&in_state(FutureState::Pending), |completer, _| completer.set_result(&5).unwrap());
    assert_eq!(seen, ["5"]);
}

#[test]
fn a021_a_callback_sees_the_error() {
    let seen = seen_by_callback(&in_state(FutureState::Pending), |completer, _| completer.set_error(boom()).unwrap());
    assert_eq!(seen.len(), 1);
    assert!(seen[0].ends_with("boom"), "{seen:?}");
}

#[test]
fn a022_a_callback_sees_the_cancellation() {
    let seen = seen_by_callback(&in_state(FutureState::Pending), |_, future| assert!(future.cancel()));
    assert_eq!(seen, ["the task was cancelled"]);
}

#[test]
fn a023_b3_a_callback_that_panics_is_logged_and_the_next_one_runs() {
    let (completer, future) = in_state(FutureState::Pending);
    let runs = Arc::new(AtomicUsize::new(0));
    let count = || {
        let runs = Arc::clone(&runs);
        move |_: &Future<u32>| {
            runs.fetch_add(1, Ordering::Relaxed);
        }
    };
    future.add_done_callback(count());
    future.add_done_callback(|_| panic!("a023, on purpose"));
    future.add_done_callback(count());
    let logged = logged(|| completer.set_result(&5).unwrap());
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert!(logged.contains(&"ERROR a done callback panicked: a023, on purpose".to_owned()), "{logged:?}");
}

#[test]
fn a024_a025_a026_a_callback_of_a_finished_future_runs_at_once() {
    for (state, expected) in [
        (FutureState::Returned, "42"),
        (FutureState::Failed, "boom"),
        (FutureState::Cancelled, "the task was cancelled"),
        (FutureState::CancelledAndNotified, "the task was cancelled"),
    ] {
        let seen = seen_by_callback(&in_state(state), |_, _| ());
        assert!(seen.len() == 1 && seen[0].ends_with(expected), "{state:?}: {seen:?}");
    }
}

#[test]
fn a027_a_late_callback_that_panics_is_logged_and_goes_no_further() {
    let (_completer, future) = in_state(FutureState::Returned);
    let logged = logged(|| future.add_done_callback(|_| std::panic::panic_any(27_u8)));
    assert!(logged.contains(&"ERROR a done callback panicked: a value that is no text".to_owned()), "{logged:?}");
}

#[test]
fn a028_debug_tells_the_state() {
    let texts = ["pending", "running", "cancelled", "cancelled", "finished raised Panicked", "finished returned u32"];
    let expected = texts.map(|text| format!(r#"Future {{ task: "work", state: {text} }}"#));
    table(|future| format!("{future:?}"), expected);
}

#[test]
fn a029_cancel_is_true_until_the_task_runs_and_keeps_the_state() {
    table(Future::cancel, [true, false, true, true, false, false]);
    table(
        |future| {
            future.cancel();
            future.state()
        },
        [
            FutureState::Cancelled,
            FutureState::Running,
            FutureState::Cancelled,
            FutureState::CancelledAndNotified,
            FutureState::Failed,
            FutureState::Returned,
        ],
    );
}

#[test]
fn a030_cancelled() {
    table(Future::cancelled, [false, false, true, true, false, false]);
}

#[test]
fn a031_done() {
    table(Future::done, [false, false, true, true, true, true]);
    for state in STATES {
        assert_eq!(in_state(state).1.done(), state.is_done());
    }
}

#[test]
fn a032_running() {
    table(Future::running, [false, true, false, false, false, false]);
}

#[test]
fn a033_result_with_a_limit() {
    let expected = ["timeout", "timeout", "cancelled", "cancelled", "panicked", "ok"];
    for limit in [Duration::ZERO, Duration::from_millis(1)] {
        table(|future| kind(future.result_timeout(limit)), expected);
    }
    let (_completer, future) = in_state(FutureState::Returned);
    assert_eq!(future.result_timeout(Duration::ZERO).unwrap(), 42);
    let (_completer, future) = in_state(FutureState::Pending);
    let error = future.result_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.to_string(), "no result within 1ms; the task goes on");
}

#[test]
fn a034_a_blocked_result_is_woken_by_the_result() {
    for _ in 0..100 {
        let (completer, future) = in_state(FutureState::Running);
        let barrier = Arc::new(Barrier::new(2));
        let started = Arc::clone(&barrier);
        let completing = thread::spawn(move || {
            started.wait();
            completer.set_result(&42).unwrap();
        });
        assert_eq!(
            watched(move || {
                barrier.wait();
                future.result().unwrap()
            }),
            42
        );
        completing.join().unwrap();
    }
}

#[test]
fn a035_a_blocked_result_is_woken_by_cancel() {
    for _ in 0..100 {
        let (_completer, future) = in_state(FutureState::Pending);
        let barrier = Arc::new(Barrier::new(2));
        let (started, cancelled) = (Arc::clone(&barrier), future.clone());
        let cancelling = thread::spawn(move || {
            started.wait();
            assert!(cancelled.cancel());
        });
        let result = watched(move || {
            barrier.wait();
            future.result()
        });
        assert_eq!(kind(result), "cancelled");
        cancelling.join().unwrap();
    }
}

#[test]
fn a036_exception_with_a_limit() {
    let question = |future: &Future<u32>| future.exception_timeout(Duration::ZERO).map(|error| kind::<()>(Err(error)));
    let expected =
        [Some("timeout"), Some("timeout"), Some("cancelled"), Some("cancelled"), Some("panicked"), None::<&str>];
    table(question, expected);
}

#[test]
fn a037_a_blocked_exception_is_woken() {
    for _ in 0..100 {
        let (completer, future) = in_state(FutureState::Running);
        let barrier = Arc::new(Barrier::new(2));
        let started = Arc::clone(&barrier);
        let completing = thread::spawn(move || {
            started.wait();
            completer.set_error(boom()).unwrap();
        });
        let error = watched(move || {
            barrier.wait();
            future.exception().unwrap()
        });
        assert_eq!(kind::<()>(Err(error)), "panicked");
        completing.join().unwrap();
    }
}

#[test]
fn a038_a_second_result_is_refused_with_the_state_and_the_first_one_stays() {
    let (completer, future) = in_state(FutureState::Returned);
    let error = completer.set_result(&43).unwrap_err();
    assert_eq!(error.state, FutureState::Returned);
    assert_eq!(error.to_string(), "the future of task work is finished with a value and takes no other result");
    assert_eq!(future.result().unwrap(), 42);
}

#[test]
fn a039_a_second_error_is_refused_with_the_state_and_the_first_one_stays() {
    let (completer, future) = in_state(FutureState::Failed);
    let error = completer.set_error(TaskError::ShutDown).unwrap_err();
    assert_eq!(error.to_string(), "the future of task work is finished with an error and takes no other result");
    assert_eq!(kind(future.result()), "panicked");

    let (completer, future) = in_state(FutureState::Cancelled);
    let error = completer.set_result(&1).unwrap_err();
    assert_eq!(error.to_string(), "the future of task work is cancelled and takes no other result");
    assert_eq!(kind(future.result()), "cancelled");
}

#[test]
fn a040_the_state_is_consistent_with_the_result_while_threads_read_it() {
    for state in [FutureState::Pending, FutureState::Running, FutureState::Cancelled, FutureState::Returned] {
        assert_eq!(in_state(state).1.state(), state);
    }
    let (completer, future) = in_state(FutureState::Running);
    let barrier = Arc::new(Barrier::new(5));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (future, barrier) = (future.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for _ in 0..1000 {
                    let before = future.state();
                    let result = future.result_timeout(Duration::ZERO);
                    match before {
                        FutureState::Returned => assert_eq!(result.unwrap(), 42),
                        FutureState::Running => assert!(matches!(kind(result), "timeout" | "ok")),
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    barrier.wait();
    completer.set_result(&42).unwrap();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn a_dropped_completer_leaves_an_error_and_runs_the_callbacks() {
    let (completer, future) = in_state(FutureState::Running);
    let (sender, receiver) = mpsc::channel();
    future.add_done_callback(move |future| sender.send(future.state()).unwrap());
    drop(completer);
    assert!(matches!(future.result(), Err(TaskError::Abandoned)));
    assert_eq!(receiver.recv().unwrap(), FutureState::Failed);
}

#[test]
fn a_completer_hears_whether_the_task_is_to_run() {
    for (state, runs) in STATES.into_iter().zip([true, true, false, false, false, false]) {
        assert_eq!(in_state(state).0.set_running_or_notify_cancel(), runs, "{state:?}");
    }
}

#[test]
fn a_future_is_clone_send_sync_unpin_and_unwind_safe_for_every_type() {
    fn holds_for<F: Clone + Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    holds_for::<Future<u32>>();
    holds_for::<Future<*mut Rc<std::cell::Cell<u8>>>>();
    holds_for::<Future<&mut dyn FnMut()>>();
    fn holds_for_a_completer<C: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    holds_for_a_completer::<Completer<*mut Rc<std::cell::Cell<u8>>>>();
}

#[test]
#[expect(clippy::mutable_key_type, reason = "a future's hash is its identity, which never changes")]
fn clones_are_the_same_future_and_a_key_of_a_map() {
    let (_one, first) = in_state(FutureState::Pending);
    let (_two, second) = in_state(FutureState::Pending);
    assert_eq!(first, first.clone());
    assert_ne!(first, second);
    let names = HashMap::from([(first.clone(), 1), (second.clone(), 2)]);
    assert_eq!((names[&first], names[&second.clone()]), (1, 2));
}

#[test]
fn into_result_gives_the_future_back_while_a_clone_or_a_callback_holds_it() {
    let (completer, future) = in_state(FutureState::Pending);
    let (sender, receiver) = mpsc::channel::<()>();
    future.add_done_callback(move |_| assert!(receiver.recv().is_err()));
    let completing = thread::spawn(move || completer.set_result(&42).unwrap());
    let future = watched(move || future.into_result().expect_err("the callback has not ended"));
    drop(sender);
    completing.join().unwrap();
    let clone = future.clone();
    let future = future.into_result().unwrap_err();
    drop(clone);
    assert_eq!(future.into_result().unwrap().unwrap(), 42);
}

#[test]
fn a_limit_that_no_clock_reaches_waits_for_ever() {
    let (completer, future) = in_state(FutureState::Running);
    let waiting = thread::spawn(move || future.result_timeout(Duration::MAX).unwrap());
    completer.set_result(&42).unwrap();
    assert_eq!(watched(move || waiting.join().unwrap()), 42);
}

/// A type whose two directions do what a test asks of them.
#[derive(Debug, PartialEq)]
struct Awkward(&'static str);

impl Serialize for Awkward {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            "cannot be encoded" => Err(serde::ser::Error::custom("no way to write it")),
            "too long" => (1_u8, 2_u8, 3_u8).serialize(serializer),
            "too short" => ().serialize(serializer),
            _ => 0_u8.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert!(u8::deserialize(deserializer)? != 0, "it cannot be read, on purpose");
        Ok(Self("read"))
    }
}

fn error_of(value: Awkward) -> TaskError {
    let (completer, future) = Completer::new("awkward");
    completer.set_result(&value).unwrap();
    let error = future.result().unwrap_err();
    assert_eq!(error.to_string(), future.result().unwrap_err().to_string(), "each call fails alone, and alike");
    error
}

#[test]
fn a083_b7_bytes_that_are_no_value_are_an_error_of_this_future() {
    let too_long = error_of(Awkward("too long"));
    assert!(matches!(too_long, TaskError::Decode(_)));
    assert!(too_long.to_string().contains("2 of 3 bytes were left over"), "{too_long}");
    let too_short = error_of(Awkward("too short"));
    assert!(matches!(too_short, TaskError::Decode(_)));
    assert!(too_short.to_string().contains("future::Awkward"), "{too_short}");
}

#[test]
fn a092_a_panic_in_deserialize_is_an_error_of_this_call() {
    let error = error_of(Awkward("panics"));
    let TaskError::Decode(codec) = &error else { panic!("{error:?}") };
    assert_eq!(codec.task, "awkward");
    assert!(codec.reason.contains("panicked: it cannot be read, on purpose"), "{error}");
}

#[test]
fn a_value_that_cannot_be_decoded_is_still_no_exception() {
    let (completer, future) = Completer::new("awkward");
    completer.set_result(&Awkward("too short")).unwrap();
    assert!(future.exception().is_none());
    assert_eq!(kind(future.result()), "decode");
}

#[test]
fn a_value_that_cannot_be_encoded_completes_with_that_error() {
    let error = error_of(Awkward("cannot be encoded"));
    assert!(matches!(error, TaskError::Encode(_)));
}

/// What this thread logs while the body runs.
fn logged(body: impl FnOnce()) -> Vec<String> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Journal).expect("no other logger is set");
        log::set_max_level(log::LevelFilter::Trace);
    });
    LINES.with_borrow_mut(Vec::clear);
    body();
    LINES.take()
}

thread_local! {
    static LINES: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Journal;

impl log::Log for Journal {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.with_borrow_mut(|lines| lines.push(format!("{} {}", record.level(), record.args())));
    }

    fn flush(&self) {}
}
