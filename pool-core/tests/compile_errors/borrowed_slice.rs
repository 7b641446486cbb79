//! A borrowed slice is named, and that it cannot be deserialized.
//!
//! expect: the trait bound `&[u32]: serde::Deserialize<'de>` is not satisfied

fn total(numbers: &[u32]) -> u32 {
    numbers.iter().sum()
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(total, (&[1, 2][..],)).unwrap();
}
