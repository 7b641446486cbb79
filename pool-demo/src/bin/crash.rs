//! Tasks that segfault, exit, panic and are killed, among healthy ones: each of the healthy delivers its result, each of
//! the others is told exactly.

use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::ptr::without_provenance_mut;

use pool_core::{Future, ProcessPoolExecutor};
use rustix::process::{Signal, getpid, kill_process};

fn square(number: u32) -> u32 {
    number * number
}

fn segfault(address: usize) -> u32 {
    let nowhere = without_provenance_mut::<u32>(address);
    // SAFETY: unsound on purpose, as native code may be. Nothing is mapped there, so the processor refuses the write.
    unsafe { nowhere.write_volatile(1) };
    1
}

fn exit(code: i32) -> u32 {
    std::process::exit(code)
}

fn panic(order: String) -> u32 {
    panic!("cannot serve {order:?}")
}

/// As the system's own killer does when memory runs out.
fn be_killed() -> u32 {
    kill_process(getpid(), Signal::KILL).map_or(1, |()| 0)
}

/// One item of many is bad.
fn reciprocal(number: u32) -> f64 {
    if number == 0 {
        std::process::abort();
    }
    1.0 / f64::from(number)
}

fn show(future: &Future<u32>) -> io::Result<()> {
    match future.result() {
        Ok(value) => writeln!(stdout(), "{} returned {value}", future.task_name()),
        Err(error) => writeln!(stdout(), "{} failed: {error}", future.task_name()),
    }
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
    // A panic is told in one line, also to who has asked for backtraces.
    let pool = ProcessPoolExecutor::builder().max_workers(2).worker_env("RUST_BACKTRACE", "0").build()?;
    let futures = [
        pool.submit(square, (1,))?,
        pool.submit(segfault, (16,))?,
        pool.submit(square, (2,))?,
        pool.submit(exit, (3,))?,
        pool.submit(square, (3,))?,
        pool.submit(panic, ("soup".to_owned(),))?,
        pool.submit(square, (4,))?,
        pool.submit(be_killed, ())?,
        pool.submit(square, (5,))?,
    ];
    futures.iter().try_for_each(show)?;
    for (number, result) in pool.map(reciprocal, [1, 2, 0, 4, 5])?.enumerate() {
        match result {
            Ok(value) => writeln!(stdout(), "item {number} of the batch: {value}")?,
            Err(error) => writeln!(stdout(), "item {number} of the batch: {error}")?,
        }
    }
    Ok(())
}
