//! What cannot work: each ends in an error that names it, none in a hang, and nothing else is lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use pool_core::{
    Broken, Builder, ExitCause, Future, PoolError, ReturnWhen, StartFailure, SubmitError, TaskError, WaitError,
    as_completed, wait,
};

use crate::alone::Scene;
use crate::backends::{again, in_process, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::children;
use crate::losses::kill;

claims! { on_processes:
    a_program_that_does_not_exist_breaks_the_pool_with_its_name,
    a_directory_that_does_not_exist_breaks_the_pool_with_its_name,
    a_program_that_ends_at_once_breaks_the_pool_with_advice,
    a_worker_that_never_says_hello_breaks_the_pool_with_advice,
    a_worker_that_hangs_in_its_initializer_breaks_the_pool_in_time,
}

claims! { alone_on_processes:
    a_shutdown_is_not_held_up_by_a_worker_that_never_says_hello,
}

claims! { on_each_backend:
    a_command_that_no_process_can_have_is_refused_by_its_name,
    waiting_in_a_callback_is_an_error_and_no_deadlock,
    the_last_handle_may_be_dropped_in_a_callback,
    a_pool_may_be_shut_down_in_a_callback,
}

/// Why the pool is broken, as a future and a later submit tell it.
fn breakage(builder: Builder, judge: impl FnOnce(&StartFailure)) {
    let pool = pool(builder, 2);
    let futures: Vec<Future<u32>> = (0..4).filter_map(|n| pool.submit(u32::pow, (n, 2)).ok()).collect();
    for future in &futures {
        assert!(matches!(future.result(), Err(TaskError::Broken(_))), "{future:?}");
    }
    let error = pool.submit(u32::pow, (2, 8)).unwrap_err();
    let SubmitError::Broken(broken) = &error else { panic!("{error}") };
    let Broken::Start(failure) = &**broken else { panic!("{broken}") };
    judge(failure);
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

fn a_program_that_does_not_exist_breaks_the_pool_with_its_name(builder: Builder) {
    breakage(builder.worker_command("/does/not/exist", [""; 0]), |failure| {
        assert!(matches!(failure, StartFailure::System(_)));
        assert!(failure.to_string().contains("/does/not/exist"), "{failure}");
    });
}

fn a_directory_that_does_not_exist_breaks_the_pool_with_its_name(builder: Builder) {
    breakage(builder.worker_directory("/does/not/exist"), |failure| {
        let StartFailure::System(error) = failure else { panic!("{failure}") };
        assert_eq!(error.path.as_deref(), Some(Path::new("/does/not/exist")));
        assert!(failure.to_string().contains("directory of a new process (/does/not/exist)"), "{failure}");
    });
}

fn a_command_that_no_process_can_have_is_refused_by_its_name(builder: Builder) {
    let again = || again(&builder);
    let odd = [
        (again().worker_env("A=B", "c"), "the environment variable \"A=B\" has a NUL byte or = in its name"),
        (again().worker_env_remove(""), "an environment variable has no name"),
        (again().worker_env("KEY", "a\0b"), "the environment variable \"KEY\" has a NUL byte in its value"),
        (again().worker_command("a\0b", [""; 0]), "the program \"a\\0b\" has a NUL byte"),
        (again().worker_command("a", ["b", "c\0"]), "argument 1, \"c\\0\", has a NUL byte"),
        (again().worker_directory("a\0b"), "the directory \"a\\0b\" has a NUL byte"),
    ];
    for (builder, said) in odd {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, PoolError::Command(_)), "{error}");
        assert_eq!(error.to_string(), format!("workers cannot be started: {said}"));
    }
}

fn a_program_that_ends_at_once_breaks_the_pool_with_advice(builder: Builder) {
    breakage(builder.worker_command("/bin/sh", ["-c", "exit 5"]), |failure| {
        assert!(matches!(failure, StartFailure::EndedEarly { cause: ExitCause::Code(5), .. }), "{failure}");
        assert!(failure.to_string().contains("pool_core::init() first"), "{failure}");
    });
}

fn a_worker_that_never_says_hello_breaks_the_pool_with_advice(builder: Builder) {
    let limit = Duration::from_millis(300);
    breakage(builder.worker_command("/bin/sleep", ["1000"]).hello_timeout(limit), |failure| {
        assert!(matches!(failure, StartFailure::NoHello { limit: told, .. } if *told == limit), "{failure}");
        let text = failure.to_string();
        assert!(text.contains("did not say hello within 300ms"), "{text}");
        assert!(text.contains("pool_core::init() first") && text.contains("does its initializer hang"), "{text}");
    });
}

fn a_worker_that_hangs_in_its_initializer_breaks_the_pool_in_time(builder: Builder) {
    // One hangs, another one fails: the pool breaks because of the one, and ends in spite of the other.
    let gate = Gate::new();
    let initialize = |gate: String| -> Result<(), String> {
        stop_at(gate, 0);
        Err("no licence".to_owned())
    };
    let limit = Duration::from_secs(3);
    let pool = pool(builder.initializer(initialize, (gate.name(),)).hello_timeout(limit), 2);
    let futures = [pool.submit(u32::pow, (2, 8)).unwrap(), pool.submit(u32::pow, (2, 8)).unwrap()];
    let (fails, hangs) = (gate.next(), gate.next());
    drop(fails);
    assert!(futures.iter().all(|future| matches!(future.result(), Err(TaskError::Broken(_)))));
    pool.shutdown();
    drop(hangs);
}

