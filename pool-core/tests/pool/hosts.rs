//! Programs that a pool finds itself in: ones that ignore or reap every child, and ones that call `init` in odd places.

use pool_core::{Builder, ExitCause, TaskError};
use rustix::process::{WaitOptions, wait};

use crate::alone::Scene;
use crate::backends::{pool, shared_memory};
use crate::losses::{await_successor, kill};
use crate::watchdog::Watched;

/// What holds whoever reaps the workers: results arrive, and causes are known or said to be unknown.
fn assert_works_without_children(pool: &Watched) {
    for code in 1..6 {
        assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
        let end = pool.submit(|code: i32| -> () { std::process::exit(code) }, (code,)).unwrap().result();
        let Err(TaskError::WorkerDied(died)) = &end else { panic!("{end:?}") };
        assert!(matches!(died.cause, ExitCause::Unknown) || died.cause == ExitCause::Code(code), "{died}");
    }
    let pid = pool.submit(std::process::id, ()).unwrap().result().unwrap();
    kill(pid);
    await_successor(pool, pid);
    pool.shutdown();
    assert!(pool.worker_pids().is_empty());
}

mod d04_a_host_that_ignores_its_children_gets_all_results {
    #[test]
    fn shared_memory() {
        super::ignore_children(concat!(module_path!(), "::shared_memory"), crate::backends::shared_memory());
    }

    #[test]
    fn ipc_channel() {
        super::ignore_children(concat!(module_path!(), "::ipc_channel"), crate::backends::ipc_channel());
    }
}

fn ignore_children(path: &str, builder: Builder) {
    const PROGRAM: &str =
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
    match Scene::of(path) {
        Scene::Alone => assert_works_without_children(&pool(builder, 1)),
        Scene::Outside(host) => host.through(["python3", "-c", PROGRAM]).start().assert_success(),
    }
}

claims! { alone_on_processes:
    d04_a_host_that_reaps_every_child_gets_all_results,
}

fn d04_a_host_that_reaps_every_child_gets_all_results(builder: Builder) {
    let _reaper = std::thread::Builder::new().spawn(|| {
        loop {
            // An error means that there is no child now.
            if wait(WaitOptions::empty()).is_err() {
                std::thread::yield_now();
            }
        }
    });
    assert_works_without_children(&pool(builder, 1));
}

#[test]
fn d06_init_in_a_test_body_starts_no_second_run() {
    let path = "hosts::d06_init_in_a_test_body_starts_no_second_run";
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => {
            println!("the body runs");
            pool_core::init();
            let pool = pool(shared_memory(), 2);
            let results: Result<Vec<u32>, _> = pool.batch().chunksize(1).map(|n: u32| n + 1, 0..8).unwrap().collect();
            assert_eq!(results.unwrap(), (1..9).collect::<Vec<_>>());
            return;
        }
    };
    let ended = host.start().end();
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.matches("the body runs").count(), 1, "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("running 1 test").count(), 1, "{}", ended.stdout);
}
