//! Tests that need a process for themselves: each runs before `main` in a child, whose only other thread is its
//! watcher.

use std::num::NonZeroU64;

use rustix::process::{Resource, Rlimit, WaitId, WaitIdOptions, getrlimit, setrlimit};

use super::*;
use crate::control::tests::send_raw;
use crate::memfd::{Access, Frozen, Mapping, NotFrozen};

/// Makes a test of a function that a child runs.
macro_rules! isolated {
    ($($name:ident),* $(,)?) => {
        /// The function that a child is to run.
        pub(super) fn named(name: &str) -> fn() {
            match name {
                $(stringify!($name) => bodies::$name,)*
                _ => panic!("there is no test called {name}"),
            }
        }

        $(#[test]
        fn $name() {
            run_isolated(stringify!($name));
        })*
    };
}

isolated![
    a149_children_start_with_the_same_few_descriptors_however_many_start_at_once,
    a_start_that_fails_for_want_of_descriptors_leaves_nothing_behind,
    b005_a_dropped_child_leaves_no_zombie,
    d004_a_host_that_ignores_sigchld_gets_the_cause_or_hears_that_it_is_unknown,
    d004_a_host_that_reaps_every_child_gets_the_cause_or_hears_that_it_is_unknown,
    d005_a_forked_host_touches_none_of_its_parents_children,
    d005_a_fork_of_the_host_has_no_writable_memory_of_ours_and_its_drops_unmap_nothing,
    d012_hostile_messages_leak_no_descriptor,
    limit_that_a_host_has_is_told_as_its_childrens,
];

fn run_isolated(name: &str) {
    let mut launched = start(Role::Worker, &format!("isolated {name}"), Style::WORKER);
    assert_eq!(hear(&launched.control), "passed");
    assert_eq!(end_of(&mut launched.child), ExitCause::Code(0));
}

/// The numbers of the descriptors that are open, without the one that looks.
pub(super) fn fd_numbers() -> Vec<i32> {
    let listing = std::fs::read_dir("/proc/self/fd").expect("/proc is there");
    let numbers = listing.map(|entry| entry.expect("descriptors can be listed").file_name());
    let numbers: Vec<i32> = numbers.map(|name| name.to_string_lossy().parse().expect("a number")).collect();
    // The directory's own is closed by now.
    numbers.into_iter().filter(|number| std::fs::exists(format!("/proc/self/fd/{number}")).unwrap_or(false)).collect()
}

/// Those of them that are this process's own: what it inherited, from whoever runs the tests, is not close-on-exec.
pub(super) fn own_fd_numbers() -> Vec<i32> {
    let is_own = |number: &i32| {
        // SAFETY: asks for the flags of a descriptor that is open; nothing else in this process closes any meanwhile.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        rustix::io::fcntl_getfd(fd).is_ok_and(|flags| flags.contains(rustix::io::FdFlags::CLOEXEC))
    };
    fd_numbers().into_iter().filter(is_own).collect()
}

