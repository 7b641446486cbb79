//! A closure that captures a value with an owner is no task.
//!
//! expect: the trait bound `String: Copy` is not satisfied in `{closure
//! expect: to implement `Task<

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    let base = String::new();
    pool.submit(move |number: usize| number + base.len(), (1,)).unwrap();
}
