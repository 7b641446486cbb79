//! What `thread` promises, without a process: names, the list, and the wait for those that are no daemons.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn names() -> Vec<String> {
    enumerate().iter().map(|thread| thread.name().to_owned()).collect()
}

/// Starts a thread that others would have started.
fn elsewhere<T: Send + 'static>(name: Option<&str>, main: impl FnOnce() -> T + Send + 'static) -> T {
    let builder = std::thread::Builder::new();
    let builder = name.map_or(builder, |name| std::thread::Builder::new().name(name.to_owned()));
    builder.spawn(main).unwrap().join().unwrap()
}

#[test]
fn unnamed_threads_take_numbers_that_are_never_given_twice() {
    let handles: Vec<_> = (0..50).map(|_| spawn(|| current().name().to_owned())).collect();
    let names: HashSet<String> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
    assert_eq!(names.len(), 50);
    for name in names {
        name.strip_prefix("Thread-").unwrap().parse::<u64>().unwrap();
    }
}

#[test]
fn a_thread_is_listed_in_the_order_of_start_from_spawn_until_its_closure_is_done() {
    let (stops, handles): (Vec<_>, Vec<_>) = (0..5)
        .map(|number| {
            let (stop, stopped) = mpsc::channel::<()>();
            let name = format!("order-{number}");
            let handle = Builder::new().name(name).spawn(move || stopped.recv().unwrap_err());
            (stop, handle.unwrap())
        })
        .unzip();
    let listed: Vec<String> = names().into_iter().filter(|name| name.starts_with("order-")).collect();
    assert_eq!(listed, ["order-0", "order-1", "order-2", "order-3", "order-4"]);
    assert_eq!(names()[0], "MainThread");

    drop(stops);
    for handle in handles {
        let thread = handle.thread().clone();
        handle.join().unwrap();
        assert!(!thread.is_alive());
    }
    assert!(!names().iter().any(|name| name.starts_with("order-")));
}

#[test]
fn a_thread_that_panics_leaves_the_list() {
    let handle = Builder::new().name("panics").spawn(|| panic!("on purpose")).unwrap();
    let thread = handle.thread().clone();
    handle.join().unwrap_err();
    assert!(!thread.is_alive());
    assert!(!enumerate().contains(&thread));
}

#[test]
fn a_name_with_a_nul_is_an_error_and_leaves_no_entry() {
    let error = Builder::new().name("nul\0inside").spawn(|| ()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(!names().iter().any(|name| name.contains("inside")));
}

#[test]
fn a_stack_that_no_system_has_is_an_error_and_leaves_no_entry() {
    Builder::new().name("too-large").stack_size(usize::MAX / 4).spawn(|| ()).unwrap_err();
    assert!(!names().iter().any(|name| name == "too-large"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_system_knows_the_first_fifteen_bytes_of_a_name() {
    let handle = Builder::new().name("QueueFeederThread").spawn(|| {
        let number = current().native_id().unwrap();
        std::fs::read_to_string(format!("/proc/self/task/{number}/comm")).unwrap()
    });
    assert_eq!(handle.unwrap().join().unwrap(), "QueueFeederThre\n");
}

#[test]
fn threads_of_others_have_a_name_and_are_not_listed() {
    let thread = elsewhere(Some("foreign"), || {
        assert_eq!(current(), current());
        current()
    });
    assert_eq!(thread.name(), "foreign");
    assert!(!names().contains(&"foreign".to_owned()));

    let thread = elsewhere(None, current);
    thread.name().strip_prefix("Dummy-").unwrap().parse::<u64>().unwrap();
}

#[test]
fn an_adopted_thread_has_our_name_and_ends_with_its_thread() {
    let thread = elsewhere(Some("theirs"), || {
        adopt("MainThread");
        let thread = current();
        assert!(thread.is_alive());
        thread
    });
    assert_eq!(thread.name(), "MainThread");
    assert!(!enumerate().contains(&thread), "it is another MainThread than the process's");
}

#[test]
fn internal_threads_are_daemons_and_take_the_next_number_or_their_name() {
    let (sender, receiver) = mpsc::channel();
    let unnamed = spawn_internal(None, move || sender.send(current()).unwrap()).unwrap();
    let thread = receiver.recv_timeout(PATIENCE).unwrap();
    assert!(thread.daemon() && thread.name().starts_with("Thread-"), "{thread:?}");
    unnamed.join().unwrap();
    let feeder = spawn_internal(Some("QueueFeederThread"), || ()).unwrap();
    assert_eq!(feeder.thread().name(), "QueueFeederThread");
    feeder.join().unwrap();
}

#[test]
fn a150_threads_that_are_no_daemons_are_waited_for_and_daemons_are_not() {
    let (stop_daemon, daemon_stopped) = mpsc::channel::<()>();
    let daemon = Builder::new().daemon(true).spawn(move || daemon_stopped.recv().unwrap_err()).unwrap();
    let (stop, stopped) = mpsc::channel::<()>();
    let waited_for = spawn(move || stopped.recv().unwrap_err()).thread().clone();

    let (done, joined) = mpsc::channel();
    let waiter = spawn(move || {
        join_non_daemon();
        done.send(()).unwrap();
    });
    // Other tests start threads as well, so all that holds is that the wait does not end before this thread does.
    assert!(waited_for.is_alive());
    assert!(joined.try_recv().is_err());
    drop(stop);
    joined.recv_timeout(PATIENCE).unwrap();
    assert!(!waited_for.is_alive());
    assert!(daemon.thread().is_alive());
    waiter.join().unwrap();
    drop(stop_daemon);
    daemon.join().unwrap();
}

#[test]
fn the_main_thread_is_always_first_and_alive() {
    let threads = enumerate();
    assert_eq!(threads[0].name(), "MainThread");
    assert!(threads[0].is_alive() && !threads[0].daemon());
    assert_eq!(threads[0].native_id(), pool_ipc::main_thread_id());
}
