//! Five processes side by side, each with three threads that sleep a random fraction of three seconds.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Write, stdout};
use std::time::Duration;

use pool_core::{Process, current_process, thread};

/// Between 0 and 1.
fn random() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

fn thread_task() {
    std::thread::sleep(Duration::from_secs(3).mul_f64(random()));
    // Whether anybody reads it is not the thread's affair.
    let _ = writeln!(stdout(), ">thread {} in process {} done.", thread::current().name(), current_process().name());
}

fn process_task() {
    let threads: Vec<_> = (0..3).map(|_| thread::spawn(thread_task)).collect();
    for thread in threads {
        thread.join().expect("the thread does not panic");
    }
    let _ = writeln!(stdout(), "Process {} done.", current_process().name());
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
    let processes: Vec<Process> = (0..5).map(|_| Process::new(process_task, ())).collect();
    for process in &processes {
        process.start()?;
    }
    for process in &processes {
        process.join()?;
    }
    writeln!(stdout(), "Main process done.")?;
    Ok(())
}
