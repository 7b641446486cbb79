//! A program is one process with one thread.

use pool_core::thread;

fn main() {
    pool_core::init();
    env_logger::init();
    println!("Main pid: {}", std::process::id());
    println!("Main thread: {}", thread::current().name());
}
