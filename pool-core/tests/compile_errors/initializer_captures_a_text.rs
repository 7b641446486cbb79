//! An initializer that captures a text is told what to do with it.
//!
//! expect: this captures something
//! expect: an initializer is a function, or a closure that captures nothing; what it would capture is passed as an argument

fn main() {
    let base = String::new();
    let _ = pool_core::ProcessPoolExecutor::builder().initializer(move || println!("{base}"), ());
}
