//! A done callback runs in the main process, on the manager's thread.

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::os::unix::process::parent_id;
use std::process::id;
use std::time::Duration;

use pool_core::{Future, ProcessPoolExecutor, thread};

fn work() {
    std::thread::sleep(Duration::from_millis(100));
    // Whether anybody reads it is not the task's affair.
    let _ = writeln!(stdout(), "Worker pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
}

fn custom_callback(_future: &Future<()>) {
    let _ = writeln!(stdout(), "Callback pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
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
    let future = pool.submit(work, ())?;
    future.add_done_callback(custom_callback);
    // Without this the pool would be waited for all the same, but a failure would stay unheard.
    Ok(future.result()?)
}
