//! How a child comes to itself: it finds out that it is one, takes its channel off stdin, and ties its life to its
//! parent's.
//!
//! What holds: nothing that the child runs later sees how it was started (the variable is removed, stdin is /dev/null);
//! the channel and the parent's pidfd have high numbers, so that a task that closes the low ones does no harm; a parent
//! that is gone takes the child, and what stayed in the child's group, with it. What never happens here: a decision on
//! who takes over, which is the parent's ([`Takeover`]), and any part of the work itself.
//!
//! A child sees its parent's end by pidfd. End of file alone would not do, as any process may hold the other end of the
//! channel; PR_SET_PDEATHSIG would not do, as it fires when the *thread* that started the child ends.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::SocketType;

use crate::control::{Control, Received};
use crate::fence;
pub(crate) use crate::high_fd::move_high;
use crate::memfd::Frozen;
use crate::passport::{BOOT, Life, Passport, Role, VARIABLE};
use crate::signals;
use crate::standard_fds;
use crate::watcher::{self, Parent, Watch};

pub use crate::passport::Takeover;

/// Set to 1, it turns the hook off that takes children over before `main`.
const NO_HOOK: &str = "POOL_CORE_NO_HOOK";

/// A child that has come to itself.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// What it is for.
    pub(crate) role: Role,
    /// Its end of the channel to its parent.
    pub(crate) control: Control,
    /// The first message's bytes.
    pub(crate) boot: Frozen,
    /// The process that started it.
    pub(crate) parent_pid: u32,
    /// What the watcher thread looks at; a child with a life of its own has none.
    watch: Option<Arc<Watch>>,
}

impl Arrived {
    /// Calls `on_close` once, on the watcher's thread, when the parent closes the channel and lives on; at once and on
    /// this thread if it has done so already. Messages that it sent before may still be unread then. The watcher's
    /// stack is small: set a flag, wake a thread. Never called in a child that outlives its parent.
    pub(crate) fn watch(&self, on_close: Box<dyn FnOnce() + Send>) {
        if let Some(watch) = &self.watch {
            watch.register(on_close);
        }
    }
}

/// Whether this process is a child that was not taken over yet, and by whom it is to be.
///
/// The first call removes the variable and takes the channel off stdin, so that nothing that the program starts before
/// its takeover inherits them; it should come early, while there is one thread. Later calls cost one load.
pub fn awaiting() -> Option<Takeover> {
    match STATE.load(Ordering::Acquire) {
        UNASKED => ask(),
        state => takeover_of(state),
    }
}

/// Whether this process is a child that was not taken over yet and was started for one function, not as a worker.
pub fn awaits_one_function() -> bool {
    awaiting().is_some() && CLAIM.lock().as_ref().is_some_and(|claim| claim.passport.role == Role::Process)
}

/// How many ancestors of this process were started by this library: 0 in a program that somebody else started.
pub fn depth() -> u32 {
    // The first question settles the depth.
    awaiting();
    DEPTH.load(Ordering::Relaxed)
}

/// Notes that this program calls `init` in `main`: its children are to wait for that, rather than be taken over before.
pub fn set_init_called() {
    INIT_CALLED.store(true, Ordering::Relaxed);
}

/// Who is to take over the children of this process.
pub(crate) fn takeover_of_children() -> Takeover {
    if INIT_CALLED.load(Ordering::Relaxed) { Takeover::Init } else { Takeover::Hook }
}

/// Makes this process the child that it was started as. Once only; ends the process if its parent is gone.
///
/// # Errors
/// It is no child or was taken over before, a program between it and its parent forked, or the system refused a
/// descriptor, memory or a thread.
pub(crate) fn arrive() -> io::Result<Arrived> {
    let Claim { passport, control } = take_claim()?;
    // It stays open also where this fails: to the parent its end means that the child is gone or beyond help, and one on its
    // way to an orderly exit would be killed before its exit code.
    let control = ManuallyDrop::new(control?);
    standard_fds::fill()?;
    signals::arrange(passport.role)?;
    if passport.role != Role::Process {
        forbid_core_files()?;
    }
    if let Some(limit) = passport.memory_limit {
        limit_memory(limit.get())?;
    }
    keep_program_name();
    if passport.role == Role::Worker {
        // Before there is another thread.
        fence::register();
    }
    let watch = match passport.life {
        Life::WithParent => Some(watcher::start(Parent::find(passport.parent)?, control.as_fd())?),
        Life::Own => None,
    };
    let boot = receive_boot(&control, passport.life)?;
    let Passport { role, parent, .. } = passport;
    Ok(Arrived { role, control: ManuallyDrop::into_inner(control), boot, parent_pid: parent.get(), watch })
}

/// What a child has in hands between the first question and its arrival.
struct Claim {
    /// What the variable said.
    passport: Passport,
    /// What was stdin.
    control: io::Result<Control>,
}

