//! What a look at a process shows, and how that reads.

use std::fmt;

use pool_ipc::{ExitCause, signal_name};

use super::handle::Process;

/// How far a process has come, after it was reaped if it had ended.
pub(super) enum Look {
    /// It was not started, or is being started.
    Initial,
    /// It runs, under this number.
    Running(u32),
    /// It had this number and ended so.
    Ended(u32, ExitCause),
    /// It was closed, and had ended so, had it been started.
    Closed(Option<ExitCause>),
    /// It is a child of the process that this one was forked from.
    Foreign,
}

/// As Python's `repr` tells it: name, pid, parent, and `initial`, `started`, `stopped exitcode=-SIGTERM`, `closed` or, in a
/// fork of its parent, `unknown`.
impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.look() {
            Look::Initial => "initial".to_owned(),
            Look::Running(_) => "started".to_owned(),
            Look::Ended(_, cause) => format!("stopped {}", exit_code(cause)),
            Look::Closed(_) => "closed".to_owned(),
            Look::Foreign => "unknown".to_owned(),
        };
        let mut shown = f.debug_struct("Process");
        shown.field("name", &self.name());
        if let Some(pid) = self.pid() {
            shown.field("pid", &pid);
        }
        shown.field("parent", &self.owner()).field("state", &format_args!("{state}"));
        if self.daemon() {
            shown.field("daemon", &true);
        }
        shown.finish()
    }
}

/// `exitcode=0`, or `exitcode=-SIGTERM`.
fn exit_code(cause: ExitCause) -> String {
    match (cause, cause.code()) {
        (ExitCause::Signal(number), _) if signal_name(number).is_some() => {
            format!("exitcode=-{}", signal_name(number).unwrap_or_default())
        }
        (_, Some(code)) => format!("exitcode={code}"),
        (_, None) => "exitcode unknown".to_owned(),
    }
}
