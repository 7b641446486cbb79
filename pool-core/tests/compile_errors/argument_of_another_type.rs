//! An argument of another type than the parameter's is named with both.
//!
//! expect: expected `u32`, found `String`

fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(add, (1, "two".to_owned())).unwrap();
}
