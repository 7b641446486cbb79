//! Tests that need a process for themselves, because they count what it has or lower its limits. Each runs in a worker,
//! before `main`, with a directory for temporary files that nobody else uses.
#![expect(clippy::unwrap_used, reason = "what fails here is told to the test that started it")]

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use pool_ipc::{FarEnd, RefusedWhy, Undelivered, WorkerCommand};
use rustix::process::{Resource, Rlimit, WaitId, WaitIdOptions, getrlimit, setrlimit};

use crate::rig::{Rig, frame, post};

/// Runs a test in a process of its own.
#[track_caller]
pub(crate) fn run(name: &str) {
    let directory = std::env::temp_dir().join(format!("pool-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let environment = BTreeMap::from([("TMPDIR".into(), Some(directory.clone().into()))]);
    let mut rig = Rig::new();
    let link = rig.try_start(&format!("isolated {name}"), WorkerCommand { environment, ..Default::default() }).unwrap();
    assert_eq!(rig.said(&link), "passed");
    rig.close(&link);
    // Fails if there is something in it.
    std::fs::remove_dir(&directory).unwrap();
}

/// The worker's side.
pub(crate) fn run_here(far: &mut dyn FarEnd, name: &str) {
    let test = match name {
        "leaks" => leaks,
        "descriptors" => descriptors,
        _ => panic!("there is no test called {name}"),
    };
    let result = std::panic::catch_unwind(AssertUnwindSafe(test));
    let words = result.map_or_else(|panic| message(&*panic), |()| "passed".to_owned());
    far.say(&words.as_bytes()[..words.len().min(10_000)]).expect("the test listens");
    far.serve(&mut |_| {});
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// What this process has.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: Vec<String>,
    threads: usize,
    mappings: usize,
    files: Vec<PathBuf>,
    has_children: bool,
}

impl Holdings {
    fn count() -> Self {
        let list = |path: PathBuf| std::fs::read_dir(path).unwrap().flatten().map(|entry| entry.path());
        let mut descriptors: Vec<String> = list("/proc/self/fd".into())
            .collect::<Vec<_>>()
            .iter()
            .flat_map(std::fs::read_link)
            .map(|target| target.display().to_string())
            .collect();
        descriptors.sort();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Self {
            descriptors,
            threads: list("/proc/self/task".into()).count(),
            mappings: maps.lines().filter(|line| line.contains("memfd:")).count(),
            files: list(std::env::temp_dir()).collect(),
            has_children: !matches!(rustix::process::waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD)),
        }
    }
}

fn leaks() {
    Rig::new().start();
    let before = Holdings::count();
    assert!(before.files.is_empty(), "the directory is this test's own");
    for round in 0..10 {
        let mut rig = Rig::new();
        let links: Vec<_> = (0..4).map(|_| rig.start()).collect();
        assert!(Holdings::count().files.is_empty(), "no file even while workers come up");
        // One is killed at another point of its start in each round, one works and is closed, one has a large frame, and
        // one nothing to do.
        std::thread::sleep(Duration::from_micros(300 * round));
        links[0].signal(libc::SIGKILL, true);
        rig.until_end(&links[0]);
        post(&links[1], frame(b"give 200000", 1));
        rig.result(&links[1]);
        rig.close(&links[1]);
        post(&links[2], frame(&[b"echo\n", vec![7; 300_000].as_slice()].concat(), 1));
        drop((rig, links));
        assert_eq!(Holdings::count(), before, "round {round}");
    }
}

fn descriptors() {
    let mut rig = Rig::new();
    let link = rig.start();
    post(&link, frame(b"echo\nup", 1));
    assert_eq!(rig.result(&link), b"up");
    starting_with_ever_more();
    // A payload in memory takes two descriptors for a moment.
    let large = [b"echo\n", vec![7; 300_000].as_slice()].concat();
    for spare in 0..2 {
        let refused = with_descriptors(spare, || link.post(frame(&large, 2)).unwrap_err());
        assert_eq!(refused.why, RefusedWhy::NoMemory { size: large.len() as u64, errno: libc::EMFILE });
        assert_eq!(refused.frame.payload.as_slice().len(), large.len());
    }
    let small = with_descriptors(0, || {
        post(&link, frame(b"echo\nsmall", 1));
        rig.result(&link)
    });
    assert_eq!(small, b"small", "which takes none");
    // A result in memory takes one.
    let result = with_descriptors(0, || {
        post(&link, frame(b"give 300000", 1));
        rig.any_result(&link)
    });
    let result = result.map(|bytes| bytes.len());
    assert_eq!(result, Err(Undelivered { size: 300_000, errno: libc::EMFILE }));
    post(&link, frame(b"give 300000", 1));
    assert_eq!(rig.result(&link).len(), 300_000, "and the link goes on");
    rig.close(&link);
}

/// With a rig of its own: the last of an ended link is let go by a thread of its hub, at any time until the hub is gone.
fn starting_with_ever_more() {
    let mut rig = Rig::new();
    let before = Holdings::count();
    let mut failures = Vec::new();
    for spare in 0.. {
        match with_descriptors(spare, || rig.try_start("", WorkerCommand::default())) {
            Ok(link) => {
                // The worker has the low limit too, so it may not come up.
                link.close();
                rig.until_end(&link);
                assert!(failures.len() >= 4, "several steps take descriptors: {failures:?}");
                return;
            }
            Err(error) => {
                assert_eq!(Holdings::count(), before, "{error} with {spare} descriptors");
                failures.push(error.doing);
                failures.dedup();
            }
        }
    }
}

/// Runs `action` while this process can open so many descriptors.
fn with_descriptors<T>(spare: u64, action: impl FnOnce() -> T) -> T {
    let limit = getrlimit(Resource::Nofile);
    // All numbers below the limit are taken but the spare ones.
    let fill = || rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 0).expect("a descriptor");
    let mut taken = vec![fill()];
    while std::os::fd::AsRawFd::as_raw_fd(&taken[taken.len() - 1]) < 300 {
        taken.push(fill());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(300), ..limit }).unwrap();
    let spare = usize::try_from(spare).unwrap();
    let low = taken.len() - 1 - spare;
    drop(taken.drain(low..));
    let result = action();
    setrlimit(Resource::Nofile, limit).unwrap();
    drop(taken);
    result
}
