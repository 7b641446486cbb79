//! What is known of children that ended, beyond their cause.

use std::num::NonZeroU64;

use super::*;
use crate::memory::own_peak;
use crate::postmortem::{Killer, Postmortem};

const MIB: u64 = 1 << 20;

/// Far more than this process has had in RAM.
fn much() -> u64 {
    2 * own_peak().unwrap() + 64 * MIB
}

fn postmortem_of(launched: &mut Launched) -> (ExitCause, Postmortem) {
    (end_of(&mut launched.child), launched.child.postmortem())
}

#[test]
fn peak_is_told_where_it_is_surely_the_childs_own() {
    let bytes = much();
    let (cause, Postmortem { peak, killer, .. }) = postmortem_of(&mut worker(&format!("fill {bytes}")));
    assert_eq!((cause, killer), (ExitCause::Code(0), None));
    assert!(peak.is_some_and(|peak| peak >= bytes && peak < bytes + 256 * MIB), "{peak:?} for {bytes}");
}

#[test]
fn peak_of_a_child_that_is_smaller_than_its_parent_is_not_told() {
    let large = std::hint::black_box(vec![1_u8; 64 << 20]);
    let (cause, Postmortem { peak, .. }) = postmortem_of(&mut worker("exit 0"));
    drop(large);
    assert_eq!((cause, peak), (ExitCause::Code(0), None));
}

#[test]
fn child_under_a_limit_gets_no_more_and_the_limit_is_told() {
    let limit = NonZeroU64::new(256 * MIB);
    let command = WorkerCommand { memory_limit: limit, ..WorkerCommand::default() };
    let start = |script: &str| start_by(&command, Role::Worker, script, Style::WORKER);
    let (cause, postmortem) = postmortem_of(&mut start(&format!("fill {}", 512 * MIB)));
    assert_eq!((cause, postmortem.memory_limit), (ExitCause::Signal(libc::SIGABRT), Some(256 * MIB)));
    assert!(postmortem.hint(cause).to_string().ends_with("limit 256 MiB"));
    let (cause, _) = postmortem_of(&mut start(&format!("fill {}", 64 * MIB)));
    assert_eq!(cause, ExitCause::Code(0));
}

#[test]
fn kill_by_this_process_is_told_from_others() {
    let mut launched = worker("sleep");
    assert_eq!(hear(&launched.control), "ready");
    assert!(launched.child.signal(libc::SIGKILL, true));
    assert_eq!(postmortem_of(&mut launched).1.killer, Some(Killer::Pool));
    // One that came too late is not what it died of.
    let mut launched = worker("kill-itself");
    wait_readable(launched.child.as_fd(), "its end");
    launched.child.signal(libc::SIGKILL, true);
    let killer = postmortem_of(&mut launched).1.killer;
    assert!(killer.is_some_and(|killer| killer != Killer::Pool), "{killer:?}");
}

/// A child on its way out closes its descriptors before it can be seen to have ended: whoever kills it for the end of its
/// channel has not killed it.
#[test]
fn kill_at_the_end_of_the_channel_is_not_what_a_child_died_of() {
    for _ in 0..20 {
        let mut launched = worker("kill-itself");
        wait_readable(launched.control.as_fd(), "the end of its channel");
        launched.child.kill_on_hang_up();
        let (cause, Postmortem { killer, .. }) = postmortem_of(&mut launched);
        assert_eq!(cause, ExitCause::Signal(libc::SIGKILL));
        let by_pool = [Some(Killer::Pool), Some(Killer::PoolOnHangUp)];
        assert!(killer.is_some() && !by_pool.contains(&killer), "{killer:?}");
    }
}