fn a_shutdown_is_not_held_up_by_a_worker_that_never_says_hello(builder: Builder) {
    let limit = Duration::from_millis(300);
    let pool = pool(builder.worker_command("/bin/sleep", ["1000"]).hello_timeout(limit), 1);
    let future = pool.submit(u32::pow, (2, 8)).unwrap();
    pool.shutdown();
    assert!(matches!(future.result(), Err(TaskError::Broken(_))), "{future:?}");
    drop(pool);
    assert!(children().is_empty());
}

fn waiting_in_a_callback_is_an_error_and_no_deadlock(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let (send, receive) = mpsc::channel();
    let first = pool.submit(u32::pow, (2, 8)).unwrap();
    let second = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let later = second.clone();
    let handle = pool.handle();
    first.add_done_callback(move |first| {
        assert_eq!(first.result().unwrap(), 256);
        let ends = [
            matches!(later.result(), Err(TaskError::WouldDeadlock)),
            matches!(later.exception(), Some(TaskError::WouldDeadlock)),
            matches!(later.result_timeout(Duration::from_secs(9)), Err(TaskError::WouldDeadlock)),
            matches!(later.result_timeout(Duration::ZERO), Err(TaskError::WaitTimedOut(_))),
            matches!(wait([&later], None, ReturnWhen::AllCompleted), Err(WaitError::WouldDeadlock)),
            matches!(as_completed([&later], None).next(), Some(Err(WaitError::WouldDeadlock))),
            matches!(handle.map(|n: u32| n, 0..2).unwrap().next(), Some(Err(TaskError::WouldDeadlock))),
            later.into_result().is_err(),
        ];
        send.send(ends).unwrap();
    });
    let held = gate.next();
    assert_eq!(receive.recv().unwrap(), [true; 8]);
    drop(held);
    assert_eq!(second.result().unwrap(), 1);
}

fn the_last_handle_may_be_dropped_in_a_callback(builder: Builder) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    let (send, receive) = mpsc::channel();
    let first = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let second = pool.submit(u32::pow, (2, 8)).unwrap();
    let own = pool.share();
    first.add_done_callback(move |_| {
        drop(own);
        send.send(()).unwrap();
    });
    let held = gate.next();
    let third = pool.submit(u32::pow, (3, 2)).unwrap();
    drop_but_for_the_callback(pool);
    drop(held);
    receive.recv().unwrap();
    assert_eq!((first.result().unwrap(), second.result().unwrap(), third.result().unwrap()), (1, 256, 9));
}

/// The watchdog goes with it, and the test's own harness has to notice a hang.
fn drop_but_for_the_callback(pool: crate::watchdog::Watched) {
    drop(pool);
}

fn a_pool_may_be_shut_down_in_a_callback(builder: Builder) {
    let pool = pool(builder, 1);
    let own = pool.share();
    let (send, receive) = mpsc::channel();
    pool.submit(u32::pow, (2, 8)).unwrap().add_done_callback(move |_| {
        own.shutdown();
        send.send(own.submit(u32::pow, (2, 8)).map(drop)).unwrap();
    });
    let behind: Vec<_> = (0..10).map_while(|n| pool.submit(u32::pow, (n, 2)).ok()).collect();
    assert!(matches!(receive.recv().unwrap(), Err(SubmitError::ShutDown)));
    assert!((0..).zip(&behind).all(|(n, future)| future.result().unwrap() == n * n));
    pool.shutdown();
}

/// The program whose file is exchanged is this one by another name. A copy would be open for writing for a moment, also in
/// whatever another test starts just then, and would not run meanwhile (ETXTBSY).
#[test]
fn a_program_whose_file_was_replaced_still_starts_workers() {
    let path = "bad_input::a_program_whose_file_was_replaced_still_starts_workers";
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => return replace_own_file(),
    };
    let name = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replaced-{}", std::process::id()));
    fs::hard_link(std::env::current_exe().unwrap(), &name).unwrap();
    let running = host.program(&name).start();
    running.assert_success();
    fs::remove_file(&name).unwrap();
}

fn replace_own_file() {
    let pool = pool(shared_memory(), 1);
    let first = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    let own = std::env::current_exe().unwrap();
    for replacement in ["/bin/true", "/bin/false"] {
        fs::remove_file(&own).unwrap();
        fs::copy(replacement, &own).unwrap();
        kill(pool.worker_pids()[0]);
        let after = pool.submit(std::process::id, ()).unwrap().result();
        assert!(after.is_ok_and(|pid| pid != first));
    }
}

/// A test that fails with a task that hangs: it ends, and nobody stays behind.
fn fail_with_a_hung_task(path: &str, builder: Builder) {
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => {
            let gate = Gate::new();
            let pool = pool(builder, 1);
            pool.submit(stop_at, (gate.name(), 1)).unwrap();
            let behind = pool.submit(u32::pow, (2, 8)).unwrap();
            std::mem::forget((gate.next(), gate));
            behind.add_done_callback(|behind| println!("behind: {}", behind.result().unwrap_err()));
            panic!("of a test: it fails on purpose");
        }
    };
    let ended = host.start().end();
    assert_eq!(ended.status.code(), Some(101), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("it fails on purpose"), "{}", ended.stderr);
    assert!(ended.stdout.contains("behind: the task was cancelled"), "{}", ended.stdout);
}

mod a_failing_test_with_a_hung_task_ends {
    #[test]
    fn shared_memory() {
        super::fail_with_a_hung_task(concat!(module_path!(), "::shared_memory"), crate::backends::shared_memory());
    }

    #[test]
    fn ipc_channel() {
        super::fail_with_a_hung_task(concat!(module_path!(), "::ipc_channel"), crate::backends::ipc_channel());
    }

    #[test]
    fn in_process() {
        super::fail_with_a_hung_task(concat!(module_path!(), "::in_process"), super::in_process());
    }
}
