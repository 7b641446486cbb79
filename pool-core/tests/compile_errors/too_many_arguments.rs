//! Too many arguments are counted.
//!
//! expect: expected a tuple with 2 elements, found one with 3 elements

fn add(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(add, (1, 2, 3)).unwrap();
}
