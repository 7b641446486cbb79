//! Worker processes of this very test binary, over the bare backend.

#![expect(clippy::unwrap_used, reason = "this is all test code")]

use std::ffi::{OsString, c_int};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pool_ipc::{
    Backend, ExitCause, Frame, Hub, LinkEvent, LinkId, SharedMemory, StartOrder, WorkerCommand, WorkerStderr,
};

use crate::task::{self, Arguments, Task};
use crate::wire::{Boot, Greeting, encode_single, read_reply};
use crate::worker;

/// Long enough for a loaded machine; reached only when something hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What came of a worker that was told to run one call and end.
#[derive(Debug, Default)]
struct Run {
    greeting: Option<Greeting>,
    reply: Option<Vec<u8>>,
    end: Option<(u32, ExitCause)>,
}

impl Run {
    fn note(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Said { bytes, .. } => self.greeting = Greeting::decode(&bytes),
            LinkEvent::Outcome { outcome, .. } => self.reply = Some(outcome.result.unwrap().as_slice().to_vec()),
            LinkEvent::Ended { pid, cause, .. } => self.end = Some((pid, cause)),
            LinkEvent::Outcomes { .. } | LinkEvent::Declined { .. } => panic!("there is one item, which is run"),
        }
    }
}

fn run_worker(boot: Vec<u8>, command: WorkerCommand, request: Vec<u8>) -> Run {
    let hub: Arc<dyn Hub> = SharedMemory::new().open().unwrap();
    let name = "SpawnProcess-1".to_owned();
    let order =
        StartOrder { boot: boot.into(), command, thread_main: worker::run, name, stderr: WorkerStderr::Inherit };
    let link = hub.start(LinkId(1), &order).unwrap();
    let deadline = Instant::now() + WATCHDOG;
    let (mut run, mut events) = (Run::default(), Vec::new());
    link.post(Frame::new(Arc::new(()), request, 1)).unwrap();
    while run.end.is_none() {
        assert!(Instant::now() < deadline, "the worker hangs: {run:?}");
        hub.wait(Some(deadline), &mut events);
        events.drain(..).for_each(|event| run.note(event));
        if run.reply.is_some() {
            link.close();
        }
    }
    run
}

fn call<F: Task<Args>, Args: Arguments>(_: F, args: Args) -> F::Output {
    let boot = Boot::default().encode(task::fingerprint()).unwrap();
    let request = encode_single(task::id_of::<F, Args>(), &args, 0).unwrap();
    let run = run_worker(boot, WorkerCommand::default(), request);
    assert_eq!(run.greeting, Some(Greeting::Ready { fingerprint: task::fingerprint() }));
    assert!(matches!(run.end, Some((_, ExitCause::Code(0)))), "{:?}", run.end);
    let reply = run.reply.unwrap();
    let start = read_reply("work", 0, &reply).unwrap();
    task::decode(&reply[start..]).unwrap()
}

#[test]
fn a_worker_of_a_test_runs_tasks_on_its_main_thread_with_no_set_up() {
    let here = || (std::process::id(), pool_ipc::on_main_thread(), crate::thread::current().name().to_owned());
    let (pid, on_main_thread, name) = call(here, ());
    assert_ne!(pid, std::process::id());
    assert!(on_main_thread);
    assert_eq!(name, "MainThread");
}

#[test]
fn d6_init_in_a_test_body_changes_nothing_for_workers() {
    super::init();
    assert_ne!(call(std::process::id, ()), std::process::id());
}

#[test]
fn a_worker_may_make_pools_of_its_own() {
    call(super::refuse_in_worker, ());
}

static CONSTRUCTED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn construct(_: c_int) {
    CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
}

/// One constructor that runs early and two that run somewhere about the hook.
#[used]
// SAFETY: the section is a list of pointers to functions like this one.
#[unsafe(link_section = ".init_array.00200")]
static EARLY: extern "C" fn(c_int) = construct;
#[used]
// SAFETY: the section is a list of pointers to functions like this one.
#[unsafe(link_section = ".init_array")]
static AMONG: [extern "C" fn(c_int); 2] = [construct; 2];

#[test]
fn d8_constructors_have_run_once_before_a_task_runs() {
    assert_eq!(CONSTRUCTED.load(Ordering::Relaxed), 3);
    assert_eq!(call(|| CONSTRUCTED.load(Ordering::Relaxed), ()), 3);
}

#[test]
fn the_hook_can_be_turned_off_and_then_main_runs() {
    let environment = [(OsString::from("POOL_CORE_NO_HOOK"), Some(OsString::from("1")))].into();
    // Not the tests again, which would start workers: only their list, to nowhere.
    let arguments = Some(vec!["--list".into(), "nothing is called this".into()]);
    let command = WorkerCommand { environment, arguments, ..WorkerCommand::default() };
    let boot = Boot::default().encode(task::fingerprint()).unwrap();
    let run = run_worker(boot, command, encode_single(task::TaskId::from_wire(0), &(), 0).unwrap());
    assert_eq!((run.greeting, run.reply), (None, None));
    assert!(matches!(run.end, Some((_, ExitCause::Code(0)))), "{:?}", run.end);
}

#[test]
fn a_worker_that_is_never_taken_over_says_so_and_exits_with_3() {
    // The worker runs this very test, which ends here.
    super::refuse_in_worker();
    let environment = [(OsString::from("POOL_CORE_NO_HOOK"), Some(OsString::from("1")))].into();
    let this = "init::tests::a_worker_that_is_never_taken_over_says_so_and_exits_with_3";
    let arguments = Some(vec!["--exact".into(), this.into()]);
    let command = WorkerCommand { environment, arguments, ..WorkerCommand::default() };
    let boot = Boot::default().encode(task::fingerprint()).unwrap();
    let run = run_worker(boot, command, encode_single(task::TaskId::from_wire(0), &(), 0).unwrap());
    assert_eq!((run.greeting, run.reply), (Some(Greeting::NoInit), None));
    assert!(matches!(run.end, Some((_, ExitCause::Code(3)))), "{:?}", run.end);
}

#[test]
fn a_worker_of_another_build_says_so_and_ends() {
    let boot = Boot::default().encode(task::fingerprint() ^ 1).unwrap();
    let run = run_worker(boot, WorkerCommand::default(), encode_single(task::TaskId::from_wire(0), &(), 0).unwrap());
    assert_eq!((run.greeting, run.reply), (Some(Greeting::OtherBuild), None));
}
