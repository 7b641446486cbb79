//! A closure that captures a number is told what to do with it.
//!
//! expect: a task must not capture anything, as the worker gets only its name: pass what it captures as an argument

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    let base = 3_u32;
    pool.submit(move |number: u32| number + base, (1,)).unwrap();
}
