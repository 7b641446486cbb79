//! Which control group of version 2 this process is in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of this process's control group, where such groups are mounted.
pub(crate) fn own_folder() -> Option<PathBuf> {
    /// Where the groups are mounted, which does not change.
    static MOUNT: OnceLock<Option<(String, PathBuf)>> = OnceLock::new();
    let mount = MOUNT.get_or_init(|| mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)).as_ref()?;
    folder_of(&fs::read_to_string("/proc/self/cgroup").ok()?, mount)
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
}
