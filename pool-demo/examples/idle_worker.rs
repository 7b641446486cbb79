//! A pool with one worker that has worked and is idle: its pid is printed, and it stays until the input ends.
//!
//! What such a worker takes is measured from outside, by the benchmarks.

use std::error::Error;
use std::io::{self, Write, stdout};

use pool_core::ProcessPoolExecutor;

fn main() -> Result<(), Box<dyn Error>> {
    pool_core::init();
    let pool = ProcessPoolExecutor::new(1)?;
    writeln!(stdout(), "{}", pool.submit(std::process::id, ())?.result()?)?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
