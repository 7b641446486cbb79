//! What is promised: every numbered behaviour, with its name, or the reason why no test proves it.
//!
//! Part A follows CPython's own tests of ProcessPoolExecutor, Future, wait, as_completed and Process, by their names
//! there; 128 to 133 are what its tests of the interpreter pool add, and its first four of Process. Part B is what CPython
//! lacks and we promise, part C what a task may do to its worker, each in all columns of the crash table, part D what
//! attacks on the design brought up. Keeps true: the numbers of a part rise, and each stands here once.

use super::names::{Number, Part};
use Part::{A, B, C, D};

/// One behaviour.
pub(super) struct Entry {
    /// Its number, which a test that proves it carries in its name.
    pub(super) number: Number,
    /// What it is called.
    pub(super) name: &'static str,
    /// Why no test needs to prove it (yet).
    pub(super) reason: Option<&'static str>,
}

/// Backends that the contract is proved for; a test of one carries the name as a segment of its path.
pub(super) const BACKENDS: [&str; 3] = ["shared_memory", "ipc_channel", "in_process"];

/// The backend contract; each rule is proved on every backend.
pub(super) const CONTRACT: [&str; 7] = [
    "a backend gives one link a worker, with a capacity",
    "sending never blocks: done, or full with the frame back",
    "frames arrive whole, once, in order",
    "recall answers at once, and true means never started",
    "an end is one event with its cause, after all results",
    "one wait: links, exits, a deadline, a wake-up",
    "every limit is stated; hitting it names the sizes",
];

const TYPES: &str = "checked by the compiler: an argument of another type does not build";
const TRUTH: &str = "about errors that count as false; an error has no truth value in Rust";
const WINDOWS: &str = "about a limit of Windows, which is not supported";
const LEFT_OUT: &str = "the list of behaviours has no such number, as it makes no sense in Rust";
const FORK_SERVER: &str = "about a server that forks the children, its modules and its key; it comes with the zygote";
const TOOLBOX: &str = "the toolbox of queues, pools, locks and shared memory comes later";
const FORKED_LOCK: &str = "about a lock made for forked children in a spawned one; locks come with the toolbox";

const fn proved(part: Part, value: u16, name: &'static str) -> Entry {
    Entry { number: Number { part, value }, name, reason: None }
}

const fn absent(part: Part, value: u16, name: &'static str, reason: &'static str) -> Entry {
    Entry { number: Number { part, value }, name, reason: Some(reason) }
}

/// Whole ranges that are left for later, each shown as one line.
pub(super) const RANGES: [(&str, &str, &str); 2] = [
    ("A183-A228", "queues and multiprocessing.Pool", TOOLBOX),
    ("A236-A275", "connections, locks, shared memory, trackers, logging", TOOLBOX),
];

