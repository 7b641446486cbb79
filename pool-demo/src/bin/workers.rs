//! Each worker of a pool is a process of its own, with a main thread of its own and the main process as its parent.

use std::os::unix::process::parent_id;
use std::process::id;
use std::time::Duration;

use pool_core::{ProcessPoolExecutor, thread};

fn work(_value: u32) {
    std::thread::sleep(Duration::from_millis(100));
    println!("Worker pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pool_core::init();
    env_logger::init();
    println!("Main pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
    let pool = ProcessPoolExecutor::new(2)?;
    for result in pool.map(work, 0..2)? {
        result?;
    }
    Ok(())
}
