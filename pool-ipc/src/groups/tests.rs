//! Groups in a folder that imitates a control group, and in a real one where there is one.

use super::*;

/// A folder of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("pool-ipc-groups-{}-{name}", std::process::id()));
        fs::create_dir(&folder).expect("it is not there");
        Self(folder)
    }

    fn imitated(&self) -> Cgroup {
        Cgroup { imitated: true, ..Cgroup::at(&self.0) }
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).expect("it is there").flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.into_string().ok()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("it is there");
    }
}

#[test]
fn group_is_limited_entered_killed_and_removed_by_its_files() {
    let place = Place::new("files");
    let groups = place.imitated().memory_max(512 << 20).pids_max(9).open().expect("it can be written");
    assert_eq!(place.names(), ["cgroup.subtree_control"], "the trial is gone");
    let read = |path: PathBuf| fs::read_to_string(path).expect("it was written");
    assert_eq!(read(place.0.join("cgroup.subtree_control")), "+memory +pids");
    let group = groups.make().expect("it can be written");
    let file = |name| read(group.folder().join(name));
    assert_eq!((file(MEMORY_MAX), file(PIDS_MAX)), ("536870912".to_owned(), "9".to_owned()));
    group.admit(1234).expect("it can be written");
    group.kill();
    assert_eq!((file(PROCESSES), file(KILL)), ("1234".to_owned(), "1".to_owned()));
    let folder = group.folder().to_path_buf();
    drop(group);
    assert!(!folder.exists());
}

#[test]
fn group_without_limits_needs_no_controller() {
    let place = Place::new("bare");
    let groups = place.imitated().open().expect("it can be written");
    assert_eq!(groups.make().expect("it can be written").memory_max(), None);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn controllers_that_are_on_are_left_alone() {
    let place = Place::new("controllers");
    let control = place.0.join("cgroup.subtree_control");
    fs::write(&control, "cpu memory\n").expect("there is room");
    place.imitated().memory_max(1 << 20).open().expect("it can be written");
    assert_eq!(fs::read_to_string(&control).expect("it is there"), "cpu memory\n");
}

#[test]
fn group_that_somebody_is_in_is_removed_later() {
    let place = Place::new("later");
    let groups = place.imitated().open().expect("it can be written");
    let (one, other) = (groups.make().expect("one"), groups.make().expect("another"));
    let occupant = one.folder().join("occupant");
    fs::write(&occupant, "").expect("there is room");
    drop(one);
    assert_eq!(place.names().len(), 2);
    fs::remove_file(&occupant).expect("it is there");
    drop(other);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn groups_of_programs_that_are_gone_are_removed_and_others_are_not() {
    let place = Place::new("stale");
    let own = format!("{PREFIX}{}-x", std::process::id());
    // Beyond all process numbers.
    let gone = format!("{PREFIX}{}-0", i32::MAX);
    for name in [&*own, &*gone, "somebody-elses"] {
        fs::create_dir(place.0.join(name)).expect("there is room");
    }
    place.imitated().open().expect("it can be written");
    let mut left = place.names();
    left.sort();
    assert_eq!(left, [own, "somebody-elses".to_owned()]);
}

#[test]
fn place_where_no_group_can_be_made_is_named() {
    let place = Place::new("refused");
    let missing = place.0.join("missing");
    let error = Cgroup { imitated: true, ..Cgroup::at(&missing) }.open().expect_err("it is not there");
    assert!(error.path.starts_with(&missing) && error.to_string().contains("No such file"), "{error}");
    let error = Cgroup::at(&missing).open().expect_err("it is not there");
    assert_eq!((error.doing, &error.path), ("finding a control group", &missing));
    let error = Cgroup::at(&place.0).open().expect_err("it is an ordinary folder");
    assert_eq!(
        error.to_string(),
        format!("finding a control group ({}): it is no control group of version 2", place.0.display())
    );
}

#[test]
fn way_between_two_groups_leads_through_the_one_that_both_are_in() {
    for (own, other, above) in [
        ("/cg/user/a", "/cg/user/pool", "/cg/user"),
        ("/cg/user", "/cg/user/pool", "/cg/user"),
        ("/cg/user/a", "/cg/user", "/cg/user"),
        ("/cg/ab", "/cg/a", "/cg"),
    ] {
        assert_eq!(common_ancestor(Path::new(own), Path::new(other)), Some(PathBuf::from(above)));
    }
}
