//! A closure for `map` that captures a text is told what to do with it.
//!
//! expect: captures something, which a worker does not have
//! expect: pass what it captures as an argument

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    let base = String::new();
    let _ = pool.map(move |number: u32| format!("{base}{number}"), 0..3);
}
