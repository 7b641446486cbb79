//! A pointer to a function is told to be the function itself.
//!
//! expect: (and a function itself instead of a pointer to it)

fn double(number: u32) -> u32 {
    number * 2
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(double as fn(u32) -> u32, (1,)).unwrap();
}
