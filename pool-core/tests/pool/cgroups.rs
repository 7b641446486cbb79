//! Control groups of workers: by their files, in a folder that imitates a group; and with real processes in a real one,
//! where this machine lets us make one. `POOL_CORE_TEST_CGROUP` names a folder for that; else it is this process's own.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use pool_core::{Builder, Cgroup, Killer, PoolError, TaskError};
use rustix::process::{Pid, getpgid};

use crate::backends::{in_process, pool, shared_memory};
use crate::gate::{Gate, stop_at};
use crate::holdings::is_alive;
use crate::watchdog::{until, when};

claims! { on_processes:
    a_worker_has_a_control_group_of_its_own_while_it_lives,
    the_control_group_of_a_stopped_task_is_killed_and_removed,
    the_control_group_of_a_lost_worker_is_killed_and_removed,
    what_left_its_process_group_ends_with_its_worker_in_a_real_control_group,
    who_exceeds_a_real_control_group_is_told_of_it,
}

/// A folder that imitates a control group. Removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let name = format!("pool-core-cgroups-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn cgroup(&self) -> Cgroup {
        let mut cgroup = Cgroup::at(&self.0);
        cgroup.imitated = true;
        cgroup
    }

    /// The groups in it.
    fn groups(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect()
    }

    /// Will have what is written into the file that kills the one group that there is, also when that is gone.
    fn watch_kill(&self) -> PathBuf {
        let [group] = &self.groups()[..] else { panic!("{:?}", self.groups()) };
        let (kill, seen) = (group.join("cgroup.kill"), self.0.join("seen"));
        fs::write(&kill, "").unwrap();
        fs::hard_link(kill, &seen).unwrap();
        seen
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn a_worker_has_a_control_group_of_its_own_while_it_lives(builder: Builder) {
    let (place, gate) = (Place::new(), Gate::new());
    let pool = pool(builder.cgroup(place.cgroup().memory_max(1 << 30).pids_max(64)), 2);
    let futures = [1, 2].map(|n| pool.submit(stop_at, (gate.name(), n)).unwrap());
    let held = [gate.next(), gate.next()];
    let read = |file: &str| -> Vec<String> {
        let mut texts: Vec<_> =
            place.groups().iter().map(|group| fs::read_to_string(group.join(file)).unwrap()).collect();
        texts.sort();
        texts
    };
    assert_eq!(read("memory.max"), ["1073741824"; 2]);
    assert_eq!(read("pids.max"), ["64"; 2]);
    let mut pids: Vec<String> = held.iter().map(|held| held.pid.to_string()).collect();
    pids.sort();
    assert_eq!(read("cgroup.procs"), pids);
    drop(held);
    assert_eq!(futures.map(|future| future.result().unwrap()), [1, 2]);
    drop(pool);
    assert!(place.groups().is_empty(), "{:?}", place.groups());
}

fn the_control_group_of_a_stopped_task_is_killed_and_removed(builder: Builder) {
    let (place, gate) = (Place::new(), Gate::new());
    let pool = pool(builder.stop_grace(Duration::ZERO).cgroup(place.cgroup()), 1);
    let future = pool.submit(stop_at, (gate.name(), 1)).unwrap();
    let _held = gate.next();
    let (groups, seen) = (place.groups(), place.watch_kill());
    assert!(future.kill());
    assert!(matches!(future.result(), Err(TaskError::Killed(_))), "{future:?}");
    assert_eq!(fs::read_to_string(seen).unwrap(), "1");
    until("the group to be gone", || when(!groups[0].exists(), place.groups()));
}

fn the_control_group_of_a_lost_worker_is_killed_and_removed(builder: Builder) {
    let (place, gate) = (Place::new(), Gate::new());
    let pool = pool(builder.cgroup(place.cgroup()), 1);
    let future = pool.submit(stop_at_and_abort, (gate.name(),)).unwrap();
    let held = gate.next();
    let (groups, seen) = (place.groups(), place.watch_kill());
    drop(held);
    assert!(matches!(future.result(), Err(TaskError::WorkerDied(_))), "{future:?}");
    assert_eq!(fs::read_to_string(seen).unwrap(), "1", "who is left of it ends, too");
    assert!(!groups[0].exists());
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
    assert_eq!(place.groups().len(), 1);
}

fn stop_at_and_abort(gate: String) {
    stop_at(gate, 1);
    std::process::abort();
}

#[test]
fn a_place_where_no_control_group_can_be_made_is_an_error_of_the_build() {
    let place = Place::new();
    for (cgroup, path) in [
        (Cgroup::at(place.0.join("missing")), place.0.join("missing")),
        (Cgroup::at(&place.0), place.0.clone()),
        (Cgroup::at("/proc/self/status"), "/proc/self/status".into()),
    ] {
        let error = shared_memory().cgroup(cgroup).build().unwrap_err();
        let PoolError::Cgroup(source) = &error else { panic!("{error}") };
        assert_eq!(source.path, path);
        let text = error.to_string();
        assert!(text.starts_with("workers cannot have control groups: finding a control group ("), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
    assert!(place.groups().is_empty());
}

#[test]
fn control_groups_that_make_no_sense_are_refused() {
    let place = Place::new();
    let refused = |builder: Builder, cgroup| builder.cgroup(cgroup).build().unwrap_err().to_string();
    assert_eq!(refused(in_process(), place.cgroup()), "cgroup must be left out where workers are threads");
    let none = refused(shared_memory(), place.cgroup().memory_max(0));
    assert_eq!(none, "the memory_max of cgroup must be more than 0");
    assert_eq!(refused(shared_memory(), place.cgroup().pids_max(0)), "the pids_max of cgroup must be at least 1");
}

/// A real control group, if this machine lets us have one. Else it is said why nothing is proved.
fn real(change: impl FnOnce(Cgroup) -> Cgroup) -> Option<Cgroup> {
    let cgroup = std::env::var_os("POOL_CORE_TEST_CGROUP").map_or_else(Cgroup::own, Cgroup::at);
    let cgroup = change(cgroup);
    match shared_memory().cgroup(cgroup.clone()).build() {
        Ok(_) => Some(cgroup),
        Err(error) => {
            // Past what the test harness captures.
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let _ = writeln!(std::io::stderr(), "{test}: not covered, as there is no such group here: {error}");
            None
        }
    }
}

/// The control group that the calling process is in, as the system names it.
fn own_group() -> String {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap();
    groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

/// Where such a group is to be found, if it is there.
fn folder_of(group: &str) -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let words: Vec<&str> = mount.split(' ').collect();
    PathBuf::from(format!("{}{}", words[4], group.strip_prefix(words[3].trim_end_matches('/')).unwrap()))
}

/// Starts a process in a session of its own, and says which.
#[expect(clippy::disallowed_methods, reason = "what a task starts is what this is about")]
fn leave_a_stray() -> u32 {
    let script = "setsid sleep 1000 >/dev/null 2>&1 & echo $!";
    let shell = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(shell.stdout).unwrap().trim().parse().unwrap()
}

fn what_left_its_process_group_ends_with_its_worker_in_a_real_control_group(builder: Builder) {
    let Some(cgroup) = real(|cgroup| cgroup) else { return };
    let pool = pool(builder.cgroup(cgroup), 1);
    let group = pool.submit(own_group, ()).unwrap().result().unwrap();
    assert!(group.contains(&format!("pool-core-{}-", std::process::id())), "{group}");
    let stray = pool.submit(leave_a_stray, ()).unwrap().result().unwrap();
    let pid = Pid::from_raw(stray.try_into().unwrap());
    until("the stray to have left", || when(getpgid(pid).ok() == pid, stray));
    drop(pool);
    until("the stray to be dead", || when(!is_alive(stray), stray));
    let folder = folder_of(&group);
    until("the group to be gone", || when(!folder.exists(), folder.display()));
}

/// Takes memory, bit by bit, until somebody minds.
fn exhaust() {
    loop {
        std::hint::black_box(vec![1_u8; 1 << 20]).leak();
    }
}

fn who_exceeds_a_real_control_group_is_told_of_it(builder: Builder) {
    let Some(cgroup) = real(|cgroup| cgroup.memory_max(256 << 20)) else { return };
    let pool = pool(builder.cgroup(cgroup), 1);
    let Err(TaskError::WorkerDied(died)) = pool.submit(exhaust, ()).unwrap().result() else { panic!("it goes on") };
    assert_eq!(died.postmortem.killer, Some(Killer::ProbablyOomKiller), "{died}");
    assert!(died.to_string().ends_with("limit 256 MiB"), "{died}");
    assert_eq!(pool.submit(u32::pow, (2, 8)).unwrap().result().unwrap(), 256);
}
