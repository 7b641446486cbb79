//! Starts child processes. The only place that does.
//!
//! What holds: a child is the same program again, or the one that a [`WorkerCommand`] names; it inherits one descriptor
//! of ours, its control channel, as stdin (two, where a pipe is to be its stderr), and learns the rest from one environment
//! variable and the first message. A child that comes to itself waits for that message, and it gets it only once we can see
//! its end: so its exit cause is known, also where the host ignores SIGCHLD. An error leaves nothing behind. What never
//! happens here: `pre_exec` (std then forks, which takes 20 ms in a process of 1 GiB, where posix_spawn takes half a
//! millisecond in any), a named object, or a wait for the child.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::Access;

use crate::arrival;
use crate::backend::StartError;
use crate::child::{Child, Group};
use crate::command::WorkerCommand;
use crate::control::{Control, Sent};
use crate::groups::Groups;
use crate::memfd;
use crate::memory::Watch;
use crate::passport::{BOOT, Life, Passport, Role, VARIABLE};

/// How deep children may start children of their own. A program whose every worker makes a pool stops here; it is the
/// second line of defence, behind workers that refuse to make one before they work.
pub(crate) const MAX_DEPTH: u32 = 16;

/// How a child belongs to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Its process group.
    pub(crate) group: Group,
    /// Whether it ends with its parent.
    pub(crate) life: Life,
}

impl Style {
    /// A pool's worker: killed together with what it started, ended with its parent.
    pub(crate) const WORKER: Self = Self { group: Group::Own, life: Life::WithParent };

    /// A `Process`, by default: signalled with its parent from the terminal, ended with it.
    pub(crate) const PROCESS: Self = Self { group: Group::Parents, life: Life::WithParent };
}

/// A child that was started. It may not have come to itself yet.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The process.
    pub(crate) child: Child,
    /// Our end of its control channel.
    pub(crate) control: Control,
}

/// Starts a child, which gets `boot` as its first message. Returns without waiting for it.
///
/// # Errors
/// The program does not exist or may not run, a limit on processes, descriptors or memory was hit, or children are
/// nested too deep. No process, descriptor or zombie is left behind.
pub(crate) fn launch(role: Role, boot: &[u8], command: &WorkerCommand, style: Style) -> Result<Launched, StartError> {
    launch_hearing(role, boot, command, style, None)
}

/// The same, of a child whose stderr is this, if it is not ours.
///
/// # Errors
/// As there.
pub(crate) fn launch_hearing(
    role: Role,
    boot: &[u8],
    command: &WorkerCommand,
    style: Style,
    stderr: Option<OwnedFd>,
) -> Result<Launched, StartError> {
    let passport = Passport {
        role,
        takeover: arrival::takeover_of_children(),
        life: style.life,
        depth: next_depth()?,
        parent: NonZeroU32::new(std::process::id()).expect("no process has the number 0"),
        memory_limit: command.memory_limit,
    };
    let (control, childs_end) = Control::pair().map_err(|source| failed("making a control channel", None, source))?;
    let memory = memfd::freeze(boot).map_err(|source| failed("writing a worker's first message", None, source))?;
    let child = spawn(command, passport, style.group, childs_end, stderr)?;
    send_boot(&control, boot.len(), memory.as_fd())
        .map_err(|source| failed("sending a worker its first message", None, source))?;
    Ok(Launched { child, control })
}

