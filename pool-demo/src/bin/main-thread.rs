//! A program is one process with one thread.

use std::io::{self, ErrorKind, Write, stdout};

use pool_core::thread;

fn main() -> io::Result<()> {
    pool_core::init();
    env_logger::init();
    match show() {
        // Nobody reads on, as with `| head`: that is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

fn show() -> io::Result<()> {
    writeln!(stdout(), "Main pid: {}", std::process::id())?;
    writeln!(stdout(), "Main thread: {}", thread::current().name())
}
