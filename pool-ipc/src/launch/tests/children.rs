//! What the children of the tests do: they are taken over before `main`, and run the script that their first message
//! names.

use std::panic::AssertUnwindSafe;

use super::*;
use crate::arrival::{Arrived, Takeover, arrive, awaiting, depth};

/// The exit code for a script that does not exist.
pub(super) const UNKNOWN_SCRIPT: i32 = 99;

/// Runs before `main` in every process of this test binary.
#[used]
// SAFETY: the section holds pointers to functions that the loader calls one by one before `main`; this is one.
#[unsafe(link_section = ".init_array")]
static HOOK: extern "C" fn() = hook;

extern "C" fn hook() {
    let Some(takeover) = awaiting() else { return };
    // SAFETY: a watchdog: whatever goes wrong, no child of a test stays for ever.
    unsafe { libc::alarm(120) };
    let arrived = arrive().expect("a child of a test arrives");
    std::process::exit(run(takeover, &arrived));
}

/// Runs the script and gives the exit code.
fn run(takeover: Takeover, arrived: &Arrived) -> i32 {
    let boot = arrived.boot.as_ref();
    let name_len = boot.iter().position(|byte| *byte == b' ').unwrap_or(boot.len());
    let (name, argument) = boot.split_at(name_len);
    let argument = argument.get(1..).unwrap_or_default();
    match std::str::from_utf8(name).expect("scripts have names") {
        "exit" => return text(argument).parse().expect("a number"),
        "abort" => std::process::abort(),
        "segv" => raise(libc::SIGSEGV),
        "kill-itself" => raise(libc::SIGKILL),
        "fill" => {
            let bytes = vec![1_u8; text(argument).parse().expect("a number")];
            drop(std::hint::black_box(bytes));
        }
        "sleep" => {
            say(arrived, "ready");
            sleep();
        }
        "report" => say(arrived, &report(takeover, arrived)),
        "size-and-sum" => {
            let sum: usize = argument.iter().map(|byte| usize::from(*byte)).sum();
            say(arrived, &format!("{} {sum}", argument.len()));
        }
        "nest" => nest(arrived),
        "with-grandchild" => {
            let grandchild = grandchild();
            say(arrived, &grandchild.child.pid().to_string());
            sleep();
        }
        "parent" => parent(arrived),
        "leave-at-once" => leave_at_once(arrived, text(argument)),
        "end-on-close" => {
            arrived.watch(Box::new(|| std::process::exit(7)));
            say(arrived, "ready");
            sleep();
        }
        "end-on-close-late" => {
            // The end of file comes first, and the wish to hear of it later.
            assert!(matches!(arrived.control.receive_waiting(&mut Vec::new()), Ok(Received::Eof)));
            arrived.watch(Box::new(|| std::process::exit(7)));
            sleep();
        }
        "isolated" => isolate(arrived, text(argument)),
        _ => return UNKNOWN_SCRIPT,
    }
    0
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("arguments of scripts are text")
}

fn say(arrived: &Arrived, words: &str) {
    arrived.control.send_waiting(words.as_bytes(), &[]).expect("the test listens");
}

fn raise(signal: i32) {
    // SAFETY: ends this process.
    unsafe { libc::raise(signal) };
}

fn sleep() -> ! {
    loop {
        // SAFETY: waits for a signal; there are no handlers, so only death ends it.
        unsafe { libc::pause() };
    }
}

/// A child that stays in the group of this process and looks after nobody.
fn grandchild() -> Launched {
    let launched = start(Role::Process, "sleep", Style { group: Group::Parents, life: Life::Own });
    assert_eq!(hear(&launched.control), "ready");
    launched
}

/// Starts a worker that has a grandchild, and gives its channel away.
fn parent(arrived: &Arrived) {
    let worker = worker("with-grandchild");
    let pids = format!("{} {}", worker.child.pid(), hear(&worker.control));
    arrived.control.send_waiting(pids.as_bytes(), &[worker.control.as_fd()]).expect("the test listens");
    sleep();
}

/// Starts a child and ends without waiting for anything.
fn leave_at_once(arrived: &Arrived, life: &str) {
    let life = if life == "own-life" { Life::Own } else { Life::WithParent };
    let launched = start(Role::Process, "sleep", Style { group: Group::Parents, life });
    let pid = launched.child.pid().to_string();
    arrived.control.send_waiting(pid.as_bytes(), &[launched.control.as_fd()]).expect("the test listens");
    std::process::exit(0);
}

