//! A closure that captures a value with an owner is told what to do with it.
//!
//! expect: captures something, which a worker does not have
//! expect: this captures a value
//! expect: a worker gets only the function's name: pass what it captures as an argument

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    let base = String::new();
    pool.submit(move |number: usize| number + base.len(), (1,)).unwrap();
}
