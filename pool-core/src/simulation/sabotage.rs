//! Defects that are put in on purpose, now and then, to see that the checks find them.

use pool_ipc::LinkEvent;

use crate::simulation::plan::Sabotage;
use crate::simulation::random::Random;

/// One event in so many is spoilt.
const RATE: u64 = 4;

/// Spoils what a hub reports.
pub(super) fn spoil(sabotage: Sabotage, random: &mut Random, events: &mut Vec<LinkEvent>) {
    match sabotage {
        Sabotage::OutcomeIsDropped => {
            events.retain(|event| !matches!(event, LinkEvent::Outcome { .. }) || !random.one_in(RATE));
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
