//! A result without serde is named among the reasons.
//!
//! expect: this cannot be called with these arguments, or its result cannot cross a process
//! expect: implements `serde::Serialize` and `serde::Deserialize`

struct Plain;

fn make() -> Plain {
    Plain
}

fn main() {
    let pool = pool_core::ProcessPoolExecutor::new(1).unwrap();
    pool.submit(make, ()).unwrap();
}
