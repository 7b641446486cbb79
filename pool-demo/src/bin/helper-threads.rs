//! A pool has two threads of its own in the main process.

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};

use pool_core::{ProcessPoolExecutor, thread};

fn work(_value: u32) {}

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
    let pool = ProcessPoolExecutor::new(4)?;
    let futures = (0..4).map(|value| pool.submit(work, (value,))).collect::<Result<Vec<_>, _>>()?;
    for thread in thread::enumerate() {
        writeln!(stdout(), "{}", thread.name())?;
    }
    for future in futures {
        future.result()?;
    }
    Ok(())
}