/// The first message: the tag, the size, and the bytes in frozen memory.
///
/// A child that has ended by now (its program is no program of ours) is not an error of the start: whoever watches it
/// hears how it ended, which says more than a broken pipe.
fn send_boot(control: &Control, size: usize, memory: BorrowedFd<'_>) -> io::Result<()> {
    let size = u64::try_from(size).expect("usize has at most 64 bits on Linux");
    let mut message = vec![BOOT];
    message.extend(size.to_le_bytes());
    match control.send(&message, &[memory]) {
        Ok(Sent::Whole) => Ok(()),
        // The channel is empty, so this is not about room in it.
        Ok(Sent::Full) => Err(io::Error::other("too many descriptors or bytes of this user are on their way")),
        Err(gone) if matches!(gone.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Starts the process. Our copies of the child's ends are closed here when this returns, so that its own are the last.
fn spawn(
    command: &WorkerCommand,
    passport: Passport,
    group: Group,
    stdin: Control,
    stderr: Option<OwnedFd>,
) -> Result<Child, StartError> {
    let program = command.program.clone().unwrap_or_else(|| PathBuf::from(THIS_PROGRAM));
    let no_cgroup = |error| failed("giving a worker a control group", None, io::Error::other(error));
    let cgroup = command.cgroup.as_ref().map(Groups::make).transpose().map_err(no_cgroup)?;
    let mut prepared = prepare(command, &program);
    prepared.env(VARIABLE, passport.write()).stdin(Stdio::from(OwnedFd::from(stdin)));
    if let Some(stderr) = stderr {
        prepared.stderr(Stdio::from(stderr));
    }
    if group == Group::Own {
        prepared.process_group(0);
    }
    // How a `Process` ends is told by its cause alone.
    let watch = (passport.role != Role::Process).then(|| Watch::begin(passport.memory_limit, cgroup.as_ref()));
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    let spawned = prepared.spawn();
    // std's handle neither waits nor kills when it is dropped; from here on the process is `Child`'s.
    let pid = spawned.map_err(|source| not_spawned(command, &program, source))?.id();
    let child = Child::adopt(pid, group, watch.map(Watch::started), cgroup)
        .map_err(|source| failed("watching a new process", Some(&program), source))?;
    // It waits for its first message and has started nothing of its own yet.
    child.enter_cgroup().map_err(no_cgroup)?;
    Ok(child)
}

/// The file of this very program, also where another has taken its name since.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The command, but for what ties the child to us.
fn prepare(command: &WorkerCommand, program: &Path) -> Command {
    let mut own_arguments = std::env::args_os();
    let own_name = own_arguments.next();
    let mut prepared = Command::new(program);
    if let (None, Some(name)) = (&command.program, own_name) {
        prepared.arg0(name);
    }
    prepared.args(command.arguments.clone().unwrap_or_else(|| own_arguments.collect::<Vec<OsString>>()));
    for (name, value) in &command.environment {
        match value {
            Some(value) => prepared.env(name, value),
            None => prepared.env_remove(name),
        };
    }
    if let Some(directory) = &command.directory {
        prepared.current_dir(directory);
    }
    prepared
}

/// Why a process was not started. The system does not tell whether it is about the program or about the directory, which is
/// therefore looked at.
fn not_spawned(command: &WorkerCommand, program: &Path, source: io::Error) -> StartError {
    match command.directory.as_deref().map(|directory| (directory, enter(directory))) {
        Some((directory, Err(source))) => failed("entering the directory of a new process", Some(directory), source),
        Some((_, Ok(()))) | None => failed("starting a process", Some(program), source),
    }
}

/// Whether a process may start in this directory.
fn enter(directory: &Path) -> io::Result<()> {
    if !std::fs::metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(rustix::fs::access(directory, Access::EXEC_OK)?)
}

/// The depth of a child of this process.
fn next_depth() -> Result<u32, StartError> {
    let depth = arrival::depth().saturating_add(1);
    if depth <= MAX_DEPTH {
        return Ok(depth);
    }
    let source = io::Error::other(format!("it would be nested at depth {depth}, and the limit is {MAX_DEPTH}"));
    Err(failed("starting a process", None, source))
}

/// An error of this module.
fn failed(doing: &'static str, path: Option<&Path>, source: io::Error) -> StartError {
    StartError { doing, path: path.map(Path::to_path_buf), source }
}

#[cfg(test)]
mod tests;
