//! The same code on every backend: a value chosen at run time, and nothing else changes.

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::process::id;
use std::sync::Arc;

use pool_core::{Backend, InProcess, IpcChannel, ProcessPoolExecutor, SharedMemory, TaskError};

fn letters(word: String) -> usize {
    assert!(!word.is_empty(), "there is no word");
    word.chars().count()
}

fn show(backend: Arc<dyn Backend>) -> Result<(), Box<dyn Error>> {
    let name = backend.name();
    let pool = ProcessPoolExecutor::builder().max_workers(2).backend(backend).build()?;
    let place = if pool.submit(id, ())?.result()? == id() { "threads of this process" } else { "other processes" };
    writeln!(stdout(), "{name}: the workers are {place}")?;
    let words = ["one", "", "three"].map(str::to_owned);
    for (word, result) in words.clone().iter().zip(pool.map(letters, words)?) {
        match result {
            Ok(count) => writeln!(stdout(), "{name}: {word:?} has {count} letters")?,
            Err(TaskError::Panicked(panic)) => {
                writeln!(stdout(), "{name}: {word:?} made the task panic: {}", panic.message)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
    let backends: [Arc<dyn Backend>; 3] =
        [Arc::new(SharedMemory::new()), Arc::new(IpcChannel::new()), Arc::new(InProcess::new())];
    backends.into_iter().try_for_each(show)
}
