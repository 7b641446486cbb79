//! Ctrl-C and Ctrl-Z at a real terminal: one press ends a program with its workers, or stops them all.

use std::ffi::CString;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pool_core::{Builder, Task};
use rustix::fs::{FileType, Mode};

use crate::alone::{Ended, Host, Scene};
use crate::backends::pool;
use crate::gate::{Gate, Held, stop_at};
use crate::watchdog::{until, when};

mod b10_one_ctrl_c_ends_a_program_with_its_workers {
    #[test]
    fn shared_memory() {
        super::interrupt(concat!(module_path!(), "::shared_memory"), crate::backends::shared_memory());
    }

    #[test]
    fn ipc_channel() {
        super::interrupt(concat!(module_path!(), "::ipc_channel"), crate::backends::ipc_channel());
    }
}

mod b10_ctrl_z_stops_workers_with_the_program_and_time_limits_wait {
    #[test]
    fn shared_memory() {
        super::stop(concat!(module_path!(), "::shared_memory"), crate::backends::shared_memory(), || ());
    }

    #[test]
    fn a_worker_that_has_left_its_group() {
        let path = concat!(module_path!(), "::a_worker_that_has_left_its_group");
        super::stop(path, crate::backends::shared_memory(), crate::escapes::join_a_group_of_others);
    }

    #[test]
    fn ipc_channel() {
        super::stop(concat!(module_path!(), "::ipc_channel"), crate::backends::ipc_channel(), || ());
    }
}

/// Gives the program behind it a terminal, in which it is the foreground job of a shell that knows this much of job
/// control, and presses a key there when it has a worker. What all of them print is passed on.
const TERMINAL: &str = r#"
import os, pty, select, signal, sys, time

deed, argv = sys.argv[1], sys.argv[2:]

def state(pid):
    try:
        return open("/proc/%s/stat" % pid).read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"

def until(what, look):
    end = time.monotonic() + 60
    while not look():
        if time.monotonic() > end:
            print("waited in vain for:", what, flush=True)
            os._exit(3)
        time.sleep(0.005)

def shell():
    """The job is started, and seen to whenever it stops or ends."""
    job = os.fork()
    if job == 0:
        # A test that was started in the background of a shell ignores these, and its children inherit that.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(argv[0], argv)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        print("the job is stopped", flush=True)
        os.tcsetpgrp(0, os.getpgrp())
        # The terminal's other end says when to go on.
        sys.stdin.readline()
        os.tcsetpgrp(0, job)
        os.kill(-job, signal.SIGCONT)
    print("the job ended with", os.waitstatus_to_exitcode(status), flush=True)
    os._exit(0)

pid, terminal = pty.fork()
if pid == 0:
    shell()
seen = b""

def told(mark):
    global seen
    while True:
        at = seen.find(mark)
        if at >= 0 and b"\n" in seen[at:]:
            rest, seen = seen[at + len(mark):].split(b"\n", 1)
            return rest.decode().strip()
        if not select.select([terminal], [], [], 60)[0]:
            print("it never said", mark, flush=True)
            os._exit(3)
        try:
            data = os.read(terminal, 4096)
        except OSError:
            data = b""
        if not data:
            print("it ended and never said", mark, flush=True)
            os._exit(3)
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        seen += data

program = told(b"program ")
worker = told(b"worker ")
if deed == "interrupt":
    os.write(terminal, b"\x03")
elif deed == "suspend":
    os.write(terminal, b"\x1a")
elif deed == "kill":
    os.write(terminal, b"\x1a")
    told(b"the job is stopped")
    # Its worker may be at any point of its own stop.
    os.kill(int(program), signal.SIGKILL)
    until("the worker to be gone", lambda: state(worker) == "gone")
    os.write(terminal, b"\n")
