//! The conformance suite of the backend contract (see `backend.rs`): every claim is tested on every backend.
//!
//! A test is called `contract_NN_claim::backend`, NN being the contract's number. What a backend declares that it cannot
//! do is held to that declaration instead, by a test called `declares_that_it_cannot`. Every wait has a watchdog that says what was waited for. Nothing here
//! depends on how fast anything is, and no test sleeps.
#![cfg(all(target_os = "linux", not(pool_portable)))]

mod attacks;
mod ending;
mod frames;
mod gate;
mod isolated;
mod kernels;
mod limits;
mod model;
mod recalling;
mod rig;
mod script;
mod sending;
mod starting;
mod terms;
mod waiting;

/// What a backend says of itself that it can.
mod can {
    use pool_ipc::Backend;

    pub(crate) fn recall(backend: &dyn Backend) -> bool {
        backend.abilities().recall
    }

    pub(crate) fn kill(backend: &dyn Backend) -> bool {
        backend.abilities().processes
    }

    /// Shared memory of our own with worker processes: whoever can both kill and recall has that.
    pub(crate) fn seal(backend: &dyn Backend) -> bool {
        kill(backend) && recall(backend)
    }
}

/// A claim on one backend.
/// Where everybody looks for a while before sleeping.
fn spinning() -> pool_ipc::SharedMemory {
    pool_ipc::SharedMemory::new().spin(std::time::Duration::from_micros(100))
}

macro_rules! on {
    ($backend:ident, $value:expr, $claim:path) => {
        #[test]
        fn $backend() {
            crate::rig::check(stringify!($claim), &$value, $claim);
        }
    };
    ($backend:ident, $value:expr, $claim:path, cannot $what:ident: $reason:literal) => {
        mod $backend {
            #[test]
            fn declares_that_it_cannot() {
                assert!(!crate::can::$what(&$value), "{} can, though {}", stringify!($claim), $reason);
            }
        }
    };
}

/// A claim on all backends. What it takes is one of: `anything`, `processes` (workers can be killed and have exit causes),
/// `recall` (several frames can be sent, and taken back), `sealed` (our own shared memory with worker processes).
///
/// A new backend is a line in each arm.
macro_rules! on_every_backend {
    ($claim:path, anything) => {
        on!(shared_memory, pool_ipc::SharedMemory::new(), $claim);
        on!(shared_memory_that_spins, crate::spinning(), $claim);
        on!(ipc_channel, pool_ipc::IpcChannel::new(), $claim);
        on!(in_process, pool_ipc::InProcess::new(), $claim);
    };
    ($claim:path, recall) => {
        on!(shared_memory, pool_ipc::SharedMemory::new(), $claim);
        on!(shared_memory_that_spins, crate::spinning(), $claim);
        on!(ipc_channel, pool_ipc::IpcChannel::new(), $claim, cannot recall: "it takes one frame, and no frame back");
        on!(in_process, pool_ipc::InProcess::new(), $claim);
    };
    ($claim:path, processes) => {
        on!(shared_memory, pool_ipc::SharedMemory::new(), $claim);
        on!(shared_memory_that_spins, crate::spinning(), $claim);
        on!(ipc_channel, pool_ipc::IpcChannel::new(), $claim);
        on!(in_process, pool_ipc::InProcess::new(), $claim, cannot kill: "its workers are threads");
    };
    ($claim:path, sealed) => {
        on!(shared_memory, pool_ipc::SharedMemory::new(), $claim);
        on!(shared_memory_that_spins, crate::spinning(), $claim);
        on!(ipc_channel, pool_ipc::IpcChannel::new(), $claim, cannot seal: "its memory is the ipc-channel crate's matter");
        on!(in_process, pool_ipc::InProcess::new(), $claim, cannot seal: "its workers are threads, its memory is theirs");
    };
}

macro_rules! claims {
    ($($file:ident::$claim:ident needs $need:ident;)*) => {
        $(mod $claim {
            on_every_backend!(crate::$file::$claim, $need);
        })*
    };
}