/// Whether this process has children, running or not yet reaped.
fn has_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(rustix::process::waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

/// The causes of these ends, seen through this process's habits with children.
fn causes_of(scripts: &[&str]) -> Vec<ExitCause> {
    scripts.iter().map(|script| end_of(&mut worker(script).child)).collect()
}

const ENDS: [(&str, ExitCause); 4] = [
    ("exit 0", ExitCause::Code(0)),
    ("exit 3", ExitCause::Code(3)),
    ("kill-itself", ExitCause::Signal(libc::SIGKILL)),
    ("segv", ExitCause::Signal(libc::SIGSEGV)),
];

/// The test bodies.
mod bodies {
    use super::*;

    pub(super) fn a149_children_start_with_the_same_few_descriptors_however_many_start_at_once() {
        let inherited = fd_numbers().len() - own_fd_numbers().len();
        let alone = facts(&worker("report").control)["fds"].clone();
        let expected = (inherited + 4).to_string();
        assert_eq!(
            alone, expected,
            "the channel, the watcher's own of it, the parent's pidfd, the set of both, and what we inherited"
        );
        let _bystanders: Vec<Launched> = (0..10).map(|_| worker("sleep")).collect();
        std::thread::scope(|scope| {
            let starters: Vec<_> = (0..5).map(|_| scope.spawn(|| worker("report"))).collect();
            let launched: Vec<Launched> = starters.into_iter().map(|starter| starter.join().unwrap()).collect();
            for one in &launched {
                assert_eq!(facts(&one.control)["fds"], alone);
            }
        });
    }

    pub(super) fn limit_that_a_host_has_is_told_as_its_childrens() {
        const MIB: u64 = 1 << 20;
        let told = |memory_limit: Option<u64>| {
            let command = WorkerCommand { memory_limit: memory_limit.and_then(NonZeroU64::new), ..Default::default() };
            let mut launched = start_by(&command, Role::Worker, &format!("fill {}", 2048 * MIB), Style::WORKER);
            assert_eq!(end_of(&mut launched.child), ExitCause::Signal(libc::SIGABRT));
            launched.child.postmortem().memory_limit
        };
        setrlimit(Resource::Data, Rlimit { current: Some(512 * MIB), maximum: Some(1024 * MIB) }).unwrap();
        assert_eq!(told(None), Some(512 * MIB));
        assert_eq!(told(Some(256 * MIB)), Some(256 * MIB));
        assert_eq!(told(Some(4096 * MIB)), Some(1024 * MIB));
    }

    pub(super) fn b005_a_dropped_child_leaves_no_zombie() {
        let before = fd_numbers();
        for script in ["sleep", "exit 3", "with-grandchild"] {
            let launched = worker(script);
            assert!(has_children());
            drop(launched);
            assert!(!has_children(), "{script}");
        }
        assert_eq!(fd_numbers(), before);
    }

    pub(super) fn a_start_that_fails_for_want_of_descriptors_leaves_nothing_behind() {
        let before = fd_numbers();
        let limit = getrlimit(Resource::Nofile);
        let mut failures = Vec::new();
        for allowed in 3..32 {
            setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), ..limit }).unwrap();
            let started = launch(Role::Worker, b"exit 0", &WorkerCommand::default(), Style::WORKER);
            let failure = started.map(drop).map_err(|error| (error.doing, error.source.raw_os_error()));
            setrlimit(Resource::Nofile, limit).unwrap();
            assert!(!has_children(), "after {failure:?}");
            assert_eq!(fd_numbers(), before, "after {failure:?}");
            match failure {
                Ok(()) => break,
                Err((doing, errno)) => {
                    assert_eq!(errno, Some(libc::EMFILE), "{doing}");
                    failures.push(doing);
                }
            }
        }
        failures.dedup();
        let expected = ["making a control channel", "writing a worker's first message", "watching a new process"];
        assert_eq!(failures, expected, "each step can fail, and the last number was enough");
    }

    pub(super) fn d004_a_host_that_ignores_sigchld_gets_the_cause_or_hears_that_it_is_unknown() {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        let causes = causes_of(&ENDS.map(|(script, _)| script));
        require_causes(&causes);
        let launched = worker("sleep");
        assert_eq!(hear(&launched.control), "ready");
        drop(launched);
        assert!(!has_children());
    }

    pub(super) fn d004_a_host_that_reaps_every_child_gets_the_cause_or_hears_that_it_is_unknown() {
        std::thread::scope(|scope| {
            let keeper = worker("sleep");
            assert_eq!(hear(&keeper.control), "ready");
            // Ends with ECHILD once the last child, the keeper, was reaped.
            scope.spawn(|| while rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED).is_ok() {});
            for _ in 0..5 {
                require_causes(&causes_of(&ENDS.map(|(script, _)| script)));
            }
            drop(keeper);
        });
        assert!(!has_children());
    }

    /// Known causes are right. Kernels since 6.15 keep them all.
    fn require_causes(causes: &[ExitCause]) {
        let kept = kernel() >= (6, 15);
        for (cause, (script, expected)) in causes.iter().zip(ENDS) {
            assert!(*cause == expected || (!kept && *cause == ExitCause::Unknown), "{script}: {cause:?}");
        }
    }

    fn kernel() -> (u32, u32) {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    pub(super) fn d005_a_forked_host_touches_none_of_its_parents_children() {
        let mut launched = worker("sleep");
        assert_eq!(hear(&launched.control), "ready");
        // SAFETY: the copy has one thread, this one, which no lock of the other, the sleeping watcher, can stop.
        match unsafe { libc::fork() } {
            0 => {
                let untouched = !launched.child.signal(libc::SIGKILL, true)
                    && !launched.child.signal(libc::SIGKILL, false)
                    && launched.child.reap() == ExitCause::Unknown;
                launched.child.end_group();
                drop(launched);
                // SAFETY: ends the copy without running what the original registered for its exit.
                unsafe { libc::_exit(i32::from(!untouched)) };
            }
            copy => {
                let copy = WaitId::Pid(Pid::from_raw(copy).expect("fork succeeds"));
                let status = rustix::process::waitid(copy, WaitIdOptions::EXITED).unwrap().unwrap();
                assert_eq!(status.exit_status(), Some(0), "the copy could do something to its parent's child");
            }
        }
        assert!(!launched.child.has_ended());
        assert!(launched.child.signal(libc::SIGTERM, false));
        assert_eq!(end_of(&mut launched.child), ExitCause::Signal(libc::SIGTERM));
    }

    pub(super) fn d005_a_fork_of_the_host_has_no_writable_memory_of_ours_and_its_drops_unmap_nothing() {
        let fd = memfd::create("test", 4096).unwrap();
        let writable = Mapping::map(fd.as_fd(), 4096, Access::ReadWrite).unwrap();
        let frozen = Frozen::open(memfd::freeze(b"inherited").unwrap(), 9).unwrap();
        // SAFETY: the copy has one thread, this one, which no lock of the other, the sleeping watcher, can stop.
        match unsafe { libc::fork() } {
            0 => {
                let place = writable.as_ptr().cast();
                // SAFETY: a mapping of the copy alone, which replaces none: the flag forbids it.
                let own = unsafe {
                    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
                    libc::mmap(place, 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
                };
                let absent = own == place;
                drop(writable);
                // SAFETY: mapped above; had the drop unmapped it, the test would fail by SIGSEGV.
                unsafe { own.cast::<u8>().write_volatile(1) };
                let readable = frozen.as_ref() == b"inherited";
                drop(frozen);
                // SAFETY: ends the copy without running what the original registered for its exit.
                unsafe { libc::_exit(i32::from(!(absent && readable))) };
            }
            copy => {
                let copy = WaitId::Pid(Pid::from_raw(copy).expect("fork succeeds"));
                let status = rustix::process::waitid(copy, WaitIdOptions::EXITED).unwrap().unwrap();
                assert_eq!(status.exit_status(), Some(0), "{status:?}");
            }
        }
        // SAFETY: mapped for 4096 bytes, and used here alone.
        unsafe { writable.as_ptr().write_volatile(1) };
    }

    pub(super) fn d012_hostile_messages_leak_no_descriptor() {
        let before = fd_numbers();
        let (peer, control) = Control::pair().unwrap();
        let mut buffer = Vec::new();
        let mut judged = |bytes: &[u8], fds: &[BorrowedFd<'_>]| {
            send_raw(&peer, bytes, fds).unwrap();
            control.receive(&mut buffer).unwrap()
        };
        for count in [5, 6, 200, 253] {
            assert!(matches!(judged(b"x", &vec![before_fd(); count]), Received::Malformed(_)), "{count}");
        }
        assert!(matches!(judged(b"", &[before_fd()]), Received::Malformed(_)));
        assert!(matches!(judged(b"", &[]), Received::Malformed(_)));
        assert!(matches!(judged(&vec![0; 70_000], &[before_fd(); 4]), Received::Malformed(_)));
        let (pipe, writer) = rustix::pipe::pipe().unwrap();
        match judged(b"x", &[pipe.as_fd()]) {
            Received::Message { mut fds } => {
                let no_memory = Frozen::open(fds.pop().unwrap(), 1);
                assert!(matches!(no_memory, Err(NotFrozen::Unfit("a descriptor that is no memfd"))));
            }
            other => panic!("no message but {other:?}"),
        }
        drop((pipe, writer));
        lack_of_numbers(&control, &peer);
        drop((peer, control));
        assert_eq!(fd_numbers(), before);
    }

    /// A receiver that has no numbers left loses what was sent along, but not the message.
    fn lack_of_numbers(control: &Control, peer: &Control) {
        let limit = getrlimit(Resource::Nofile);
        send_raw(peer, b"x", &[before_fd(); 2]).unwrap();
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        let received = control.receive(&mut Vec::new());
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(matches!(received, Ok(Received::Message { fds }) if fds.is_empty()));
    }

    /// Something to send.
    fn before_fd() -> BorrowedFd<'static> {
        rustix::stdio::stdin()
    }
}
