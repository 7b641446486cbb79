//! An initializer that returns a value is told what it may return.
//!
//! expect: returns something else than `()` or `Result<(), E>`

fn prepare() -> u8 {
    1
}

fn main() {
    let _ = pool_core::ProcessPoolExecutor::builder().initializer(prepare, ());
}
