//! What can be chosen of a process before it is made.

use std::ffi::OsString;
use std::path::PathBuf;

use super::handle::{Plan, Process};
use super::stage::Call;
use super::target::Target;
use crate::task::Arguments;

/// How a process is to be.
///
/// ```
/// use pool_core::Process;
///
/// fn greet(name: String) -> i32 {
///     name.len() as i32
/// }
///
/// let child = Process::builder().name("greeter").env("LANG", "C").target(greet, ("you".to_owned(),));
/// child.start()?;
/// child.join()?;
/// assert_eq!((child.name(), child.exitcode()), ("greeter", Some(3)));
/// # Ok::<(), pool_core::ProcessError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes nothing before `target`"]
pub struct Builder {
    plan: Plan,
}

impl Builder {
    /// A process with the next `Process-N` for a name, which is no daemon, shares its parent's process group and ends with
    /// its parent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.plan.name = Some(name.into());
        self
    }

    /// Whether it is ended, not waited for, when its parent ends in an orderly way. A daemon may not have children.
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.plan.daemon = daemon;
        self
    }

    /// Lets it go on when its parent has ended. Its parent does not wait for it at its own end.
    pub fn outlive_parent(mut self) -> Self {
        self.plan.options.outlive_parent = true;
        self
    }

    /// Has it lead a process group of its own. Then a signal from the terminal does not reach it, and
    /// [`terminate`](Process::terminate), [`kill`](Process::kill) and [`interrupt`](Process::interrupt) reach what it
    /// started as well.
    pub fn own_group(mut self) -> Self {
        self.plan.options.own_group = true;
        self
    }

    /// Sets a variable of its environment. A name that is empty or has a `=`, and a NUL byte anywhere, are refused by
    /// [`start`](Process::start).
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.plan.command.environment.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable from its environment.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.plan.command.environment.insert(name.into(), None);
        self
    }

    /// The directory that it starts in. By default this process's.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plan.command.directory = Some(directory.into());
        self
    }

    /// The program that it runs, with its arguments. By default this very program, by the file that it was started from,
    /// with this process's own arguments.
    ///
    /// It has to be, or become by exec, the same build as this program; another one exits with code 4.
    pub fn command<A: Into<OsString>>(
        mut self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.plan.command.program = Some(program.into());
        self.plan.command.arguments = Some(arguments.into_iter().map(Into::into).collect());
        self
    }

    /// Makes the process, which runs this function. It is not started yet.
    pub fn target<F, Args>(self, target: F, args: Args) -> Process
    where
        F: Target<Args>,
        Args: Arguments + Send + 'static,
    {
        Process::make(self.plan, Call::new(target, args))
    }
}
