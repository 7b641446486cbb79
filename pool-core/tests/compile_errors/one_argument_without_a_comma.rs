//! A single argument that is no tuple is shown the comma.
//!
//! expect: use a trailing comma to create a tuple with one element

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(u32::count_ones, 3_u32).unwrap();
}