/// `awaiting` in one byte: moves from `UNASKED` to one of the others, and from the waiting ones to `NOT_AWAITING`.
static STATE: AtomicU8 = AtomicU8::new(UNASKED);
const UNASKED: u8 = 0;
const NOT_AWAITING: u8 = 1;
const AWAITS_HOOK: u8 = 2;
const AWAITS_INIT: u8 = 3;

/// Present while `STATE` is one of the waiting ones. Guards the first question, too.
static CLAIM: Mutex<Option<Claim>> = Mutex::new(None);

/// See [`depth`].
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// See [`set_init_called`].
static INIT_CALLED: AtomicBool = AtomicBool::new(false);

/// What a byte of `STATE` means.
fn takeover_of(state: u8) -> Option<Takeover> {
    match state {
        AWAITS_HOOK => Some(Takeover::Hook),
        AWAITS_INIT => Some(Takeover::Init),
        _ => None,
    }
}

/// The first question. Threads that ask at the same time wait for its answer.
fn ask() -> Option<Takeover> {
    let mut slot = CLAIM.lock();
    let asked = STATE.load(Ordering::Acquire);
    if asked != UNASKED {
        return takeover_of(asked);
    }
    let state = match claim() {
        None => NOT_AWAITING,
        Some(claim) => {
            DEPTH.store(claim.passport.depth, Ordering::Relaxed);
            let hook = claim.passport.takeover == Takeover::Hook && std::env::var_os(NO_HOOK).is_none_or(|v| v != "1");
            *slot = Some(claim);
            if hook { AWAITS_HOOK } else { AWAITS_INIT }
        }
    };
    STATE.store(state, Ordering::Release);
    takeover_of(state)
}

/// Reads and removes the variable, and takes stdin.
///
/// A variable without a channel on stdin came from a child that started this program before its own takeover: it is not
/// meant for us. (One that also handed on its stdin cannot be told from a wrapper; see [`Parent::find`].)
fn claim() -> Option<Claim> {
    let value = std::env::var_os(VARIABLE)?;
    // SAFETY: the first question is asked before `main` by the hook, or first in `main` by `init`, where there is one
    // thread; a program that started threads before is told by `init`'s documentation not to have them read the
    // environment by other means than std's, which takes a lock.
    unsafe { std::env::remove_var(VARIABLE) };
    let passport = Passport::read(value.to_str()?)?;
    let stdin = rustix::stdio::stdin();
    match rustix::net::sockopt::socket_type(stdin) {
        Ok(SocketType::SEQPACKET) => Some(Claim { passport, control: take_stdin(stdin).map(Control::from) }),
        _ => None,
    }
}

/// Moves the channel to a high number and puts /dev/null in its place.
fn take_stdin(stdin: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let control = move_high(stdin)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(control)
}

/// What the first question found, once.
fn take_claim() -> io::Result<Claim> {
    awaiting();
    let claim = CLAIM.lock().take();
    STATE.store(NOT_AWAITING, Ordering::Release);
    claim.ok_or_else(|| io::Error::other("this process is no child that waits to be taken over"))
}

/// The first message. It may take the parent a moment to send it.
fn receive_boot(control: &Control, life: Life) -> io::Result<Frozen> {
    let mut bytes = Vec::new();
    let mut fds = match control.receive_waiting(&mut bytes)? {
        Received::Message { fds } => fds,
        Received::Eof if life == Life::WithParent => watcher::end_with_parent(),
        other => return Err(io::Error::other(format!("no first message: {other:?}"))),
    };
    let size = match bytes.as_slice() {
        [BOOT, size @ ..] => <[u8; 8]>::try_from(size).map(u64::from_le_bytes).ok(),
        _ => None,
    };
    match (size, fds.pop()) {
        (Some(size), Some(fd)) => Frozen::open(fd, size).map_err(io::Error::other),
        (Some(_), None) => Err(Errno::MFILE.into()),
        (None, _) => Err(io::Error::other("the first message is malformed")),
    }
}

/// A core dump would delay the news of a worker's death by seconds.
fn forbid_core_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Core).maximum;
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum })?)
}

/// For this process, and for each that it starts. What counts is private memory that can be written: the heap, thread stacks,
/// copies of pages; not what is shared with the parent. A limit on addresses would count that, and one on RAM does nothing.
fn limit_memory(limit: u64) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Some(getrlimit(Resource::Data).maximum.map_or(limit, |maximum| maximum.min(limit)));
    Ok(setrlimit(Resource::Data, Rlimit { current: limit, maximum: limit })?)
}

/// The kernel calls a process after the last part of the path that it ran, which is `exe` for /proc/self/exe. Gives it
/// the program's name back, as ps(1) shows it. A failure is not worth a word.
fn keep_program_name() {
    if !rustix::thread::name().is_ok_and(|name| name.as_bytes() == b"exe") {
        return;
    }
    let Some(path) = std::env::args_os().next() else { return };
    let name = std::path::Path::new(&path).file_name().map(std::os::unix::ffi::OsStrExt::as_bytes);
    if let Some(name) = name.and_then(|name| std::ffi::CString::new(name).ok()) {
        let _renamed = rustix::thread::set_name(&name);
    }
}
