//! A program that is built with coverage: its worker is one that has run a task, and ended in good order.

use pool_core::ProcessPoolExecutor;

fn main() {
    pool_core::init();
    let pool = ProcessPoolExecutor::new(1).unwrap();
    println!("{}", std::process::id());
    println!("{}", pool.submit(std::process::id, ()).unwrap().result().unwrap());
}
