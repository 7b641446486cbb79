//! What this program does when a benchmark starts it again.
//!
//! Keeps true: a role ends when its standard input does, or when its parent is gone. Never: parses options.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::case::Failure;
use crate::cases;
use crate::instructions;
use crate::peer::{burner, futex, ipc, pipe};

/// What stands before a role.
pub(crate) const ARGUMENT: &str = "--role";

/// Plays the role, if these arguments are one.
pub(crate) fn play(arguments: &[String]) -> Option<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [ARGUMENT, role, rest @ ..] = &*words else { return None };
    Some(match perform(role, rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pool-bench, as {role}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn perform(role: &str, rest: &[&str]) -> Result<(), Failure> {
    match (role, rest) {
        ("pipe-echo", [core]) => pipe::echo(core.parse()?),
        ("futex-echo", [core]) => futex::echo(core.parse()?),
        ("ipc-echo", [server]) => ipc::echo(server),
        ("burn", []) => burner::burn_as_told(),
        ("busy", [core]) => burner::be_busy(core.parse()?),
        ("greet", []) => Ok(io::stdout().write_all(b"!")?),
        ("pending", [count]) => cases::pending::print(count.parse()?),
        ("idle", [millis]) => cases::idle::print(millis.parse()?),
        ("way", [way, count, log @ ..]) => instructions::drive(way, count.parse()?, log.first().copied()),
        _ => Err("there is no such role".into()),
    }
}

/// Answers each line that comes with a number, until no more come.
pub(crate) fn answer_lines(mut answer: impl FnMut(&str) -> Result<f64, Failure>) -> Result<(), Failure> {
    for line in io::stdin().lock().lines() {
        let figure = answer(&line?)?;
        say(figure)?;
    }
    Ok(())
}

/// Prints a figure for whoever asked.
pub(crate) fn say(figure: f64) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    Ok(writeln!(output, "{figure}").and_then(|()| output.flush())?)
}
