//! What is known of a process that ended, beyond how: what memory it had, and who may have killed it. With the words for it.
//!
//! What holds: a figure is the kernel's or `None`; what is likely and no more is called so. What never stands here: how it
//! is found out, which is the system's matter.

use std::fmt;

use crate::exit::ExitCause;

/// What is known of a process that ended. Where nothing is, the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Postmortem {
    /// The most memory that it had in RAM, in bytes, or that a child had which it waited for. `None` where that cannot be
    /// told from what the process that started it had had by then, which the kernel counts in.
    pub peak: Option<u64>,
    /// How much private memory it was allowed, in bytes, if that was limited.
    pub memory_limit: Option<u64>,
    /// How much memory its control group was allowed, in bytes, if it had one of its own and that was limited.
    pub group_limit: Option<u64>,
    /// Who sent the SIGKILL, if it ended by one.
    pub killer: Option<Killer>,
}

/// Who may have sent a SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Killer {
    /// The pool.
    Pool,
    /// The pool, as the process had closed its channel to the pool and went on: its task runs another program by an exec, or
    /// has closed descriptors that are not its own.
    PoolOnHangUp,
    /// Neither the pool nor the kernel's OOM killer, which killed nobody meanwhile: perhaps the process itself.
    Somebody,
    /// Not the pool. The kernel's OOM killer killed somebody on this machine meanwhile, or it cannot be known.
    PerhapsOomKiller,
    /// Not the pool. The kernel's OOM killer killed somebody in the control group of the process meanwhile.
    ProbablyOomKiller,
}

impl Postmortem {
    /// What to say behind the cause: nothing, or what memory had to do with it, probably.
    pub fn hint(&self, cause: ExitCause) -> impl fmt::Display {
        Hint { postmortem: *self, cause }
    }
}

/// See [`Postmortem::hint`].
struct Hint {
    postmortem: Postmortem,
    cause: ExitCause,
}

/// How a process ends whose memory is limited and that gets none: Rust aborts, C writes to where no memory is, and others
/// have instructions of their own for a situation without a way out. SIGILL, SIGTRAP, SIGABRT, SIGBUS and SIGSEGV.
const ENDS_WITHOUT_MEMORY: [i32; 5] = [4, 5, 6, 7, 11];

const SIGKILL: i32 = 9;

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Postmortem { peak, memory_limit, group_limit, killer } = self.postmortem;
        match (self.cause, killer, memory_limit) {
            (ExitCause::Signal(SIGKILL), Some(Killer::PoolOnHangUp), _) => f.write_str(
                ", sent by the pool as the worker had closed its channel: does the task run another program by an exec, \
                 or close descriptors that are not its own?",
            ),
            (ExitCause::Signal(SIGKILL), Some(Killer::Somebody), _) => f.write_str(", which the pool did not send"),
            (ExitCause::Signal(SIGKILL), Some(Killer::PerhapsOomKiller), _) => {
                write!(f, ", perhaps by the kernel's OOM killer{}", Figures(peak, None))
            }
            (ExitCause::Signal(SIGKILL), Some(Killer::ProbablyOomKiller), _) => {
                write!(f, ", probably by the kernel's OOM killer{}", Figures(peak, group_limit))
            }
            (ExitCause::Signal(signal), _, Some(limit)) if ENDS_WITHOUT_MEMORY.contains(&signal) => {
                let word = if peak.is_some_and(|peak| peak >= limit / 2) { "probably" } else { "perhaps" };
                write!(f, ", {word} out of memory{}", Figures(peak, memory_limit))
            }
            _ => Ok(()),
        }
    }
}

/// A peak and a limit, as far as they are known, for the end of a sentence.
struct Figures(Option<u64>, Option<u64>);

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(None, None) => Ok(()),
            Self(Some(peak), None) => write!(f, ": peak {}", Size(peak)),
            Self(None, Some(limit)) => write!(f, ": limit {}", Size(limit)),
            Self(Some(peak), Some(limit)) => write!(f, ": peak {}, limit {}", Size(peak), Size(limit)),
        }
    }
}

/// A number of bytes, as people say it: `480 MiB`, `3.2 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let bytes = self.0;
        let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
            return write!(f, "{bytes} bytes");
        };
        let tenths = (bytes / unit) * 10 + (bytes % unit) * 10 / unit;
        match (tenths / 10, tenths % 10) {
            (whole @ 0..10, tenths @ 1..) => write!(f, "{whole}.{tenths} {name}"),
            (whole, _) => write!(f, "{whole} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn said(postmortem: Postmortem, signal: i32) -> String {
        postmortem.hint(ExitCause::Signal(signal)).to_string()
    }

    #[test]
    fn who_may_have_killed_a_process_is_said_as_far_as_it_is_known() {
        let peak = Some(3277 * MIB);
        let killed = |killer| said(Postmortem { killer: Some(killer), peak, ..Postmortem::default() }, 9);
        assert_eq!(killed(Killer::Pool), "");
        assert!(killed(Killer::PoolOnHangUp).starts_with(", sent by the pool as the worker had closed its channel"));
        assert_eq!(killed(Killer::Somebody), ", which the pool did not send");
        assert_eq!(killed(Killer::PerhapsOomKiller), ", perhaps by the kernel's OOM killer: peak 3.2 GiB");
        assert_eq!(killed(Killer::ProbablyOomKiller), ", probably by the kernel's OOM killer: peak 3.2 GiB");
        let unknown = Postmortem { killer: Some(Killer::PerhapsOomKiller), ..Postmortem::default() };
        assert_eq!(said(unknown, 9), ", perhaps by the kernel's OOM killer");
        assert_eq!(said(Postmortem::default(), 9), "");
        let group_limit = Some(3 << 30);
        let in_group = Postmortem { killer: Some(Killer::ProbablyOomKiller), group_limit, ..Postmortem::default() };
        assert_eq!(said(in_group, 9), ", probably by the kernel's OOM killer: limit 3 GiB");
    }

    #[test]
    fn end_under_a_limit_is_probably_for_want_of_memory_if_much_of_it_was_used() {
        let limited = |mib: Option<u64>| Postmortem {
            peak: mib.map(|mib| mib * MIB),
            memory_limit: Some(512 * MIB),
            ..Postmortem::default()
        };
        assert_eq!(said(limited(Some(480)), 6), ", probably out of memory: peak 480 MiB, limit 512 MiB");
        assert_eq!(said(limited(Some(20)), 11), ", perhaps out of memory: peak 20 MiB, limit 512 MiB");
        assert_eq!(said(limited(None), 7), ", perhaps out of memory: limit 512 MiB");
        assert_eq!(said(limited(Some(480)), 15), "");
        assert_eq!(limited(Some(480)).hint(ExitCause::Code(6)).to_string(), "");
        assert_eq!(said(Postmortem { memory_limit: None, ..limited(Some(480)) }, 6), "");
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        let sizes = [0, 1023, 1024, 1536, 480 * MIB, 512 * MIB - 1, 3277 * MIB, 12 << 30, u64::MAX];
        let said = sizes.map(|size| Size(size).to_string());
        let expected =
            ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "480 MiB", "511 MiB", "3.2 GiB", "12 GiB", "17179869183 GiB"];
        assert_eq!(said, expected);
    }
}
