//! Each worker of a pool is a process of its own, with a main thread of its own and the main process as its parent.

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::os::unix::process::parent_id;
use std::process::id;
use std::time::Duration;

use pool_core::{ProcessPoolExecutor, thread};

fn work(_value: u32) {
    std::thread::sleep(Duration::from_millis(100));
    // Whether anybody reads it is not the task's affair.
    let _ = writeln!(stdout(), "Worker pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
}

fn main() -> Result<(), Box<dyn Error>> {
    pool_core::init();
    env_logger::init();
    match run() {
        // Nobody reads on, as with `| head`: that is no failure.
        Err(error) if error.downcast_ref().map(io::Error::kind) == Some(ErrorKind::BrokenPipe) => Ok(()),
        ended => ended,
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    writeln!(stdout(), "Main pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name())?;
    let pool = ProcessPoolExecutor::new(2)?;
    for result in pool.map(work, 0..2)? {
        result?;
    }
    Ok(())
}
