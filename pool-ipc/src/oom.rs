//! Whether the kernel's OOM killer has struck: it counts for whom, in `memory.events` of each control group (version 2), and
//! for the whole machine in `/proc/vmstat`. Both are counted before the signal is sent, so that who has ended is counted.
//!
//! What holds: a count that cannot be read is no count. What never happens here: a guess at which process it was.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::postmortem::Killer;

/// The counts at the start of a process.
#[derive(Debug)]
pub(crate) struct Kills {
    /// The file that tells of the process's control group, and what it told.
    in_group: Option<(PathBuf, u64)>,
    on_machine: Option<u64>,
}

impl Kills {
    /// The counts now. The control group is that of the calling process, which those that it starts inherit.
    pub(crate) fn now() -> Self {
        let events = own_group().map(|group| group.join("memory.events"));
        Self {
            in_group: events.and_then(|path| read_count(&path).map(|count| (path, count))),
            on_machine: on_machine(),
        }
    }

    /// Who may have killed a process that was started when these were the counts, and that the pool did not kill.
    pub(crate) fn killer_since(&self) -> Killer {
        let in_group = self.in_group.as_ref().and_then(|(path, then)| read_count(path).map(|now| (*then, now)));
        judge(in_group, self.on_machine.zip(on_machine()))
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

/// The folder of this process's control group of version 2.
fn own_group() -> Option<PathBuf> {
    /// Where the groups are mounted, which does not change.
    static MOUNT: OnceLock<Option<(String, PathBuf)>> = OnceLock::new();
    let mount = MOUNT.get_or_init(|| mount_in(&std::fs::read_to_string("/proc/self/mountinfo").ok()?)).as_ref()?;
    folder_of(&std::fs::read_to_string("/proc/self/cgroup").ok()?, mount)
}

/// Which part of the hierarchy is mounted, and where, by the text of `mountinfo`.
fn mount_in(mounts: &str) -> Option<(String, PathBuf)> {
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let mut words = line.split(' ').skip(3);
    Some((words.next()?.to_owned(), PathBuf::from(words.next()?)))
}

/// The folder of the group that is named by the text of `/proc/self/cgroup`.
fn folder_of(groups: &str, (root, point): &(String, PathBuf)) -> Option<PathBuf> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(point.join(Path::new(group).strip_prefix(root).ok()?))
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
    fn folder_of_a_group_is_below_its_mount() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n35 24 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 none rw\n";
        let mount = mount_in(mounts).expect("it is mounted");
        let folder = |text: &str| folder_of(text, &mount);
        assert_eq!(folder("1:cpu:/x\n0::/user.slice/a\n"), Some(PathBuf::from("/sys/fs/cgroup/user.slice/a")));
        assert_eq!(folder("0::/\n"), Some(PathBuf::from("/sys/fs/cgroup/")));
        assert_eq!(folder("1:cpu:/x\n"), None);
        let part = ("/pod/a".to_owned(), PathBuf::from("/mnt"));
        assert_eq!(folder_of("0::/pod/a/b\n", &part), Some(PathBuf::from("/mnt/b")));
        assert_eq!(folder_of("0::/pod/c\n", &part), None, "it is not mounted here");
        assert_eq!(mount_in("24 1 0:22 / /proc rw - proc proc rw\n"), None);
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
