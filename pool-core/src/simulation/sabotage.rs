//! Defects that are put in on purpose, now and then, to see that the checks find them.

use std::time::Duration;

use pool_ipc::LinkEvent;

use crate::manager::{OnWorkerLoss, RestartLimit, Staffing, Strength};
use crate::simulation::plan::Plan;
use crate::simulation::random::Random;

/// One event in so many is spoilt.
const RATE: u64 = 4;

/// A defect of the simulated links or hub, or of what the pool is told, to see that the checks find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// What is recalled is run by its worker all the same.
    RecallLeavesTheItem,
    /// What is recalled of a frame of several items comes back without the last of them.
    RecallForgetsTheLast,
    /// An outcome is not reported.
    OutcomeIsDropped,
    /// The item that a dead worker ran is given back as if nobody had begun it.
    BlameIsForgotten,
    /// What a dead worker had not begun is not given back.
    RestIsLost,
    /// A neighbour of the item that a dead worker ran gets the blame.
    BlameIsMisplaced,
    /// A worker's end is not reported.
    EndIsSwallowed,
    /// A dead worker's cause is another's.
    CauseIsWrong,
    /// Bytes of a request change on the way.
    RequestIsChanged,
    /// Callbacks of a turn run in the wrong order.
    CallbacksAreReversed,
    /// A wake-up is lost now and then.
    WakeIsLost,
    /// A worker that is killed goes on.
    KillIsLost,
    /// The pool does not hear of a resize.
    ResizeIsLost,
    /// Workers may run one task more than was asked for.
    OneTaskTooMany,
    /// Workers get as old as they like.
    AgeIsForgotten,
    /// Workers may have nothing to do for ever.
    IdlenessIsForgotten,
    /// Nobody is there beyond those that are needed.
    ReserveIsForgotten,
    /// Lost workers are replaced however many they are.
    BreakerIsOff,
    /// A lost worker does not break the pool, though it should.
    LossIsForgiven,
    /// A task has one attempt more than was asked for.
    OneAttemptTooMany,
    /// A task is run again at once.
    PauseIsSkipped,
    /// A task is not run again, though it should be.
    RetryIsForgotten,
    /// A task is run again, though nobody said so.
    RetryIsMadeUp,
    /// A task may run for ever.
    TimeoutIsForgotten,
    /// A task may wait, and run, for ever.
    DeadlineIsForgotten,
    /// A pool that is to be ended by force runs what it has.
    ForceIsLost,
    /// A caller that sleeps until it has its result has not called the manager before.
    CallIsForgotten,
    /// A caller that has the turns and its result keeps the turns.
    TurnsAreKept,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::RecallLeavesTheItem,
        Self::RecallForgetsTheLast,
        Self::OutcomeIsDropped,
        Self::BlameIsForgotten,
        Self::RestIsLost,
        Self::BlameIsMisplaced,
        Self::EndIsSwallowed,
        Self::CauseIsWrong,
        Self::RequestIsChanged,
        Self::CallbacksAreReversed,
        Self::WakeIsLost,
        Self::KillIsLost,
        Self::ResizeIsLost,
        Self::OneTaskTooMany,
        Self::AgeIsForgotten,
        Self::IdlenessIsForgotten,
        Self::ReserveIsForgotten,
        Self::BreakerIsOff,
        Self::LossIsForgiven,
        Self::OneAttemptTooMany,
        Self::PauseIsSkipped,
        Self::RetryIsForgotten,
        Self::RetryIsMadeUp,
        Self::TimeoutIsForgotten,
        Self::DeadlineIsForgotten,
        Self::ForceIsLost,
        Self::CallIsForgotten,
        Self::TurnsAreKept,
    ];
}

/// What the pool is told of its workers, as it was planned or not.
pub(super) fn told(plan: &Plan) -> (Strength, Staffing) {
    let mut strength = Strength { max_workers: plan.max_workers, max_tasks: plan.max_tasks, packing: plan.packing };
    let mut staffing = plan.staffing;
    match plan.sabotage {
        Some(Sabotage::OneTaskTooMany) => strength.max_tasks = strength.max_tasks.map(|tasks| tasks + 1),
        Some(Sabotage::AgeIsForgotten) => staffing.max_age = None,
        Some(Sabotage::IdlenessIsForgotten) => staffing.idle_timeout = None,
        Some(Sabotage::ReserveIsForgotten) => (staffing.min_workers, staffing.spares) = (0, 0),
        Some(Sabotage::BreakerIsOff) => {
            staffing.restarts = RestartLimit { losses: usize::MAX, within: Duration::from_secs(1) };
        }
        Some(Sabotage::LossIsForgiven) => staffing.on_worker_loss = OnWorkerLoss::Replace,
        _ => {}
    }
    (strength, staffing)
}

/// Spoils what a hub reports.
pub(super) fn spoil(sabotage: Sabotage, random: &mut Random, events: &mut Vec<LinkEvent>) {
    match sabotage {
        Sabotage::OutcomeIsDropped => {
            let is_outcome =
                |event: &LinkEvent| matches!(event, LinkEvent::Outcome { .. } | LinkEvent::Outcomes { .. });
            events.retain(|event| !is_outcome(event) || !random.one_in(RATE));
        }
        Sabotage::EndIsSwallowed => {
            events.retain(|event| !matches!(event, LinkEvent::Ended { .. }) || !random.one_in(RATE));
        }
        _ => events.iter_mut().for_each(|event| spoil_end(sabotage, random, event)),
    }
}

fn spoil_end(sabotage: Sabotage, random: &mut Random, event: &mut LinkEvent) {
    let LinkEvent::Ended { cause, lost, .. } = event else { return };
    if sabotage == Sabotage::CauseIsWrong {
        *cause = pool_ipc::ExitCause::Code(77);
    }
    for lost in lost.iter_mut().filter(|_| random.one_in(RATE)) {
        match (sabotage, lost.blamed, &mut lost.rest) {
            (Sabotage::BlameIsForgotten, Some(blamed), Some(rest)) => {
                rest.window.start = blamed;
                lost.blamed = None;
            }
            (Sabotage::RestIsLost, ..) => lost.rest = None,
            (Sabotage::BlameIsMisplaced, Some(blamed), Some(rest)) if rest.items() > 1 => {
                lost.blamed = Some(blamed + 1);
                rest.window.start += 1;
            }
            _ => {}
        }
    }
}
