//! A done callback runs in the main process, on the manager's thread.

use std::os::unix::process::parent_id;
use std::process::id;
use std::time::Duration;

use pool_core::{Future, ProcessPoolExecutor, thread};

fn work() {
    std::thread::sleep(Duration::from_millis(100));
    println!("Worker pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
}

fn custom_callback(_future: &Future<()>) {
    println!("Callback pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pool_core::init();
    env_logger::init();
    println!("Main pid={}, ppid={} thread={}", id(), parent_id(), thread::current().name());
    let pool = ProcessPoolExecutor::new(2)?;
    let future = pool.submit(work, ())?;
    future.add_done_callback(custom_callback);
    Ok(())
}
