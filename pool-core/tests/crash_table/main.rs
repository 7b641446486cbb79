//! The crash table: whatever a task does, in whatever way it came into the pool, that task alone has the exact reason,
//! its neighbours finish, the next submit works, and the pool holds what it held before.
//!
//! A row is a test on each backend, and has a number; its cells are the columns, each in a process of its own, which
//! counts what it has. Each row prints one line, so that `cargo xtask conformance --crash` can show the table. How long
//! it took from the event to the future is printed and never judged.
#![expect(clippy::unwrap_used, reason = "this is all test code")]

#[path = "../pool/alone.rs"]
#[expect(dead_code, reason = "shared with the claims about pools, which need more of it")]
mod alone;
#[path = "../pool/gate.rs"]
#[expect(dead_code, reason = "shared with the claims about pools, which need more of it")]
mod gate;
#[path = "../pool/watchdog.rs"]
#[expect(dead_code, reason = "shared with the claims about pools, which need more of it")]
mod watchdog;

mod cell;
mod clock;
mod columns;
mod counts;
mod deeds;
mod expected;
mod native;
mod row;
mod values;

/// Tests of rows, one a backend: `c01_x::shared_memory` and so on.
macro_rules! rows {
    (on_each_backend: $($claim:ident: $deed:ident),+ $(,)?) => {$(
        mod $claim {
            rows!(@test $deed: shared_memory, ipc_channel, in_process);
        }
    )+};
    (on_processes: $($claim:ident: $deed:ident),+ $(,)?) => {$(
        mod $claim {
            rows!(@test $deed: shared_memory, ipc_channel);

            mod in_process {
                #[test]
                fn declares_that_it_cannot() {
                    crate::row::not_on_threads(crate::deeds::Deed::$deed);
                }
            }
        }
    )+};
    (on_shared_memory: $($claim:ident: $deed:ident),+ $(,)?) => {$(
        mod $claim {
            rows!(@test $deed: shared_memory);

            mod ipc_channel {
                #[test]
                fn declares_that_it_cannot() {
                    crate::row::not_without_shared_memory(crate::deeds::Deed::$deed);
                }
            }

            mod in_process {
                #[test]
                fn declares_that_it_cannot() {
                    crate::row::not_on_threads(crate::deeds::Deed::$deed);
                }
            }
        }
    )+};
    (@test $deed:ident: $($backend:ident),+) => {$(
        #[test]
        fn $backend() {
            let path = concat!(module_path!(), "::", stringify!($backend));
            crate::row::hold(crate::deeds::Deed::$deed, stringify!($backend), path);
        }
    )+};
}

rows! { on_processes:
    c01_a_task_that_exits_with_0_fails_alone: ExitsWith0,
    c02_a_task_that_exits_with_1_fails_alone: ExitsWith1,
    c03_a_task_that_aborts_fails_alone: Aborts,
    c04_a_task_that_segfaults_fails_alone: Segfaults,
    c05_a_task_that_is_killed_fails_alone: IsKilled,
    c08_a_task_that_overflows_its_stack_fails_alone: OverflowsItsStack,
    c09_a_task_that_exhausts_its_memory_limit_fails_alone: ExhaustsItsMemory,
    c16_a_grandchild_that_is_left_ends_with_its_worker: LeavesAGrandchild,
    c17_a_task_that_closes_descriptors_harms_nobody: ClosesDescriptors,
    c19_a_task_that_blocks_sigterm_harms_nobody: BlocksSigterm,
}

// What was posted to the same worker ahead of time may fail with it, and says so: whether it ran was written where the
// task wrote. Such neighbours are counted in the table.
rows! { on_shared_memory:
    c18_a_task_that_writes_over_shared_memory_and_exits_is_blamed: OverwritesAndExits,
    c18_a_task_that_writes_over_shared_memory_and_goes_on_is_blamed: OverwritesAndGoesOn,
}

rows! { on_each_backend:
    c06_a_task_that_panics_fails_alone: Panics,
    c07_a_task_that_panics_with_a_number_fails_alone: PanicsWithANumber,
    c10_a_result_that_cannot_be_encoded_fails_alone: ResultIsNotEncoded,
    c11_a_result_that_the_caller_cannot_decode_fails_alone: ResultIsNotDecoded,
    c12_arguments_that_the_worker_cannot_decode_fail_alone: ArgumentsAreNotDecoded,
    c13_a_panic_in_serialize_of_a_result_fails_alone: ResultPanicsInSerialize,
    c13_a_panic_in_serialize_of_arguments_fails_alone: ArgumentsPanicInSerialize,
    c14_a_panic_in_deserialize_of_arguments_fails_alone: ArgumentsPanicInDeserialize,
    c14_a_panic_in_deserialize_of_a_result_fails_alone: ResultPanicsInDeserialize,
    c15_a_thread_that_is_left_running_harms_nobody: LeavesAThread,
}