/// Starts itself again as a child until that is refused, and passes the reason up.
fn nest(arrived: &Arrived) {
    match launch(Role::Worker, b"nest", &WorkerCommand::default(), Style::WORKER) {
        Ok(launched) => say(arrived, &hear(&launched.control)),
        Err(error) => say(arrived, &format!("{}: {error}", depth())),
    }
}

/// Runs a test of its own process, and tells how it went.
fn isolate(arrived: &Arrived, name: &str) {
    let test = isolated::named(name);
    let verdict = match std::panic::catch_unwind(AssertUnwindSafe(test)) {
        Ok(()) => "passed".to_owned(),
        Err(panic) => match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(message), _) => message.clone(),
            (None, Some(message)) => (*message).to_owned(),
            (None, None) => "an unknown panic".to_owned(),
        },
    };
    say(arrived, &verdict);
}

/// Facts about this process, one a line.
fn report(takeover: Takeover, arrived: &Arrived) -> String {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "unset".to_owned());
    let status = |field: &str| status("self", field);
    let facts = [
        ("takeover", format!("{takeover:?}")),
        ("role", format!("{:?}", arrived.role)),
        ("pid", std::process::id().to_string()),
        ("ppid", std::os::unix::process::parent_id().to_string()),
        ("parent_pid", arrived.parent_pid.to_string()),
        ("depth", depth().to_string()),
        ("variable", std::env::var_os(VARIABLE).is_some().to_string()),
        ("awaiting", format!("{:?}", awaiting())),
        ("stdin", std::fs::read_link("/proc/self/fd/0").expect("stdin is open").display().to_string()),
        ("group", status("NSpgid")),
        ("leads_group", (status("NSpgid") == status("NSpid")).to_string()),
        ("own_fds_high", isolated::own_fd_numbers().iter().all(|number| *number >= 200).to_string()),
        ("fds", isolated::fd_numbers().len().to_string()),
        ("core_limit", format!("{:?}", rustix::process::getrlimit(rustix::process::Resource::Core).current)),
        ("ignored", signals_of(&status("SigIgn"))),
        ("blocked", status("SigBlk")),
        ("watcher_blocks", watcher_blocks()),
        ("arguments", format!("{:?}", std::env::args().collect::<Vec<_>>())),
        ("name", status("Name")),
        ("test_variable", variable("POOL_IPC_TEST")),
        ("path_variable", variable("PATH")),
        ("directory", std::env::current_dir().expect("there is one").display().to_string()),
    ];
    facts.map(|(name, value)| format!("{name}={value}")).join("\n")
}

/// A field of a status file under /proc.
pub(super) fn status(process: &str, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("/proc is there");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.expect("the field is there").trim().to_owned()
}

/// The names of the signals in one of its masks.
fn signals_of(mask: &str) -> String {
    let mask = u64::from_str_radix(mask, 16).expect("masks are hexadecimal");
    let numbers = (1..=31).filter(|number| mask & (1 << (number - 1)) != 0);
    numbers.filter_map(crate::exit::signal_name).collect::<Vec<_>>().join(" ")
}

/// Whether the watcher leaves all signals to others, but the two that nobody can block and the C library's own.
fn watcher_blocks() -> String {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc is there");
    let names = threads.map(|thread| thread.expect("threads can be listed").file_name());
    // By its number, not by its name: it gives itself that a moment after its start.
    let mut others =
        names.map(|tid| tid.to_string_lossy().into_owned()).filter(|tid| *tid != std::process::id().to_string());
    let watcher = others.next().expect("a watcher");
    let watcher = format!("self/task/{watcher}");
    let blocked = u64::from_str_radix(&status(&watcher, "SigBlk"), 16).expect("masks are hexadecimal");
    let unblockable =
        [libc::SIGKILL, libc::SIGSTOP, 32, 33].iter().fold(0, |mask, number| mask | 1_u64 << (number - 1));
    if others.next().is_none() && blocked | unblockable == u64::MAX {
        "everything".to_owned()
    } else {
        format!("{blocked:016x}")
    }
}
