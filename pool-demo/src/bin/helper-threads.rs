//! A pool has two threads of its own in the main process.

use pool_core::{ProcessPoolExecutor, thread};

fn work(_value: u32) {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pool_core::init();
    env_logger::init();
    let pool = ProcessPoolExecutor::new(4)?;
    for value in 0..4 {
        pool.submit(work, (value,))?;
    }
    for thread in thread::enumerate() {
        println!("{}", thread.name());
    }
    Ok(())
}