/// Every behaviour with a number of its own.
pub(super) const ENTRIES: &[Entry] = &[
    proved(A, 1, "test_submit"),
    proved(A, 2, "test_submit_keyword"),
    proved(A, 3, "test_map"),
    proved(A, 4, "test_map_exception"),
    proved(A, 5, "test_map_timeout"),
    absent(A, 6, "test_map_buffersize_type_validation", TYPES),
    proved(A, 7, "test_map_buffersize_value_validation"),
    proved(A, 8, "test_map_buffersize"),
    proved(A, 9, "test_map_buffersize_on_multiple_iterables"),
    proved(A, 10, "test_map_buffersize_on_infinite_iterable"),
    proved(A, 11, "test_map_buffersize_on_multiple_infinite_iterables"),
    proved(A, 12, "test_map_buffersize_on_empty_iterable"),
    proved(A, 13, "test_map_buffersize_without_iterable"),
    proved(A, 14, "test_map_buffersize_when_buffer_is_full"),
    proved(A, 15, "test_shutdown_race_issue12456"),
    proved(A, 16, "test_no_stale_references"),
    proved(A, 17, "test_max_workers_negative"),
    proved(A, 18, "test_free_reference"),
    absent(A, 19, "test_swallows_falsey_exceptions", TRUTH),
    proved(A, 20, "test_done_callback_with_result"),
    proved(A, 21, "test_done_callback_with_exception"),
    proved(A, 22, "test_done_callback_with_cancel"),
    proved(A, 23, "test_done_callback_raises"),
    proved(A, 24, "test_done_callback_already_successful"),
    proved(A, 25, "test_done_callback_already_failed"),
    proved(A, 26, "test_done_callback_already_cancelled"),
    proved(A, 27, "test_done_callback_raises_already_succeeded"),
    proved(A, 28, "test_repr"),
    proved(A, 29, "test_cancel"),
    proved(A, 30, "test_cancelled"),
    proved(A, 31, "test_done"),
    proved(A, 32, "test_running"),
    proved(A, 33, "test_result_with_timeout"),
    proved(A, 34, "test_result_with_success"),
    proved(A, 35, "test_result_with_cancel"),
    proved(A, 36, "test_exception_with_timeout"),
    proved(A, 37, "test_exception_with_success"),
    proved(A, 38, "test_multiple_set_result"),
    proved(A, 39, "test_multiple_set_exception"),
    proved(A, 40, "test_get_snapshot"),
    proved(A, 41, "test_20369"),
    proved(A, 42, "test_first_completed"),
    proved(A, 43, "test_first_completed_some_already_completed"),
    proved(A, 44, "test_first_exception"),
    proved(A, 45, "test_first_exception_some_already_complete"),
    proved(A, 46, "test_first_exception_one_already_failed"),
    proved(A, 47, "test_all_completed"),
    proved(A, 48, "test_timeout"),
    proved(A, 49, "test_pending_calls_race"),
    proved(A, 50, "test_no_timeout"),
    proved(A, 51, "test_future_times_out"),
    proved(A, 52, "test_duplicate_futures"),
    proved(A, 53, "test_free_reference_yielded_future"),
    proved(A, 54, "test_correct_timeout_exception_msg"),
    absent(A, 55, "test_max_workers_too_large", WINDOWS),
    proved(A, 56, "test_killed_child"),
    proved(A, 57, "test_broken_process_pool_traceback"),
    proved(A, 58, "test_map_chunksize"),
    proved(A, 59, "test_traceback"),
    proved(A, 60, "test_traceback_when_child_process_terminates_abruptly"),
    proved(A, 61, "test_ressources_gced_in_workers"),
    proved(A, 62, "test_saturation"),
    proved(A, 63, "test_idle_process_reuse_one"),
    proved(A, 64, "test_idle_process_reuse_multiple"),
    proved(A, 65, "test_max_tasks_per_child"),
    absent(A, 66, "test_max_tasks_per_child_defaults_to_spawn_context", LEFT_OUT),
    proved(A, 67, "test_max_tasks_per_child_pending_tasks_gh115634"),
    proved(A, 68, "test_shutdown_no_wait_max_tasks_gh119592"),
    proved(A, 69, "test_gc_during_max_tasks_worker_exit_gh152967"),
    proved(A, 70, "test_force_shutdown_during_max_tasks_worker_exit"),
    proved(A, 71, "test_failed_worker_replacement_breaks_pool"),
    proved(A, 72, "test_max_tasks_early_shutdown"),
    proved(A, 73, "test_python_finalization_error"),
    proved(A, 74, "test_terminate_workers"),
    proved(A, 75, "test_kill_workers"),
    absent(A, 76, "test_force_shutdown_workers_invalid_op", TYPES),
    proved(A, 77, "test_force_shutdown_workers"),
    proved(A, 78, "test_force_shutdown_workers_dead_workers"),
    proved(A, 79, "test_force_shutdown_workers_not_started_yet"),
    proved(A, 80, "test_force_shutdown_workers_stops_pool"),
    proved(A, 81, "test_error_at_task_pickle"),
    proved(A, 82, "test_exit_at_task_unpickle"),
    proved(A, 83, "test_error_at_task_unpickle"),
    proved(A, 84, "test_crash_at_task_unpickle"),
    proved(A, 85, "test_crash_during_func_exec_on_worker"),
    proved(A, 86, "test_exit_during_func_exec_on_worker"),
    proved(A, 87, "test_error_during_func_exec_on_worker"),
    proved(A, 88, "test_crash_during_result_pickle_on_worker"),
    proved(A, 89, "test_exit_during_result_pickle_on_worker"),
    proved(A, 90, "test_error_during_result_pickle_on_worker"),
    proved(A, 91, "test_error_during_result_unpickle_in_result_handler"),
    proved(A, 92, "test_exit_during_result_unpickle_in_result_handler"),
    proved(A, 93, "test_shutdown_deadlock"),
    proved(A, 94, "test_shutdown_deadlock_pickle"),
    proved(A, 95, "test_crash_big_data"),
    proved(A, 96, "test_gh105829_should_not_deadlock_if_wakeup_pipe_full"),
    proved(A, 97, "test_run_after_shutdown"),
    proved(A, 98, "test_interpreter_shutdown"),
    proved(A, 99, "test_submit_after_interpreter_shutdown"),
    proved(A, 100, "test_hang_issue12364"),
    proved(A, 101, "test_cancel_futures"),
    proved(A, 102, "test_hang_gh83386"),
    proved(A, 103, "test_hang_gh94440"),
    proved(A, 104, "test_processes_terminate"),
    proved(A, 105, "test_context_manager_shutdown"),
    proved(A, 106, "test_del_shutdown"),
    proved(A, 107, "test_shutdown_no_wait"),
    proved(A, 108, "test_shutdown_gh_132969_case_1"),
    proved(A, 109, "test_shutdown_gh_132969_case_2"),
    proved(A, 110, "test_threads_terminate"),
    proved(A, 111, "test_context_manager_shutdown (threads)"),
    proved(A, 112, "test_del_shutdown (threads)"),
    proved(A, 113, "test_shutdown_no_wait (threads)"),
    proved(A, 114, "test_thread_names_assigned"),
    proved(A, 115, "test_thread_names_default"),
    proved(A, 116, "test_cancel_futures_wait_false"),
    proved(A, 117, "InitializerMixin.test_initializer"),
    proved(A, 118, "FailingInitializerMixin.test_initializer"),
    proved(A, 119, "FailingInitializerResources.test_spawn"),
    proved(A, 120, "FailingInitializerResources.test_forkserver"),
    proved(A, 121, "test_map_submits_without_iteration"),
    proved(A, 122, "test_default_workers"),
    proved(A, 123, "test_saturation (threads)"),
    proved(A, 124, "test_idle_thread_reuse"),
    proved(A, 125, "test_hang_global_shutdown_lock"),
    proved(A, 126, "test_process_fork_from_a_threadpool"),
    proved(A, 127, "test_executor_map_current_future_cancel"),
    proved(A, 128, "interpreter pool: errors, blocking, thread names"),
    proved(A, 129, "interpreter pool: awaited, and no more awaited"),
    proved(A, 130, "test_current"),
    proved(A, 131, "test_set_executable"),
    proved(A, 132, "test_args_argument"),
    proved(A, 133, "test_daemon_argument"),
    proved(A, 134, "test_parent_process_attributes"),
    proved(A, 135, "test_parent_process"),
    proved(A, 136, "test_process"),
    proved(A, 137, "test_process_mainthread_native_id"),
    proved(A, 138, "test_interrupt"),
    proved(A, 139, "test_interrupt_no_handler"),
    proved(A, 140, "test_terminate"),
    proved(A, 141, "test_kill"),
    proved(A, 142, "test_cpu_count"),
    proved(A, 143, "test_active_children"),
    proved(A, 144, "test_recursion"),
    proved(A, 145, "test_sentinel"),
    proved(A, 146, "test_close"),
    proved(A, 147, "test_many_processes"),
    proved(A, 148, "test_lose_target_ref"),
    proved(A, 149, "test_child_fd_inflation"),
    proved(A, 150, "test_wait_for_threads"),
    proved(A, 151, "test_error_on_stdio_flush_1"),
    proved(A, 152, "test_error_on_stdio_flush_2"),
    absent(A, 153, "test_forkserver_sigint", FORK_SERVER),
    absent(A, 154, "test_forkserver_sigkill", FORK_SERVER),
    absent(A, 155, "test_forkserver_auth_is_enabled", FORK_SERVER),
    absent(A, 156, "test_forkserver_without_auth_fails", FORK_SERVER),
    proved(A, 157, "test_subclassing"),
    proved(A, 158, "test_stderr_flush"),
    proved(A, 159, "test_sys_exit"),
    absent(A, 160, "-", LEFT_OUT),
    absent(A, 161, "-", LEFT_OUT),
    absent(A, 162, "-", LEFT_OUT),
    absent(A, 163, "-", LEFT_OUT),
    absent(A, 164, "-", LEFT_OUT),
    absent(A, 165, "-", LEFT_OUT),
    absent(A, 166, "-", LEFT_OUT),
    absent(A, 167, "-", LEFT_OUT),
    absent(A, 168, "-", LEFT_OUT),
    absent(A, 169, "-", LEFT_OUT),
    absent(A, 170, "-", LEFT_OUT),
    proved(A, 171, "test_context"),
    proved(A, 172, "test_spawn_dont_set_context"),
    proved(A, 173, "test_freeze_support_dont_set_context"),
    absent(A, 174, "check_module_types", FORK_SERVER),
    proved(A, 175, "test_set_get"),
    proved(A, 176, "test_get_all_start_methods"),
    absent(A, 177, "test_preload_resources", FORK_SERVER),
    absent(A, 178, "test_mixed_startmethod", FORKED_LOCK),
    proved(A, 179, "test_nested_startmethod"),
    proved(A, 180, "temporary directory: fallback"),
    proved(A, 181, "temporary directory: lazy default"),
    proved(A, 182, "preload_main, sys_argv, large argv"),
    proved(A, 229, "test_wait"),
    proved(A, 230, "test_wait_socket"),
    proved(A, 231, "test_wait_slow, test_wait_socket_slow"),
    proved(A, 232, "test_wait_timeout"),
    proved(A, 233, "test_wait_integer"),
    proved(A, 234, "test_neg_timeout"),
    proved(A, 235, "test_wait_empty_list"),
    proved(B, 1, "wait and as_completed return at once on cancelled futures"),
    proved(B, 2, "a callback may submit to a pool in trouble"),
    proved(B, 3, "a callback's panic is logged and kills nothing"),
    proved(B, 4, "shutdown(cancel_pending) with a late codec error returns"),
    proved(B, 5, "a worker killed at any point costs at most its task"),
    proved(B, 6, "an idle worker's death costs nothing and is healed"),
    proved(B, 7, "a codec error, on either side, fails that future alone"),
    proved(B, 8, "exit code 0 from a task is a loss, and named"),
    proved(B, 9, "the parent killed: no worker and no grandchild left"),
    proved(B, 10, "Ctrl-C ends, Ctrl-Z stops the program with its workers"),
    proved(B, 11, "1000 pools leave fds, processes, threads as before"),
    proved(B, 12, "running() only while it runs; cancel() works until then"),
    proved(B, 13, "a slow callback delays other callbacks only"),
    proved(B, 14, "a crash in a batch blames one item, re-runs the rest"),
    proved(B, 15, "a time limit counts from the start of execution"),
    proved(B, 16, "cancel of a running task, worker replaced"),
    proved(B, 17, "shutdown with a deadline"),
    proved(B, 18, "a panic in manager or feeder resolves every future"),
    proved(B, 19, "100 000 queued tasks with 256 fds; 64 MiB to a busy pool"),
    proved(B, 20, "futures joined in any order, from any thread"),
    proved(B, 21, "a worker stopped in mid-result harms nobody else"),
    proved(B, 22, "a task may own a pool; depth is limited"),
    proved(C, 1, "crash table: the task exits with 0"),
    proved(C, 2, "crash table: the task exits with 1"),
    proved(C, 3, "crash table: the task aborts"),
    proved(C, 4, "crash table: the task segfaults"),
    proved(C, 5, "crash table: the task is SIGKILLed"),
    proved(C, 6, "crash table: the task panics"),
    proved(C, 7, "crash table: the task panics with a payload that is no string"),
    proved(C, 8, "crash table: the task overflows its stack"),
    proved(C, 9, "crash table: the task exhausts its memory limit"),
    proved(C, 10, "crash table: the task returns what cannot be encoded"),
    proved(C, 11, "crash table: the task returns what the parent cannot decode"),
    proved(C, 12, "crash table: the task gets arguments that the worker cannot decode"),
    proved(C, 13, "crash table: the task panics in Serialize"),
    proved(C, 14, "crash table: the task panics in Deserialize"),
    proved(C, 15, "crash table: the task leaves a running thread"),
    proved(C, 16, "crash table: the task leaves a grandchild"),
    proved(C, 17, "crash table: the task closes fds 0 to 9"),
    proved(C, 18, "crash table: the task writes over its shared region"),
    proved(C, 19, "crash table: the task blocks SIGTERM"),
    proved(D, 1, "a task that touches the terminal is never stopped for ever"),
    proved(D, 2, "a task cannot overwrite another task's arguments"),
    proved(D, 3, "what outlives a kill is exactly what the README says"),
    proved(D, 4, "a host that ignores SIGCHLD or reaps everything"),
    proved(D, 5, "a host that forks or daemonizes after creating a pool"),
    proved(D, 6, "init() inside a test body starts no second test run"),
    proved(D, 7, "a main that parses its arguments before init()"),
    proved(D, 8, "registries filled by constructors are filled in tasks"),
    proved(D, 9, "panic=abort reports message and location"),
    proved(D, 10, "coverage profiles of workers are written"),
    proved(D, 11, "a full cgroup or tmpfs is an error of that submit"),
    proved(D, 12, "a worker that passes strange descriptors is judged"),
    proved(D, 13, "8 threads at random for a minute: every promise holds"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_each_stands_once() {
        let numbers: Vec<Number> = ENTRIES.iter().map(|entry| entry.number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    }

    #[test]
    fn no_number_of_the_parts_is_forgotten() {
        let has = |part, value| ENTRIES.iter().any(|entry| entry.number == Number { part, value });
        let wanted = (1..=182).chain(229..=235).map(|value| (A, value));
        let wanted = wanted.chain((1..=22).map(|value| (B, value))).chain((1..=13).map(|value| (D, value)));
        let forgotten: Vec<String> = wanted
            .filter(|(part, value)| !has(*part, *value))
            .map(|(part, value)| Number { part, value }.to_string())
            .collect();
        assert!(forgotten.is_empty(), "{forgotten:?}");
    }
}