else:
    for _ in range(2):
        os.write(terminal, b"\x1a")
        told(b"the job is stopped")
        until("the worker to be stopped", lambda: state(worker) == "T")
        # Time passes, three times the limit in all.
        time.sleep(3)
        os.write(terminal, b"\n")
        until("the worker to go on", lambda: state(worker) in "SR")
    os.write(terminal, b"go\n")
told(b"the job ended with")
os.waitpid(pid, 0)
until("the worker to be gone", lambda: state(worker) == "gone")
print("nobody is left", flush=True)
"#;

/// Longer than a loaded machine takes between a task's beginning and a key, shorter than the stops.
const LIMIT: Duration = Duration::from_secs(2);

fn at_terminal(host: Host, deed: &str) -> String {
    let Ended { status, stdout, stderr } = host.through(["python3", "-c", TERMINAL, deed]).start().end();
    assert!(status.success() && stdout.contains("nobody is left"), "{status}\n{stdout}\n{stderr}");
    stdout
}

/// Says it whole, as the harness does not flush.
fn say_who(held: &Held) {
    println!("program {}\nworker {}", std::process::id(), held.pid);
}

fn interrupt(path: &str, builder: Builder) {
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => {
            let gate = Gate::new();
            let pool = pool(builder, 1);
            let _future = pool.submit(stop_at, (gate.name(), 0)).unwrap();
            let held = gate.next();
            say_who(&held);
            loop {
                std::thread::park();
            }
        }
    };
    let seen = at_terminal(host, "interrupt");
    assert!(seen.contains("the job ended with -2"), "{seen}");
    let after = seen.split_once("worker ").unwrap().1;
    assert!(!after.contains("panicked") && !after.contains("backtrace"), "{seen}");
    // What the terminal echoes, what the driver says, and nothing else.
    let said: Vec<&str> = after.lines().skip(1).collect();
    assert!(said.len() <= 2, "{seen}");
}

/// The host's handler ran.
static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn handle(_: libc::c_int) {
    HANDLED.store(true, Ordering::SeqCst);
}

/// Presses a key whose signal the program handles itself, from before it makes a pool.
fn press_what_is_handled(path: &str, signal: i32, deed: &str) {
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => {
            // SAFETY: the handler stores to an atomic, and nothing else.
            unsafe { libc::signal(signal, handle as *const () as libc::sighandler_t) };
            let gate = Gate::new();
            let pool = pool(crate::backends::shared_memory(), 1);
            let future = pool.submit(stop_at, (gate.name(), 1)).unwrap();
            let held = gate.next();
            say_who(&held);
            until("the key", || when(HANDLED.load(Ordering::SeqCst), ()));
            drop(held);
            assert_eq!(future.result().unwrap(), 1);
            println!("it was handled");
            return;
        }
    };
    let seen = at_terminal(host, deed);
    assert!(seen.contains("the job ended with 0") && seen.contains("it was handled"), "{seen}");
}

#[test]
fn b10_a_host_that_handles_ctrl_c_keeps_doing_so() {
    press_what_is_handled("job_control::b10_a_host_that_handles_ctrl_c_keeps_doing_so", libc::SIGINT, "interrupt");
}

#[test]
fn b10_a_host_that_handles_ctrl_z_keeps_doing_so() {
    press_what_is_handled("job_control::b10_a_host_that_handles_ctrl_z_keeps_doing_so", libc::SIGTSTP, "suspend");
}

#[test]
fn b10_a_program_that_is_killed_while_it_is_stopped_leaves_nobody() {
    let path = "job_control::b10_a_program_that_is_killed_while_it_is_stopped_leaves_nobody";
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => return stop_here(crate::backends::shared_memory(), || ()),
    };
    let seen = at_terminal(host, "kill");
    assert!(seen.contains("the job ended with -9"), "{seen}");
}

