//! Whether the kernel's OOM killer has struck: it counts for whom, in `memory.events` of each control group (version 2), and
//! for the whole machine in `/proc/vmstat`. Both are counted before the signal is sent, so that who has ended is counted.
//!
//! What holds: a count that cannot be read is no count. What never happens here: a guess at which process it was.

use std::path::{Path, PathBuf};

use crate::groups::own_folder;
use crate::postmortem::Killer;

/// The counts at the start of a process.
#[derive(Debug)]
pub(crate) struct Kills {
    /// The file that tells of the process's control group, and what it told.
    in_group: Option<(PathBuf, u64)>,
    /// Where the other is not known, as it takes longer to find out.
    on_machine: Option<u64>,
}

impl Kills {
    /// The counts now, for a process of this control group; or of the calling process's, which it inherits.
    pub(crate) fn now(group: Option<&Path>) -> Self {
        let events = group.map(Path::to_path_buf).or_else(own_folder).map(|group| group.join("memory.events"));
        let in_group = events.and_then(|path| read_count(&path).map(|count| (path, count)));
        let on_machine = if in_group.is_none() { on_machine() } else { None };
        Self { in_group, on_machine }
    }

    /// Who may have killed a process that was started when these were the counts, and that the pool did not kill.
    pub(crate) fn killer_since(&self) -> Killer {
        let in_group = self.in_group.as_ref().and_then(|(path, then)| read_count(path).map(|now| (*then, now)));
        judge(in_group, self.on_machine.and_then(|then| Some((then, on_machine()?))))
    }
}

/// By the counts then and now: those of the control group say more, where they are known.
fn judge(in_group: Option<(u64, u64)>, on_machine: Option<(u64, u64)>) -> Killer {
    match (in_group, on_machine) {
        (Some((then, now)), _) if now > then => Killer::ProbablyOomKiller,
        (Some(_), _) => Killer::Somebody,
        (None, Some((then, now))) if now <= then => Killer::Somebody,
        (None, _) => Killer::PerhapsOomKiller,
    }
}

fn on_machine() -> Option<u64> {
    read_count(Path::new("/proc/vmstat"))
}

fn read_count(path: &Path) -> Option<u64> {
    count_in(&std::fs::read_to_string(path).ok()?)
}

/// Both files have a line of this name.
fn count_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_among_others() {
        assert_eq!(count_in("low 0\noom 3\noom_kill 2\noom_group_kill 1\n"), Some(2));
        assert_eq!(count_in("pgfault 3\noom_kill 0\n"), Some(0));
        assert_eq!(count_in("oom 3\n"), None);
        assert_eq!(count_in("oom_kill x\n"), None);
    }

    #[test]
    fn group_says_more_than_the_machine() {
        assert_eq!(judge(Some((1, 2)), Some((5, 6))), Killer::ProbablyOomKiller);
        assert_eq!(judge(Some((1, 1)), Some((5, 6))), Killer::Somebody);
        assert_eq!(judge(None, Some((5, 6))), Killer::PerhapsOomKiller);
        assert_eq!(judge(None, Some((5, 5))), Killer::Somebody);
        assert_eq!(judge(None, None), Killer::PerhapsOomKiller);
    }
}
