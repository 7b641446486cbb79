//! What the system tells about the memory of a child: what it has while it runs, and the most that it had, afterwards.
//!
//! What holds: it is the kernel's word, never the child's; a peak that may be somebody else's is none. What never happens
//! here: a wait.

use std::fs;
use std::num::NonZeroU64;

use rustix::process::{Resource, getrlimit};

use crate::exit::ExitCause;
use crate::groups::WorkerGroup;
use crate::oom::Kills;
use crate::postmortem::{Killer, Postmortem};

/// How many bytes a process has in RAM, but for memory that it shares, which is the pool's: payloads and shared values. The
/// caller sees to it that the number is the process's own.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kibibytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    kibibytes("RssAnon:")?.checked_add(kibibytes("RssFile:")?)?.checked_mul(1024)
}

/// What was so at the start of a child, and is compared with at its end.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The most that this process had had in RAM when the child had begun to run its program.
    inherited: u64,
    /// How much private memory the child may have, in bytes.
    limit: Option<NonZeroU64>,
    /// How much its control group may have.
    group_limit: Option<u64>,
    kills: Kills,
}

impl Watch {
    /// To be called before a child is started that will have this limit, and this control group.
    pub(crate) fn begin(limit: Option<NonZeroU64>, group: Option<&WorkerGroup>) -> Self {
        let (limit, group_limit) = (allowed(limit), group.and_then(WorkerGroup::memory_max));
        Self { inherited: 0, limit, group_limit, kills: Kills::now(group.map(WorkerGroup::folder)) }
    }

    /// To be called once the child runs its program. Until then it shared the memory of this process, and the kernel counts
    /// as its peak what that had had by then: this much at most.
    #[must_use]
    pub(crate) fn started(self) -> Self {
        let inherited = own_peak().unwrap_or(u64::MAX);
        Self { inherited, ..self }
    }

    /// What there is to say of a child that has ended, with this as its peak by the kernel's count.
    pub(crate) fn end(&self, cause: ExitCause, killed_by_us: Option<Killer>, counted_peak: Option<u64>) -> Postmortem {
        let killer = match cause {
            ExitCause::Signal(libc::SIGKILL) => Some(killed_by_us.unwrap_or_else(|| self.kills.killer_since())),
            _ => None,
        };
        let peak = counted_peak.filter(|peak| is_own(*peak, self.inherited));
        Postmortem { peak, memory_limit: self.limit.map(NonZeroU64::get), group_limit: self.group_limit, killer }
    }
}

/// What a child is really allowed that is to have this limit: no more than this process can give, and what it has else.
fn allowed(limit: Option<NonZeroU64>) -> Option<NonZeroU64> {
    let own = getrlimit(Resource::Data);
    match limit {
        Some(limit) => Some(own.maximum.and_then(NonZeroU64::new).map_or(limit, |maximum| maximum.min(limit))),
        None => own.current.and_then(NonZeroU64::new),
    }
}

/// Whether a child's peak is surely not the one that it began with. Where there are many processors the kernel counts
/// roughly, so it has to be well above.
fn is_own(peak: u64, inherited: u64) -> bool {
    peak > inherited.saturating_add(inherited / 16)
}

/// The most that this process has had in RAM since it began to run its program.
pub(crate) fn own_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_written_is_resident() {
        let written = vec![1_u8; 64 << 20];
        let resident_now = resident(std::process::id());
        drop(std::hint::black_box(written));
        assert!(resident_now.is_some_and(|resident| resident >= 64 << 20), "{resident_now:?}");
        assert!(own_peak().is_some_and(|peak| peak >= 64 << 20));
        assert_eq!(resident(u32::MAX), None);
    }

    #[test]
    fn peak_that_may_be_the_parents_is_not_told() {
        const MIB: u64 = 1 << 20;
        for (peak, inherited, own) in [(64, 64, false), (65, 64, false), (70, 64, true), (9, 0, true)] {
            assert_eq!(is_own(peak * MIB, inherited * MIB), own, "{peak} after {inherited}");
        }
        assert!(!is_own(u64::MAX, u64::MAX));
    }

    #[test]
    fn only_a_kill_has_a_killer() {
        let watch = Watch::begin(None, None).started();
        let end = |cause, by_us| watch.end(cause, by_us, None);
        assert_eq!(end(ExitCause::Signal(libc::SIGABRT), None).killer, None);
        assert_eq!(end(ExitCause::Signal(libc::SIGABRT), Some(Killer::Pool)).peak, None);
        for killer in [Killer::Pool, Killer::PoolOnHangUp] {
            assert_eq!(end(ExitCause::Signal(libc::SIGKILL), Some(killer)).killer, Some(killer));
        }
        assert!(end(ExitCause::Signal(libc::SIGKILL), None).killer.is_some_and(|killer| killer != Killer::Pool));
    }
}