claims! {
    starting::contract_01_links_are_told_apart_and_run_one_item_at_a_time needs anything;
    starting::contract_01_frames_may_be_posted_before_the_worker_has_come_up needs anything;
    starting::contract_01_worker_gets_its_boot_bytes needs anything;
    starting::contract_01_program_that_does_not_exist_is_named_by_the_error needs processes;
    starting::contract_01_program_that_is_no_worker_ends_with_its_own_exit_code needs processes;
    starting::contract_01_links_and_hubs_leave_nothing_behind needs anything;
    starting::contract_01_start_without_descriptors_fails_and_leaves_nothing_behind needs processes;
    sending::contract_02_full_link_hands_the_frame_back_unchanged needs recall;
    sending::contract_02_full_link_takes_frames_again_once_outcomes_are_collected needs anything;
    sending::contract_02_worker_may_run_a_full_link_and_fall_asleep_before_anybody_looks needs recall;
    sending::contract_02_link_that_is_full_of_recalled_frames_becomes_free_without_an_outcome needs recall;
    sending::contract_02_closed_link_and_ended_link_refuse_frames needs anything;
    sending::contract_02_posting_to_a_stopped_worker_does_not_block needs processes;
    sending::contract_02_large_frames_that_are_always_recalled_do_not_clog_the_link needs recall;
    frames::contract_03_payloads_of_every_size_arrive_whole needs anything;
    frames::contract_03_gibibyte_goes_there_and_back needs sealed;
    frames::contract_03_outcomes_come_once_and_in_the_order_of_posting needs anything;
    frames::contract_03_saturated_link_gives_each_item_its_own_request needs anything;
    frames::contract_03_windows_of_any_size_and_place_are_run_item_by_item needs anything;
    frames::contract_03_messages_of_the_worker_come_before_its_outcomes needs anything;
    frames::contract_03_items_without_room_for_their_outcomes_are_given_back needs anything;
    frames::contract_03_large_outcomes_beyond_the_limit_of_a_frame_are_given_back needs anything;
    frames::contract_03_outcome_may_be_posted_again_as_a_request needs anything;
    model::contract_03_random_operations_lose_nothing_and_double_nothing needs recall;
    recalling::contract_04_frame_recalled_before_its_claim_comes_back_and_never_starts needs recall;
    recalling::contract_04_rest_of_a_running_batch_comes_back needs recall;
    recalling::contract_04_claimed_single_is_not_recalled needs recall;
    recalling::contract_04_finished_and_unknown_tickets_give_nothing needs anything;
    recalling::contract_04_half_of_the_tail_is_recalled_oldest_first needs recall;
    recalling::contract_04_recall_races_with_claims_and_each_item_has_one_owner needs recall;
    recalling::contract_04_is_running_is_true_for_the_claimed_item_alone needs anything;
    terms::contract_04_running_item_is_told_with_its_terms_and_its_beginning needs anything;
    terms::contract_04_shortest_time_limit_is_that_of_what_nobody_has_begun needs anything;
    terms::contract_04_far_end_is_told_the_terms_of_its_item needs anything;
    terms::contract_04_cancelled_item_hears_of_it_and_the_next_does_not needs recall;
    terms::contract_05_soft_stop_ends_an_item_that_minds_it_and_the_worker_of_one_that_does_not needs processes;
    ending::contract_05_finished_items_are_delivered_the_claimed_one_blamed_the_rest_handed_back needs anything;
    ending::contract_05_each_lost_frame_has_its_own_account needs recall;
    ending::contract_05_large_outcomes_of_a_killed_worker_are_delivered needs anything;
    ending::contract_05_causes_are_told_apart needs processes;
    ending::contract_05_end_of_an_idle_worker_costs_nothing needs processes;
    ending::contract_05_end_is_the_last_event_and_comes_once needs anything;
    ending::contract_05_closed_worker_runs_what_was_posted_and_ends_in_order needs anything;
    ending::contract_05_worker_that_is_closed_before_it_came_up_ends_in_order needs anything;
    ending::contract_05_worker_that_leaves_an_item_unpublished_is_blamed_for_it_alone needs anything;
    ending::contract_05_signals_reach_the_worker_and_what_it_started needs processes;
    ending::contract_05_signals_reach_a_worker_that_left_its_process_group needs processes;
    ending::contract_05_a_signal_to_the_group_comes_once needs processes;
    ending::contract_05_worker_that_loses_its_descriptors_is_a_loss_like_any_other needs processes;
    waiting::contract_06_one_wait_covers_many_links_and_their_ends needs anything;
    waiting::contract_06_wake_ends_the_wait_under_way_or_the_next_one needs anything;
    waiting::contract_06_deadline_ends_a_wait needs anything;
    waiting::contract_06_outcomes_arrive_while_a_later_item_of_their_frame_runs needs anything;
    waiting::contract_06_second_waiter_gets_its_turn needs anything;
    waiting::contract_06_no_doorbell_is_lost_in_thousands_of_turns needs anything;
    waiting::contract_06_outcomes_that_another_thread_collects_are_not_waited_for_in_vain needs anything;
    limits::contract_07_link_takes_as_many_frames_as_it_declares needs anything;
    limits::contract_07_number_of_items_is_limited_and_the_error_says_so needs anything;
    limits::contract_07_length_of_a_message_is_limited_and_the_error_says_so needs anything;
    limits::contract_07_payload_without_a_descriptor_for_it_is_an_error_with_its_size needs sealed;
    limits::contract_07_outcome_without_a_descriptor_for_it_is_an_error_with_its_size needs sealed;
    limits::contract_07_worker_that_may_have_no_descriptor_works_and_ends_in_order needs processes;
    kernels::contract_07_payload_without_memory_for_it_is_an_error_with_its_size needs sealed;
    kernels::contract_07_kernel_that_commits_by_descriptors_alone_will_do needs sealed;
    attacks::d02_request_of_another_task_cannot_be_changed_by_any_call needs sealed;
    attacks::d12_strange_descriptors_in_place_of_a_sealed_memfd_are_judged_and_closed needs sealed;
    attacks::contract_05_garbage_on_the_channel_ends_the_link_and_hands_back_the_rest needs sealed;
    attacks::contract_05_worker_that_overwrites_its_outcomes_ends_and_others_go_on needs sealed;
}
