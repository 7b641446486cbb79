//! How processes are started (A126, A171 to A182): Python's contexts and start methods are backends here, chosen by value,
//! and pools and processes start each other.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::Arc;
use std::time::Duration;

use pool_core::{
    Backend, InProcess, IpcChannel, Process, ProcessPoolExecutor, SharedMemory, current_process, parent_process,
};

/// Long enough for a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Starts a process and gives its exit code.
#[track_caller]
fn run(child: &Process) -> Option<i32> {
    child.start().unwrap();
    if !child.join_timeout(WATCHDOG).unwrap() {
        child.kill().unwrap();
        panic!("{child:?} did not end within {WATCHDOG:?}");
    }
    child.exitcode()
}

fn backends() -> [Arc<dyn Backend>; 3] {
    [Arc::new(SharedMemory::new()), Arc::new(IpcChannel::new()), Arc::new(InProcess::new())]
}

fn pool_on(backend: Arc<dyn Backend>) -> ProcessPoolExecutor {
    ProcessPoolExecutor::builder().max_workers(1).backend(backend).build().unwrap()
}

#[test]
fn a126_a_process_starts_from_a_thread_of_a_pool() {
    fn start_one() -> Option<i32> {
        run(&Process::new(|| (), ()))
    }
    for backend in backends() {
        let pool = pool_on(backend);
        assert_eq!(pool.submit(start_one, ()).unwrap().result_timeout(WATCHDOG).unwrap(), Some(0));
    }
    assert_eq!(pool_core::thread::spawn(start_one).join().unwrap(), Some(0));
}

#[test]
fn a171_a176_every_backend_is_a_value_with_a_name_of_its_own_and_runs_tasks() {
    assert_eq!(backends().each_ref().map(|backend| backend.name()), ["shared_memory", "ipc_channel", "in_process"]);
    for backend in backends() {
        let pool = pool_on(Arc::clone(&backend));
        let future = pool.submit(std::process::id, ()).unwrap();
        let in_a_process = future.result_timeout(WATCHDOG).unwrap() != std::process::id();
        assert_eq!(in_a_process, backend.abilities().processes, "{}", backend.name());
    }
}

#[test]
fn a172_a173_a175_one_pool_s_backend_is_no_other_pool_s() {
    let chosen = pool_on(Arc::new(InProcess::new()));
    pool_core::init();
    let usual = ProcessPoolExecutor::new(1).unwrap();
    let pids = [&chosen, &usual].map(|pool| pool.submit(std::process::id, ()).unwrap());
    let [chosen_pid, usual_pid] = pids.map(|pid| pid.result_timeout(WATCHDOG).unwrap());
    assert_eq!(chosen_pid, std::process::id());
    assert_ne!(usual_pid, std::process::id());
    assert_eq!(
        run(&Process::new(|| assert_eq!(current_process().name().split('-').next(), Some("Process")), ())),
        Some(0)
    );
}

#[test]
fn a179_pools_and_processes_start_each_other_whatever_the_backend() {
    fn pool_in_process(backend: usize) {
        let pool = pool_on(Arc::clone(&backends()[backend]));
        let names = pool.submit(process_in_worker, (current_process().name().to_owned(),)).unwrap();
        names.result_timeout(WATCHDOG).unwrap();
    }
    fn process_in_worker(owner: String) {
        let own = current_process().name().to_owned();
        assert!(own.starts_with("SpawnProcess-"), "{own}");
        assert_eq!(parent_process().unwrap().name(), owner);
        let child = Process::new(|parent: String| assert_eq!(parent_process().unwrap().name(), parent), (own,));
        assert!(child.name().starts_with("Process-") && child.name().contains(':'), "{child:?}");
        assert_eq!(run(&child), Some(0));
    }
    for backend in 0..backends().len() {
        assert_eq!(run(&Process::new(pool_in_process, (backend,))), Some(0));
    }
}

#[test]
fn a180_a181_no_temporary_directory_is_needed_but_by_the_backend_that_says_so() {
    fn work() {
        let usable =
            |backend: &Arc<dyn Backend>| backend.name() != "ipc_channel" || std::env::var_os("TMPDIR").is_none();
        for backend in backends().into_iter().filter(usable) {
            let pool = pool_on(backend);
            assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result_timeout(WATCHDOG).unwrap(), 256);
        }
    }
    let child = Process::builder().env("TMPDIR", "/nowhere/to/be/found").target(work, ());
    assert_eq!(run(&child), Some(0));
    let child = Process::builder().env_remove("TMPDIR").target(work, ());
    assert_eq!(run(&child), Some(0));
}

#[test]
fn a182_children_see_the_arguments_of_the_program_however_large() {
    fn compare(expected: Vec<String>, generations: u32) {
        assert!(std::env::args().skip(1).eq(expected.iter().cloned()));
        if generations > 0 {
            assert_eq!(run(&Process::new(compare, (expected, generations - 1))), Some(0));
        }
    }
    let own: Vec<String> = std::env::args().skip(1).collect();
    assert_eq!(run(&Process::new(compare, (own, 1))), Some(0));
    let large: Vec<String> = (0..100).map(|number| format!("{number}{}", "x".repeat(10_000))).collect();
    let exe = std::env::current_exe().unwrap();
    let child = Process::builder().command(exe, large.clone()).target(compare, (large, 1));
    assert_eq!(run(&child), Some(0));
}