/// A stop comes to a thread in vfork(2) only once its child has become another program. Here that child waits for somebody
/// to write to a FIFO, in a process group of its own.
fn stop_at_with_a_thread_that_cannot_stop(gate: String, fifo: String) {
    let path = CString::new(fifo).unwrap();
    let thread = pool_core::thread::Builder::new().spawn(move || {
        // SAFETY: plain data, which the calls initialise; the pointers are to locals and to static strings.
        unsafe {
            let (mut actions, mut attributes) = (std::mem::zeroed(), std::mem::zeroed());
            libc::posix_spawn_file_actions_init(&raw mut actions);
            libc::posix_spawn_file_actions_addopen(&raw mut actions, 0, path.as_ptr(), libc::O_RDONLY, 0);
            libc::posix_spawnattr_init(&raw mut attributes);
            libc::posix_spawnattr_setflags(&raw mut attributes, libc::POSIX_SPAWN_SETPGROUP as libc::c_short);
            let arguments = [c"true".as_ptr().cast_mut(), std::ptr::null_mut()];
            let (environment, mut pid) = ([std::ptr::null_mut()], 0);
            libc::posix_spawnp(
                &raw mut pid,
                c"true".as_ptr(),
                &raw const actions,
                &raw const attributes,
                arguments.as_ptr(),
                environment.as_ptr(),
            );
        }
    });
    let thread = thread.unwrap();
    until("a thread in vfork", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let mut states = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
        when(states.any(|stat| stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('D'))), ())
    });
    stop_at(gate, 0);
    thread.join().unwrap();
}

#[test]
fn b10_a_program_that_is_killed_before_its_workers_have_come_to_a_stop_leaves_nobody() {
    let path = "job_control::b10_a_program_that_is_killed_before_its_workers_have_come_to_a_stop_leaves_nobody";
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => {
            let gate = Gate::new();
            let fifo = std::env::temp_dir().join(format!("pool-core-fifo-{}", std::process::id()));
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            println!("fifo {}", fifo.display());
            let pool = pool(crate::backends::shared_memory(), 1);
            let fifo = fifo.to_str().unwrap().to_owned();
            let _future = pool.submit(stop_at_with_a_thread_that_cannot_stop, (gate.name(), fifo)).unwrap();
            say_who(&gate.next());
            loop {
                std::thread::park();
            }
        }
    };
    let seen = at_terminal(host, "kill");
    assert!(seen.contains("the job ended with -9"), "{seen}");
    let fifo = seen.lines().find_map(|line| line.split_once("fifo ").map(|(_, path)| path)).unwrap();
    // Who waits for a writer goes on, and ends.
    drop(std::fs::File::options().write(true).open(fifo).unwrap());
    std::fs::remove_file(fifo).unwrap();
}

/// Stops a program whose worker has run a task that prepares it.
fn stop(path: &str, builder: Builder, prepare: impl Task<(), Output = ()>) {
    let host = match Scene::of(path) {
        Scene::Outside(host) => host,
        Scene::Alone => return stop_here(builder, prepare),
    };
    let seen = at_terminal(host, "stop");
    assert!(seen.contains("the job ended with 0") && seen.contains("both have their results"), "{seen}");
}

fn stop_here(builder: Builder, prepare: impl Task<(), Output = ()>) {
    let gate = Gate::new();
    let pool = pool(builder, 1);
    pool.submit(prepare, ()).unwrap().result().unwrap();
    let future = pool.task().timeout(LIMIT).deadline(2 * LIMIT).submit(stop_at, (gate.name(), 1)).unwrap();
    let behind = pool.task().deadline(2 * LIMIT).submit(stop_at, (gate.name(), 2)).unwrap();
    let held = gate.next();
    say_who(&held);
    for line in std::io::stdin().lock().lines() {
        if line.unwrap() == "go" {
            break;
        }
    }
    drop(held);
    assert_eq!(future.result().unwrap(), 1);
    drop(gate.next());
    assert_eq!(behind.result().unwrap(), 2);
    println!("both have their results");
}
